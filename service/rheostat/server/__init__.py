"""The service: the domain of live runs, its store, and its HTTP API."""

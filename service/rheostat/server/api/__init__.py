"""The service's HTTP side: routes, wire formats, and the one shape of every failure."""

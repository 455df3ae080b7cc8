"""A client, with what sends and waits for it: how there come to be two says ``unasync.py``."""

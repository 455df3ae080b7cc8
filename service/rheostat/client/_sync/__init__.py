# Made from _async/__init__.py by unasync.py: edit that one, and run this.

"""A client, with what sends and waits for it: how there come to be two says ``unasync.py``."""

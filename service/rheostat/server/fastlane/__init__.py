"""Settled blocks, answered before FastAPI."""

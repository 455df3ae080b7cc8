"""
PyTorch-Ignite: ignite.handlers, for any field of the optimizer.

A step is an event that the scheduler is attached to, before the update: Events.ITERATION_STARTED.
"""

from rheostat.converters.ignite import cyclical, piecewise, wrapped
from rheostat.converters.ignite.registry import library

__all__ = ["cyclical", "library", "piecewise", "wrapped"]

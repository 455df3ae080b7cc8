"""Rheostat serves hyperparameter schedules, and changes them at the same step on every worker."""

__version__ = "0.1.0"

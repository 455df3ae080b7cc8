"""NVIDIA NeMo: nemo.core.optim.lr_scheduler."""

from rheostat.schedules.convert.nemo import annealing, holding, policies, roots
from rheostat.schedules.convert.nemo.registry import library

__all__ = ["annealing", "holding", "library", "policies", "roots"]

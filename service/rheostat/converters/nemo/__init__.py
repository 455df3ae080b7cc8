"""NVIDIA NeMo: nemo.core.optim.lr_scheduler."""

from rheostat.converters.nemo import annealing, holding, policies, roots
from rheostat.converters.nemo.registry import library

__all__ = ["annealing", "holding", "library", "policies", "roots"]

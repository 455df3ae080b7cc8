"""PyTorch: torch.optim.lr_scheduler, and SWALR of torch.optim.swa_utils, stepped by `step()`."""

from rheostat.converters.torch import composites, curves, cycles
from rheostat.converters.torch.registry import library

__all__ = ["composites", "curves", "cycles", "library"]

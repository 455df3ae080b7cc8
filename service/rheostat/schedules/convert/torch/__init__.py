"""PyTorch: torch.optim.lr_scheduler, and SWALR of torch.optim.swa_utils, stepped by `step()`."""

from rheostat.schedules.convert.torch import composites, curves, cycles
from rheostat.schedules.convert.torch.registry import library

__all__ = ["composites", "curves", "cycles", "library"]

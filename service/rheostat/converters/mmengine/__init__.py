"""
MMEngine: mmengine.optim.scheduler, for any field of the optimizer.

Names end in ParamScheduler, LR or Momentum. A scheduler acts in its window, begin ≤ step < end, and
leaves what it reached; before its window it leaves the value alone.
"""

from rheostat.converters.mmengine import schedulers, several
from rheostat.converters.mmengine.registry import library

__all__ = ["library", "schedulers", "several"]

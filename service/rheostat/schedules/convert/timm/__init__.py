"""timm: timm.scheduler, in epochs or in updates, whichever the scheduler counts."""

from rheostat.schedules.convert.timm import cycles, stages, steps
from rheostat.schedules.convert.timm.registry import library

__all__ = ["cycles", "library", "stages", "steps"]

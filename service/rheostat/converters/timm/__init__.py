"""timm: timm.scheduler, in epochs or in updates, whichever the scheduler counts."""

from rheostat.converters.timm import cycles, stages, steps
from rheostat.converters.timm.registry import library

__all__ = ["cycles", "library", "stages", "steps"]

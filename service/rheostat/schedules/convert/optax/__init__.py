"""optax: optax.schedules. Functions of the step, in float64 (`jax_enable_x64`)."""

from rheostat.schedules.convert.optax import curves, joined, points
from rheostat.schedules.convert.optax.registry import library

__all__ = ["curves", "joined", "library", "points"]

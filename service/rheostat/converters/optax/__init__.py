"""optax: optax.schedules. Functions of the step, in float64 (`jax_enable_x64`)."""

from rheostat.converters.optax import curves, joined, points
from rheostat.converters.optax.registry import library

__all__ = ["curves", "joined", "library", "points"]

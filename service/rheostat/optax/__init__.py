"""
Rheostat for optax and JAX: numbers of an optimizer's state from a run, without compiling again.

The optimizer is made with `optax.inject_hyperparams`. ``numbers = Hyperparams(run, {"lr":
"learning_rate"})`` says which of its numbers are the run's, and ``numbers.put(opt_state, step)``,
before the jitted update, puts them in.
"""

from rheostat.optax.hyperparams import Hyperparams

__all__ = ["Hyperparams"]

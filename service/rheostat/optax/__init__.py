"""
Rheostat for optax and JAX: numbers of an optimizer's state from a run, without compiling again.

>>> import rheostat.optax
>>> tx = optax.inject_hyperparams(optax.adamw, static_args=("b1", "b2", "eps"))(learning_rate=0.0)
>>> numbers = rheostat.optax.Hyperparams(run, {"lr": "learning_rate"})
>>> opt_state = numbers.put(opt_state, step)  # before the jitted update
"""

from rheostat.optax.hyperparams import Hyperparams

__all__ = ["Hyperparams"]

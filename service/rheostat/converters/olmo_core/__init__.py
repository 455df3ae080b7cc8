"""
OLMo-core: olmo_core.optim.scheduler, in steps or tokens.

The length of the training is ``t_max_arg``, as the trainer passes it, or the context's ``total``.
"""

from rheostat.converters.olmo_core import composed, cosines, curves, stages
from rheostat.converters.olmo_core.registry import library

__all__ = ["composed", "cosines", "curves", "library", "stages"]

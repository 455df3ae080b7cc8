"""
MosaicML Composer: composer.optim.scheduler; a step is a batch.

``context`` is what the trainer's state knows: ``max_duration`` (after scaling, if
scale_schedule_ratio is not 1), ``dataloader_len``, ``batch_size``, ``tokens_per_sample`` and
``scale_schedule_ratio``. Several schedulers of a trainer multiply: convert each, and take the
`product`.
"""

from rheostat.converters.composer import curves, warm
from rheostat.converters.composer.registry import library

__all__ = ["curves", "library", "warm"]

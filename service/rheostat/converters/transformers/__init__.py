"""Hugging Face transformers: transformers.optimization, by function or by `lr_scheduler_type`."""

from rheostat.converters.transformers import cosines, curves, stages
from rheostat.converters.transformers.registry import library

__all__ = ["cosines", "curves", "library", "stages"]

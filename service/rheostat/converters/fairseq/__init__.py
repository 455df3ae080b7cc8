"""fairseq: fairseq.optim.lr_scheduler, by class or by the name that `--lr-scheduler` takes."""

from rheostat.converters.fairseq import curves, cycles, lists
from rheostat.converters.fairseq.registry import library

__all__ = ["curves", "cycles", "library", "lists"]

"""
Definitions of schedules, and their values.

>>> from rheostat.schedules import evaluate, parse
>>> evaluate({"kind": "linear", "start": 0, "end": 1, "steps": 4}, range(6)).tolist()
[0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
"""

from rheostat.schedules.convert import convert, convert_config
from rheostat.schedules.definition import Bounds, Definition
from rheostat.schedules.evaluate import evaluate
from rheostat.schedules.parse import parse
from rheostat.schedules.union import KINDS

__all__ = ["KINDS", "Bounds", "Definition", "convert", "convert_config", "evaluate", "parse"]

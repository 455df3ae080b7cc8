"""
What an export of a run is: one JSON document, of which the parts are told here.

========== ==================================================================================
format     ``"rheostat.run"``
version    `VERSION`; a reader takes its own and older ones
run        what the run is, and where it was, as `rheostat.wire.RunState` has it
generations its generations, as there; those of a fork's past are part of its first
revisions  its history, as `rheostat.wire.Revision` has it
reports    ``{"metric", "steps", "values", "sources"}`` of the line of the current generation
ledger     ``{"generation", "start", "count", "values"}``: what was served, packed, in base64
========== ==================================================================================
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = "rheostat.run"
VERSION: Final = 1
KEPT: Final = (
    "id",
    "name",
    "axis",
    "resolution",
    "total",
    "steps_per_epoch",
    "max_block",
    "max_jump",
    "guards",
    "labels",
    "describe",
    "signals",
    "goal",
    "about",
    "author",
    "created_at",
    "finished_at",
    "end",
    "generation",
    "revision",
    "begins",
    "settled_until",
)
"""What an export has of a run's state, besides the names of its ``parameters``."""

"""
The records of other libraries' own values, as the tests of the converters read them.

A record is a line of JSON: ``id`` (library/what), ``library`` and ``version`` as they are
installed, ``name`` and ``params`` as `convert` takes them, ``base_value``, the context, ``steps``
and ``values``, both beyond the end too, and how they were made: ``source`` (installed from where,
or computed by whom from which text) or ``driver`` (what was called at each step). ``raises``, with
``at_step``, instead of values is what the library refuses. ``metrics`` is what it was given at each
call, where it reacts to a metric: ``values`` are those after it, and ``stopped`` is the call, from
1, at which an early stopping stopped, null for never.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
CONTEXT = (
    *("total", "steps_per_epoch", "context", "lr_scale", "group"),
    *("group_overrides", "optimizer_default_lr", "metric"),
)
"""What a record holds of the context of a scheduler."""

Case = dict[str, Any]


def read(path: Path) -> list[Case]:
    """Return the records of a file."""
    return [{**json.loads(line), "file": path.stem} for line in path.read_text().splitlines()]


GIVEN = [case for path in sorted(FOLDER.glob("*.jsonl")) for case in read(path)]
FURTHER = [case for path in sorted((FOLDER / "further").glob("*.jsonl")) for case in read(path)]
CASES = GIVEN + FURTHER


def asked(case: Case) -> dict[str, Any]:
    """
    Return what a record's scheduler is converted with, but for its library and name.

    The metric of what reacts to one is called ``watched`` unless the record has its name.
    """
    names = ("params", "base_value", "hyperparameter", *CONTEXT)
    found = {name: case[name] for name in names if name in case}
    return {"metric": "watched", **found} if "metrics" in case else found

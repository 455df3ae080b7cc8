"""Where definitions end."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.schedules import evaluate, parse

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 10}
DECAY = {"kind": "exponential", "start": 1.0, "factor": 0.5}


@pytest.mark.parametrize(
    ("definition", "length"),
    [
        ({"kind": "constant", "value": 1}, 0),
        (LINE, 10),
        ({**LINE, "kind": "cosine", "periodic": True}, None),
        ({**LINE, "kind": "polynomial", "cycle": True}, None),
        (DECAY, None),
        ({"kind": "multistep", "start": 1, "milestones": [7, 3], "factor": 0.5}, 7),
        ({"kind": "piecewise", "points": [[0, 1], [9.5, 0]]}, 10),
        ({"kind": "table", "values": [3, 2, 1]}, 2),
        ({"kind": "stretch", "ratio": 1.5, "of": LINE}, 15),
        ({"kind": "stretch", "ratio": 0.33, "of": LINE}, 4),
        ({"kind": "stretch", "ratio": 2, "of": DECAY}, None),
        ({"kind": "warp", "steps": 10, "power": 2, "of": LINE}, 10),
        ({"kind": "staircase", "every": 4, "of": LINE}, 12),
        ({"kind": "repeat", "every": 7.5, "cycles": 3, "of": LINE}, 23),
        ({"kind": "repeat", "every": 10, "cycles": 3, "period_factor": 2, "of": LINE}, 70),
        ({"kind": "repeat", "every": 10, "of": LINE}, None),
        ({"kind": "sum", "of": [LINE, {**LINE, "steps": 14}]}, 14),
        ({"kind": "sum", "of": [LINE, DECAY]}, None),
        ({"kind": "maximum", "of": [LINE, {**LINE, "steps": 14}]}, 14),
        ({"kind": "minimum", "of": [LINE, DECAY]}, None),
        ({"kind": "sequence", "parts": [{"schedule": DECAY, "steps": 6}]}, 6),
        (
            {
                "kind": "sequence",
                "parts": [{"schedule": DECAY, "until": 6}, {"schedule": LINE, "from": 2.5}],
            },
            14,
        ),
        ({"kind": "warmup", "steps": 5, "then": LINE}, 15),
        ({"kind": "wsd", "peak": 1, "warmup": 4, "stable": 5, "decay": 6}, 15),
        ({"kind": "wsd", "peak": 1, "warmup": 4}, 4),
        ({"kind": "one_cycle", "peak": 1, "steps": 30, "start": 0, "end": 0}, 30),
    ],
)
def test_length(definition: dict[str, Any], length: int | None) -> None:
    """A definition says from which step on its value never changes, or that there is none."""
    parsed = parse(definition)
    assert parsed.length == length
    if length:
        last, end, later = (evaluate(parsed, step) for step in (length - 1, length, length + 1000))
        assert last != end
        assert end == later

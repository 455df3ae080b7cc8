"""Changes in the form in which they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat import extend, hold, ramp, replace, revert, rewarm, scale, set_value

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10_000}
RAMP = {"edit": "ramp", "to": 0, "steps": 5}


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        (scale(0.5), {"edit": "scale", "factor": 0.5}),
        (hold(), {"edit": "hold"}),
        (hold(100), {"edit": "hold", "steps": 100}),
        (hold("10%", then="shift"), {"edit": "hold", "steps": "10%", "then": "shift"}),
        (ramp(0, steps=50), {"edit": "ramp", "to": 0, "steps": 50}),
        (
            ramp(0.0, steps=10_000, shape="1-sqrt"),
            {"edit": "ramp", "to": 0.0, "steps": 10_000, "shape": "1-sqrt"},
        ),
        (ramp(0, steps=5, shape="power", power=2), RAMP | {"shape": "power", "power": 2}),
        (set_value(0.0, steps=100), {"edit": "set", "value": 0.0, "steps": 100}),
        (rewarm(100), {"edit": "rewarm", "steps": 100}),
        (rewarm("1%", start=1e-5), {"edit": "rewarm", "steps": "1%", "start": 1e-5}),
        (extend("7T"), {"edit": "extend", "end": "7T"}),
        (revert(3), {"edit": "revert", "to": 3}),
        (
            replace(COSINE, clock="run", blend=10),
            {"edit": "replace", "definition": COSINE, "clock": "run", "blend": 10},
        ),
        (replace(COSINE, clock="change"), {**COSINE, "clock": "change"}),
        (replace({"kind": "constant", "value": 1.0}), {"kind": "constant", "value": 1.0}),
    ],
)
def test_change_as_it_is_sent(change: dict[str, Any], sent: dict[str, Any]) -> None:
    """A builder writes what it was told, and leaves out what it was not."""
    assert change == sent


def test_replacing_leaves_the_definition_alone() -> None:
    """A definition may be used for several changes."""
    definition = {"kind": "constant", "value": 1.0}

    replace(definition, clock="run")

    assert definition == {"kind": "constant", "value": 1.0}

"""Changes in the form in which they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat import hold, ramp, replace, scale

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10_000}


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

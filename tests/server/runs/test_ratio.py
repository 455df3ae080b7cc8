"""By how much values may grow and shrink: jumps, seams and rises, against the curves themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.schedules import parse
from rheostat.server.runs.changes import parse_changes
from rheostat.server.runs.edits import Target
from rheostat.server.runs.ratio import beyond_ratio
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.validation import Units

FALL = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1024}
WARM = {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 1024}
FLAT = {"kind": "constant", "value": 1.0}
LATER = {"kind": "piecewise", "points": [[0, 1.0], [700, 8.0]], "interpolation": "previous"}


def plan(**definitions: Mapping[str, Any]) -> Timelines:
    """Return what a run follows."""
    return Timelines({name: Timeline.of(parse(each)) for name, each in definitions.items()})


def changed(before: Timelines, step: int, **changes: Any) -> Timelines:
    """Return what a run follows once parameters were changed at a step."""
    made: dict[str, Timeline] = {}
    for name, each in parse_changes(changes, tuple(before), Units()).items():
        timeline = before[name]
        for change in each:
            target = Target(name, f"changes.{name}", step, 2, before, lambda _: before)
            timeline = change.apply(timeline, target)
        made[name] = timeline
    return before.replaced(made)


def beyond(before: Timelines, step: int, ratio: float = 2.0, **changes: Any) -> str:
    """Return why a change goes beyond a ratio, nothing if it does not."""
    found = beyond_ratio(ratio, before, changed(before, step, **changes), step)
    return "" if found is None else found.message


SCALE = {"edit": "scale", "factor": 2.0}


@pytest.mark.parametrize(
    ("definition", "step", "change"),
    [
        (FALL, 256, SCALE),
        (FALL, 256, {"edit": "scale", "factor": 0.5}),
        (FALL, 512, {"edit": "hold"}),
        (FALL, 512, {"edit": "hold", "steps": 256}),
        (FALL, 0, {"edit": "ramp", "to": 0.0, "steps": 64}),
        (FALL, 0, {"edit": "ramp", "to": 2.0, "steps": 64}),
        (FALL, 512, {"edit": "extend", "end": 4096}),
        (FALL, 512, {"edit": "set", "value": 0.5, "steps": 8}),
        (WARM, 512, {"edit": "scale", "factor": 2.0}),
        (WARM, 512, {"edit": "hold", "steps": 512}),
        (WARM, 512, {"edit": "hold", "steps": 4096, "then": "shift"}),
        (FLAT, 8, {"kind": "linear", "start": 1.0, "end": 2.0, "steps": 8, "clock": "change"}),
        (LATER, 8, SCALE),
        (LATER, 8, {"edit": "hold", "steps": 600}),
    ],
)
def test_what_stays_within_a_ratio_passes(definition: Any, step: int, change: Any) -> None:
    """Doubling and halving, holds, falls, and what reaches no more than twice of what was ahead."""
    assert beyond(plan(lr=definition), step, lr=change) == ""


@pytest.mark.parametrize(
    ("definition", "step", "change", "said"),
    [
        (FALL, 256, {"edit": "scale", "factor": 2.001}, "jump from 0.75 to 1.50"),
        (FALL, 256, {"edit": "scale", "factor": 0.499}, "jump from 0.75 to 0.37"),
        (FALL, 256, {"edit": "scale", "factor": -1.0}, "jump from 0.75 to -0.75"),
        (FALL, 256, {"edit": "scale", "factor": 0.0}, "jump from 0.75 to 0.0"),
        (FALL, 256, [SCALE, SCALE], "jump from 0.75 to 3.0"),
        (FALL, 256, {"edit": "rewarm", "steps": 64}, "jump from 0.75 to 0.0"),
        (FALL, 512, {"edit": "hold", "steps": 384}, "jump from 0.5 to 0.125 at step 896"),
        (FALL, 512, {"edit": "set", "value": 0.5, "steps": 500}, "at step 1012"),
        (WARM, 256, {"edit": "hold", "steps": 512}, "jump from 0.25 to 0.75 at step 768"),
        (FALL, 0, {"edit": "ramp", "to": 2.001, "steps": 1 << 40}, "more than 2 times 1.0"),
        (FALL, 512, {"edit": "ramp", "to": 1.5, "steps": 1}, "more than 2 times 0.5"),
        (WARM, 256, {"edit": "ramp", "to": 1.0, "steps": 1}, "more than 2 times 0.25"),
        (FLAT, 8, {"edit": "replace", "definition": LATER, "clock": "run"}, "come to 8.0"),
        (WARM, 64, {"edit": "extend", "end": 128}, "the greatest that was planned up to there"),
    ],
)
def test_what_goes_beyond_a_ratio_is_told(
    definition: Any, step: int, change: Any, said: str
) -> None:
    """Now, at the end of a hold, in one step or in 2^40: more than ×2 is named with both values."""
    assert said in beyond(plan(lr=definition), step, lr=change)


def test_what_was_to_jump_anyway_may() -> None:
    """A seam at which the plan jumps is nobody's fault who changes it by a factor."""
    before = changed(plan(lr=FLAT), 100, lr={"edit": "set", "value": 16.0, "steps": 8})
    assert beyond(before, 8, lr={"edit": "scale", "factor": 0.5}) == ""
    assert "jump" in beyond(before, 100, lr={"edit": "scale", "factor": 0.25})


def test_what_follows_is_looked_at() -> None:
    """A parameter that follows another one to the power 2 grows by 4 where that doubles."""
    follow = {"kind": "follow", "parameter": "lr", "power": 2.0}
    before = plan(lr=FLAT, wd=follow)
    assert "wd would jump from 1.0 to 4.0" in beyond(before, 8, lr=SCALE)
    assert beyond(before, 8, ratio=4.0, lr=SCALE) == ""


def test_what_cannot_be_bounded_is_refused() -> None:
    """P10: what takes more than the effort to look at is taken for what it may be."""
    wave = {"kind": "cyclic", "low": 0.0, "high": 1.0, "up": 4, "down": 4}
    nothing = [wave, {"kind": "scale", "of": wave, "factor": -1.0}]
    flat = {"kind": "sum", "of": [FLAT, *nothing], "clock": "run"}
    assert "may come to 2.0, which is more than 1.5" in beyond(plan(lr=FLAT), 8, 1.5, lr=flat)
    assert beyond(plan(lr=FLAT), 8, 2.0, lr=flat) == ""


points = st.lists(st.floats(0.125, 8), min_size=2, max_size=12)


@given(points, points, st.sampled_from([1.0, 1.5, 2.0, 4.0]), st.integers(0, 9))
def test_a_rise_is_found_where_the_values_have_it(
    planned: list[float], new: list[float], ratio: float, step: int
) -> None:
    """It is refused just if some value is more than so many times the greatest planned by then."""
    old_curve = {"kind": "table", "values": planned}
    before = plan(lr=old_curve)
    after = plan(lr={"kind": "table", "values": new})
    steps = np.arange(step, 32)
    old, values = before.evaluate(steps)["lr"], after.evaluate(steps)["lr"]
    rises = bool(np.any(values > np.maximum.accumulate(old) * ratio * (1 + 1e-9)))
    jumps = max(old[0] / values[0], values[0] / old[0]) > ratio * (1 + 1e-9)
    found = beyond_ratio(ratio, before, after, step)
    assert (found is not None) == (rises or jumps)

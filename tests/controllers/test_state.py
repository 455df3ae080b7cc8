"""States: kept as JSON between any two reports, a controller decides as if it had never stopped."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controllers.kit import made
from tests.controllers.test_parse import ALL

from rheostat.controllers import Controller, parse_controller

VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]),
)
SMALL = {"patience": 2, "patience_steps": 2, "window": 3, "cooldown": 2, "average": 2, "for": 2}


def small(document: dict[str, Any]) -> Controller:
    """Return the controller with counts so small that it decides on a few reports."""
    given_ = {
        name: value for name, value in SMALL.items() if name in parse_controller(document).document
    }
    return parse_controller({**document, **given_, "start": 0})


def followed(controller: Controller, values: list[float], *, restarted: bool) -> list[Any]:
    """Return what comes of each report, with the state taken through JSON in between or not."""
    state, told = controller.initial(), []
    for step, value in enumerate(values):
        if restarted:
            written = json.dumps(controller.dump_state(state), allow_nan=False)
            state = controller.load_state(orjson.loads(written))
        state, fires, why = controller.step(state, step, value)
        state = controller.fired(state, made=True) if fires else state
        told.append((fires, why, controller.dump_state(state)))
    return told


@pytest.mark.parametrize("document", ALL, ids=lambda each: f"{each['kind']}-{each.get('reading')}")
@given(values=st.lists(VALUES, max_size=30))
def test_a_restart_changes_nothing(document: dict[str, Any], values: list[float]) -> None:
    """P11: a state that was written and read, NaN and infinities too, goes on bit for bit."""
    controller = small(document)
    kept = followed(controller, values, restarted=True)
    assert kept == followed(controller, values, restarted=False)


@pytest.mark.parametrize("document", ALL, ids=lambda each: f"{each['kind']}-{each.get('reading')}")
@given(values=st.lists(VALUES, max_size=30))
def test_a_reset_begins_anew_with_the_best(document: dict[str, Any], values: list[float]) -> None:
    """After a reset no report before it counts: patience is as long as at the start."""
    controller = small(document)
    state = controller.initial()
    for step, value in enumerate(values):
        state = controller.step(state, step, value).state
    fresh = controller.reset(state)
    assert (fresh.bad, fresh.cool, fresh.since) == (0, 0, None)
    told = [controller.dump_state(each) for each in (fresh, state)]
    assert all(told[0][name] == told[1][name] for name in ("best", "best_step"))


def test_what_a_later_release_wrote() -> None:
    """Fields that are not known are passed over, and what is missing is as in a new state."""
    stop = made("stop")
    state = stop.load_state({"best": 1, "best_step": 7, "mood": "good"})
    assert (state.best, state.best_step, state.bad) == (1.0, 7, 0)
    assert isinstance(state.best, float)


def test_reports_below_the_start() -> None:
    """What is reported below `start` changes nothing of the state."""
    late = made("stop", start=100)
    state, fires, _ = late.step(late.initial(), 99, float("nan"))
    assert (state, fires) == (late.initial(), False)
    assert late.step(state, 100, float("nan")).fires

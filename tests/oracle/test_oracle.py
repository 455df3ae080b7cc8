"""The tests' own arithmetic, beside the library's and beside numbers known by hand."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any, get_args

import pytest
from tests.faults import plan
from tests.oracle.controllers import Memory, heard, mean, reduced
from tests.oracle.curves import Env, Inexact, Timeline, alone, constant, define
from tests.oracle.edits import EDITS, Refusal, applied, by_name, in_steps, require_apart

from rheostat.schedules import evaluate as library
from rheostat.server.runs.edits import Edit

LINE = {"kind": "linear", "start": 16, "end": 0, "steps": 16}
FOLLOW = {"kind": "follow", "scale": 2.0}
EARLIER: Env = {"lr": alone(constant(Fraction(7), 0))}

MEANINGS: list[tuple[dict[str, Any], list[float]]] = [
    ({"edit": "scale", "factor": 0.5}, [6.0, 5.5, 5.0, 4.5]),
    ({"edit": "set", "value": 1.0, "steps": 2}, [1.0, 1.0, 10.0, 9.0]),
    ({"edit": "hold", "steps": 2}, [12.0, 12.0, 10.0, 9.0]),
    ({"edit": "hold", "steps": 2, "then": "shift"}, [12.0, 12.0, 12.0, 11.0]),
    ({"edit": "hold"}, [12.0, 12.0, 12.0, 12.0]),
    ({"edit": "ramp", "to": 4.0, "steps": 2}, [12.0, 8.0, 4.0, 4.0]),
    ({"edit": "rewarm", "steps": 2}, [0.0, 5.0, 10.0, 9.0]),
    ({"edit": "rewarm", "steps": 2, "start": 2.0}, [2.0, 6.0, 10.0, 9.0]),
    ({"edit": "extend", "end": 28}, [12.0, 11.5, 11.0, 10.5]),
    ({"edit": "replace", "definition": {"kind": "constant", "value": 3}}, [3.0] * 4),
    ({"edit": "replace", "definition": LINE, "clock": "run"}, [12.0, 11.0, 10.0, 9.0]),
    ({"edit": "replace", "definition": LINE, "clock": "change"}, [16.0, 15.0, 14.0, 13.0]),
    (
        {"edit": "replace", "definition": {"kind": "constant", "value": 3}, "blend": 2},
        [12.0, 7.0, 3.0, 3.0],
    ),
    ({"edit": "revert", "to": 1}, [7.0, 7.0, 7.0, 7.0]),
    ({"kind": "constant", "value": 3}, [3.0, 3.0, 3.0, 3.0]),
    ({**LINE, "clock": "run"}, [12.0, 11.0, 10.0, 9.0]),
    ({**LINE, "clock": "change"}, [16.0, 15.0, 14.0, 13.0]),
]
"""Changes, and the values from step 4 on of 16 − step after them; revision 1 was 7 throughout."""


def after(old: Timeline, change: dict[str, Any], step: int, earlier: Env = EARLIER) -> Timeline:
    """Return what a change at a step makes of a timeline; ``earlier`` was in force before."""
    return applied({"lr": [change]}, step, {"lr": old}, lambda _: earlier, None)["lr"]


def line() -> Timeline:
    """Return 16 − step, down to 0."""
    return alone(define(LINE, 0, None))


@pytest.mark.parametrize("cls", Edit.__subclasses__(), ids=lambda cls: cls.__name__)
def test_every_edit_has_a_meaning_here(cls: type[Edit]) -> None:
    """The oracle knows each edit of the service, and what it does is known by hand."""
    (name,) = get_args(cls.model_fields["edit"].annotation)
    assert name in EDITS, f"{name} is not in tests/oracle/edits.py"
    known = any(change.get("edit") == name for change, _ in MEANINGS)
    assert known, f"{name} has no values in tests/oracle/test_oracle.py"


@pytest.mark.parametrize(("change", "values"), MEANINGS)
def test_changes_have_the_values_of_their_meaning(
    change: dict[str, Any], values: list[float]
) -> None:
    """P2: each change has the values that its words say."""
    changed = after(line(), change, 4)
    assert [float(changed.value(step, {})) for step in range(4, 8)] == values


@pytest.mark.parametrize(("change", "values"), MEANINGS)
def test_straight_lines_have_the_same_values_at_many_steps(
    change: dict[str, Any], values: list[float]
) -> None:
    """Values of many steps at once are those of each; what is not of straight lines says so."""
    try:
        assert after(line(), change, 4).floats(4, 8).tolist() == values
    except Inexact:
        assert change["edit"] == "extend" or "blend" in change


@pytest.mark.parametrize("seed", range(20))
def test_definitions_have_the_values_of_the_library(seed: int) -> None:
    """P1: whoever computes them, the runs of the fault test have one value at each step."""
    for definition in plan.parameters(Random(seed)).values():
        if definition["kind"] != "follow":
            expected = library(definition, range(40_000)).tolist()
            assert alone(define(definition, 0, None)).floats(0, 40_000).tolist() == expected


def test_a_timeline_is_known_before_it_was_in_force() -> None:
    """P2: after a rewind, a revert goes back to a curve at steps before that ever began."""
    late = {"lr": after(EARLIER["lr"], {**LINE, "clock": "run"}, 20)}
    back = after(EARLIER["lr"], {"edit": "revert", "to": 2}, 10, late)
    assert back.floats(10, 20).tolist() == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_pieces_that_were_over_do_not_come_back() -> None:
    """P2: a revert to before a change finds the piece that was in force at it, not earlier ones."""
    held = after(line(), {"edit": "hold", "steps": 2}, 4)
    late = {"lr": after(held, {"edit": "scale", "factor": 2}, 10)}
    back = after(EARLIER["lr"], {"edit": "revert", "to": 2}, 4, late)
    assert back.floats(4, 8).tolist() == [24.0, 22.0, 20.0, 18.0]


def test_a_share_of_the_total_is_read_when_a_change_is_accepted() -> None:
    """A ramp over a quarter of the total is so many steps, and a definition keeps its words."""
    ramp = {"edit": "ramp", "to": 0, "steps": "25%"}
    kept = {**LINE, "steps": "25%"}
    assert in_steps({"lr": [ramp, kept]}, 32) == {"lr": [{**ramp, "steps": 8}, kept]}


def test_a_word_means_a_parameter_and_its_groups() -> None:
    """``lr/*`` is lr and each group of it; what it means is named once, and something at least."""
    names = ["lr", "lr/head", "lrx", "wd/norm"]
    half, hold = {"edit": "scale", "factor": 0.5}, {"edit": "hold"}
    assert by_name({"lr/*": half, "lrx": hold}, names) == (
        {"lr": half, "lr/head": half, "lrx": hold},
        ["lr", "lr/head"],
    )
    assert by_name({"wd/*": hold}, names) == ({"wd/norm": hold}, [])
    twice = ({"lr/*": hold, "lr": half}, {"lr/head": half, "lr/*": hold})
    for wrong in ({"wd": hold}, {"mom/*": hold}, *twice):
        with pytest.raises(Refusal):
            by_name(wrong, names)


def test_a_word_scales_nothing_twice() -> None:
    """One that follows another one has that one's factor; no longer from where it is replaced."""
    followed = alone(define({**FOLLOW, "parameter": "x"}, 0, None))
    held = after(followed, {"kind": "constant", "value": 1}, 4)
    chain: Env = {
        "lr": line(),
        "x": alone(define({**FOLLOW, "parameter": "lr"}, 0, None)),
        "lr/a": alone(define({**FOLLOW, "parameter": "x"}, 0, None)),
        "lr/b": held,
    }
    require_apart(["lr", "lr/b"], 4, chain)
    require_apart(["lr/a", "lr/b"], 4, chain)
    with pytest.raises(Refusal):
        require_apart(["lr", "lr/a"], 4, chain)


def test_what_float64_cannot_hold_is_refused() -> None:
    """The judge never rounds: a value with two candidates would prove nothing."""
    for value in (Fraction(1, 3), Fraction(2**53 + 1)):
        with pytest.raises(Inexact):
            alone(constant(value, 0)).floats(0, 1)


PLATEAU = {"kind": "plateau", "patience": 1, "threshold": 0.25, "cooldown": 1}
EARLY_STOP = {"kind": "stop", "patience": 2, "min_delta": 0.5}


@pytest.mark.parametrize(
    ("config", "values", "fires"),
    [
        (PLATEAU, [4.0, 3.0, 3.0, 2.0], [2]),  # 3 is no better than 4 less a quarter
        (PLATEAU, [4.0, 4.0, 4.0, 4.0, 4.0, 4.0], [2, 5]),  # one of those between is cooling
        (PLATEAU, [float("nan"), 1.0, 1.0, float("nan")], [3]),  # NaN is never better
        (EARLY_STOP, [4.0, 3.0, 2.5, 2.5], [3]),  # half of 1 is not enough, twice
        (EARLY_STOP, [4.0, float("inf")], [1]),  # at once
    ],
)
def test_controllers_fire_where_they_should(
    config: dict[str, Any], values: list[float], fires: list[int]
) -> None:
    """As PyTorch's plateau and Lightning's early stopping count."""
    memory, fired = Memory(), []
    for step, value in enumerate(values):
        memory, fire = heard(config, memory, step, value)
        fired += [step] if fire else []
    assert fired == fires


def test_a_plateau_reduces_by_its_factor_unless_nothing_falls() -> None:
    """A value of 0 stays."""
    assert reduced({"factor": 0.5}, 8.0) == 0.5
    assert reduced({"factor": 0.5}, 0.0) is None


def test_a_mean_is_rounded_once() -> None:
    """The sum is 3 exactly, in whatever order the sources are."""
    assert mean([3.0, -1e16, 1e16]) == 1.0

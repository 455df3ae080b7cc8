"""Simulating: where decisions land, what is told, and where it ends."""

from __future__ import annotations

import pytest
from tests.controllers.kit import made, plateau, reported

from rheostat.controllers import simulate
from rheostat.errors import Invalid
from rheostat.schedules import parse

BAD = [(100 * index, 1.0) for index in range(1, 7)]


def test_next_lands_at_the_report() -> None:
    """As behind a gate, a decision with `next` lands at the very step of its report."""
    found = simulate(plateau(patience=1, factor=0.5), BAD)
    assert [each["effective"] for each in found.decisions] == [300, 500]
    assert found.values == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_after_lands_so_many_steps_later() -> None:
    """With `after` 150 what is decided at 300 lands at 450, and both are told."""
    found = simulate(plateau(patience=1, factor=0.5, effective={"after": 150}), BAD, total=800)
    assert [(each["step"], each["effective"]) for each in found.decisions] == [
        (300, 450),
        (500, 650),
    ]
    values = dict(zip(found.steps, found.values, strict=True))
    assert [values[step] for step in (449, 450, 649, 650, 799)] == [1, 0.5, 0.5, 0.25, 0.25]


def test_the_value_in_force_is_that_where_it_lands() -> None:
    """The floor is looked at where the decision lands: on a falling line it bites earlier."""
    line = parse({"kind": "linear", "start": 1, "end": 0, "steps": 1000})
    floored = {"patience": 1, "factor": 0.5, "min": 0.325}
    at_once = simulate(plateau(**floored), BAD, definition=line)
    assert [each.get("factor") for each in at_once.decisions] == [0.5]
    later = simulate(plateau(**floored, effective={"after": 100}), BAD, definition=line)
    assert [each.get("factor") for each in later.decisions] == [pytest.approx(0.325 / 0.6)]


def test_it_ends_at_the_first_stop() -> None:
    """Nothing is decided after a stop, and there are no values at or past it."""
    found = reported(made("stop", patience=2), [1.0, 2.0, 2.0, 2.0, 2.0])
    assert [each["step"] for each in found.decisions] == [3]
    assert found.steps == [1, 2]
    later = reported(made("stop", patience=2, effective={"after": 10}), [1.0, 2.0, 2.0], total=99)
    assert later.steps == [*range(13)]


def test_what_is_proposed_changes_nothing() -> None:
    """A proposal is told with its factor, and the values stay."""
    found = reported(plateau(patience=0, action="propose"), [1.0, 1.0])
    assert [(each["decision"], each.get("factor")) for each in found.decisions] == [
        ("proposal", 0.1)
    ]
    assert found.values == [1.0, 1.0]


def test_a_limit() -> None:
    """After `limit` decisions a controller reads on and decides nothing."""
    found = reported(plateau(patience=0, limit=2), 9 * [1.0])
    assert len(found.decisions) == 2
    assert found.values[-1] == pytest.approx(0.01)


def test_the_whole_curve_is_thinned_around_its_drops() -> None:
    """Of a million steps at most 2,000 are told, with both sides of every drop among them."""
    reports = [(step, 1.0) for step in range(50_000, 1_000_000, 50_000)]
    found = simulate(plateau(patience=3, factor=0.5), reports, total=1_000_000)
    assert len(found.steps) <= 2_000
    assert (found.steps[0], found.steps[-1]) == (0, 999_999)
    values = dict(zip(found.steps, found.values, strict=True))
    for decision in found.decisions:
        drop = decision["effective"]
        assert values[drop] == values[drop - 1] / 2


def test_a_warning_is_told_once() -> None:
    """However many reports are odd, one sentence says so."""
    assert len(reported(plateau(), [-1.0, -2.0, -3.0]).warnings) == 1


@pytest.mark.parametrize("steps", [(1, 1), (2, 1)])
def test_steps_rise(steps: tuple[int, int]) -> None:
    """P10: reports whose steps do not rise are refused, and the first such one is named."""
    with pytest.raises(Invalid) as refusal:
        simulate(plateau(), [(step, 1.0) for step in steps])
    assert refusal.value.errors[0].field == "reports[1][0]"

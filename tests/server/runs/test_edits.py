"""Edits: what each does to a curve, in numbers that anybody can check by hand."""

from typing import Any

import numpy as np
import pytest

from rheostat.errors import FieldError, Invalid
from rheostat.server.runs.changes import parse_changes
from rheostat.server.runs.folding import fold
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.validation import Units
from rheostat.server.store.revisions import StoredChanges

# value = 100 - step, until it is 0 at step 100
LINE = {"kind": "linear", "start": 100, "end": 0, "steps": 100}


def revision(number: int, effective: int, changes: Any) -> Revision:
    """Return an unfolded revision of parameter x (and y), its changes read from the stored JSON."""
    stored = StoredChanges(parse_changes(changes, ["x", "y"], Units()).document.text).read()
    none = Timelines({})
    kind = RevisionKind.CHANGE
    return Revision(number, 1, kind, effective, stored, Note(), "", timelines=none)


def run(*revisions: Revision) -> list[Revision]:
    """Fold revisions onto x = 100 - step and y = 7."""
    units = Units()
    lines = {"x": units.parse(LINE, "x"), "y": units.parse({"kind": "constant", "value": 7}, "y")}
    base = Timelines({name: Timeline.of(definition) for name, definition in lines.items()})
    known = {1: base}
    return fold(base, revisions, {}, known.__getitem__)


def values(timelines: Timelines, *steps: int, name: str = "x") -> list[float]:
    """Return a parameter's values at steps."""
    return list(timelines.evaluate(np.array(steps, dtype=np.int64))[name])


def after(change: Any, *steps: int, effective: int = 40) -> list[float]:
    """Return x at steps once a change of it is effective."""
    (only,) = run(revision(2, effective, {"x": change}))
    return values(only.timelines, *steps)


def test_scale_multiplies_what_follows() -> None:
    """60 halved is 30, and so on to the end."""
    assert after({"edit": "scale", "factor": 0.5}, 40, 60, 100, 500) == [30, 20, 0, 0]


def test_hold_rejoins_the_curve_where_it_is_by_then() -> None:
    """Ten steps at 60, then the curve is at 50."""
    assert after({"edit": "hold", "steps": 10}, 40, 49, 50, 60) == [60, 60, 50, 40]


def test_hold_can_shift_the_curve_instead() -> None:
    """Ten steps at 60, then the curve goes on from 60."""
    change = {"edit": "hold", "steps": 10, "then": "shift"}
    assert after(change, 40, 49, 50, 60, 110) == [60, 60, 60, 50, 0]


def test_hold_without_steps_is_for_good() -> None:
    """The value stays."""
    assert after({"edit": "hold"}, 40, 100, 10**9) == [60, 60, 60]


def test_set_returns_to_the_schedule() -> None:
    """A window of zero, and back."""
    change = {"edit": "set", "value": 0, "steps": 20}
    assert after(change, 40, 59, 60, 70) == [0, 0, 40, 30]


def test_ramp_leads_from_the_value_in_force_and_stays() -> None:
    """From 60 to 20 within eight steps: five a step."""
    change = {"edit": "ramp", "to": 20, "steps": 8}
    assert after(change, 40, 41, 44, 48, 200) == [60, 55, 40, 20, 20]


def test_ramp_takes_every_decay_shape() -> None:
    """1-sqrt has lost half its way after a quarter of its time."""
    change = {"edit": "ramp", "to": 0, "steps": 100, "shape": "1-sqrt"}
    assert after(change, 40, 65, 140) == [60, 30, 0]


def test_rewarm_ends_on_the_schedule() -> None:
    """From 0 onto the value that the schedule has ten steps later."""
    change = {"edit": "rewarm", "steps": 10}
    assert after(change, 40, 45, 50, 60) == [0, 25, 50, 40]


def test_extend_stretches_what_remains() -> None:
    """From 60 at step 40, what would have ended at 100 ends at 160: half as steep."""
    assert after({"edit": "extend", "end": 160}, 40, 42, 100, 160, 500) == [60, 59, 30, 0, 0]


def test_extend_can_hurry() -> None:
    """Ending at 70 instead is twice as steep."""
    change = {"edit": "extend", "end": 70}
    assert after(change, 40, 41, 70) == pytest.approx([60, 58, 0], rel=1e-15)


def test_extend_stretches_pieces_that_begin_later() -> None:
    """Ten steps of hold become twenty, and the line after them takes twice as long."""
    change = [{"edit": "hold", "steps": 10, "then": "shift"}, {"edit": "extend", "end": 180}]
    assert after(change, 40, 59, 60, 62, 180) == [60, 60, 60, 59, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edit": "extend", "end": 40}, "is past already"),
        ([{"edit": "scale", "factor": 1}, {"edit": "extend", "end": 20}], "is past already"),
    ],
)
def test_extend_to_the_past_is_refused(change: Any, message: str) -> None:
    """There is nothing to stretch into."""
    with pytest.raises(Invalid) as refusal:
        after(change, 40)
    assert message == refusal.value.errors[0].message


def test_extending_what_has_ended_is_refused() -> None:
    """Nothing remains of a line that ended at step 100."""
    with pytest.raises(Invalid) as refusal:
        after({"edit": "extend", "end": 300}, 150, effective=150)
    assert refusal.value.errors[0].message == "the curve in force ended at 100"


def test_replace_eases_the_new_definition_in() -> None:
    """Over ten steps from the line to 0: at the middle half of the 55 that the line has there."""
    zero = {"kind": "constant", "value": 0}
    change = {"edit": "replace", "definition": zero, "clock": "run", "blend": 10}
    assert after(change, 40, 45, 50, 90) == pytest.approx([60, 27.5, 0, 0], rel=1e-15)


def test_a_definition_counts_from_its_clock() -> None:
    """By the run's clock the new line is at 1 - 40/100, by the change's at its start."""
    line = {"kind": "linear", "start": 1, "end": 0, "steps": 100}
    assert after({**line, "clock": "run"}, 40) == pytest.approx([0.6], rel=1e-15)
    assert after({**line, "clock": "change"}, 40, 90) == [1, 0.5]


def test_a_list_of_edits_applies_one_after_the_other() -> None:
    """Halve, then hold what is left: 30 for ten steps, then the halved curve."""
    change = [{"edit": "scale", "factor": 0.5}, {"edit": "hold", "steps": 10}]
    assert after(change, 40, 49, 50) == [30, 30, 25]


def test_revert_puts_back_what_a_revision_had() -> None:
    """After a hold for good, revision 1 is back on the run's clock."""
    held = revision(2, 40, {"x": {"edit": "hold"}})
    reverted = revision(3, 70, {"x": {"edit": "revert", "to": 1}})
    last = run(held, reverted)[-1].timelines
    assert values(last, 70, 80) == [30, 20]


@pytest.mark.parametrize(
    ("change", "right"),
    [
        # 10 steps at 100, then the line: all of it in twice the time
        ({"edit": "extend", "end": 260}, {40: 100, 60: 100, 110: 75, 160: 50, 260: 0}),
        # half of the old curve after 5 of 10 steps, half of the new one
        (
            {"edit": "replace", "definition": 50, "blend": 40},
            {40: 100, 50: 0.75 * 100 + 0.25 * 50, 60: 0.5 * 90 + 25, 80: 50},
        ),
    ],
)
def test_a_curve_can_be_edited_before_the_step_that_it_counts_from(
    change: Any, right: dict[int, float]
) -> None:
    """A rewind may go back by a revert to a curve that begins later: till then it stands still."""
    later = revision(2, 50, {"x": {**LINE, "clock": "change"}})
    (counted,) = run(later)
    known = {2: counted.timelines}
    back = revision(3, 40, {"x": [{"edit": "revert", "to": 2}, change]})
    (only,) = fold(counted.timelines, [back], {}, known.__getitem__)
    assert values(only.timelines, *right) == pytest.approx([*right.values()], rel=1e-14)


def test_changes_of_one_revision_share_its_step() -> None:
    """P3: two parameters change at the same step, and the second sees the first's old value."""
    both = {"x": {"edit": "scale", "factor": 2}, "y": {"edit": "set", "value": 1, "steps": 1}}
    (only,) = run(revision(2, 40, both))
    assert values(only.timelines, 40, 41) == [120, 118]
    assert values(only.timelines, 40, 41, name="y") == [1, 7]


def test_folding_goes_by_effective_step_then_by_number() -> None:
    """A later revision with an earlier step is folded in before: hold 60·2 = 120, not 100."""
    hold = revision(2, 50, {"x": {"edit": "hold"}})
    double = revision(3, 40, {"x": {"edit": "scale", "factor": 2}})
    folded = run(hold, double)
    assert [item.number for item in folded] == [3, 2]
    assert values(folded[-1].timelines, 50, 99) == [100, 100]


def test_scaling_again_and_again_does_not_nest() -> None:
    """Edits stay flat: the last timeline holds one scaled curve."""
    timelines = run(*(revision(n, n, {"x": {"edit": "scale", "factor": 1}}) for n in range(2, 99)))
    (piece,) = timelines[-1].timelines["x"].pieces
    assert piece.definition.to_json()["of"]["kind"] == "linear"


@pytest.mark.parametrize(
    ("changes", "field", "bound"),
    [
        ({}, "changes", "≥ 1"),
        ([], "changes", "≥ 1"),
        ({"z": {"edit": "hold"}}, "changes.z", "one of x, y"),
        ({"x": "3"}, "changes.x", "a number, or an object"),
        ({"x": []}, "changes.x", "1 to 64"),
        ({"x": {"edit": "halve"}}, "changes.x.edit", "one of"),
        ({"x": {"edit": "scale"}}, "changes.x.factor", "required"),
        ({"x": {"edit": "scale", "factor": float("nan")}}, "changes.x.factor", "finite"),
        ({"x": {"edit": "scale", "factor": "0.5"}}, "changes.x.factor", "a number"),
        ({"x": {"edit": "scale", "factor": True}}, "changes.x.factor", "a number"),
        ({"x": {"edit": "hold", "steps": 0}}, "changes.x.steps", "≥ 1"),
        ({"x": {"edit": "hold", "steps": 1.5}}, "changes.x.steps", "an integer"),
        ({"x": {"edit": "hold", "until": 3}}, "changes.x.until", "no other fields"),
        ({"x": {"edit": "ramp", "to": 0, "steps": 9, "shape": "s"}}, "changes.x.shape", "'linear'"),
        ({"x": [{"edit": "hold"}, {"edit": "set", "value": 1}]}, "changes.x[1].steps", "required"),
        ({"x": LINE}, "changes.x.clock", '"run"'),
        ({"x": {**LINE, "clock": "wall"}}, "changes.x.clock", '"run"'),
        ({"x": {**LINE, "steps": 0, "clock": "run"}}, "changes.x.steps", "≥ 1"),
        ({"x": {"kind": "scale", "factor": 0.5, "clock": "run"}}, "changes.x.of", "required"),
    ],
)
def test_wrong_changes_name_field_value_and_bound(changes: Any, field: str, bound: str) -> None:
    """P10: what is wrong with a change is said, and nothing is repaired."""
    with pytest.raises(Invalid) as refusal:
        parse_changes(changes, ["x", "y"], Units())
    error: FieldError = refusal.value.errors[0]
    assert field == error.field
    assert bound in str(error.bound)

"""Guards: which changes they stop."""

from typing import Any

import pytest

from rheostat.errors import GuardViolated
from rheostat.limits import MAX_STEP
from rheostat.server.runs import guards
from rheostat.server.runs.guards import Guard, require_sound_start, violations, with_floors
from rheostat.server.runs.timeline import Piece, Timeline, Timelines
from rheostat.server.runs.validation import Units

UNITS = Units()


def piece(start: int, definition: Any) -> Piece:
    """Return a piece that counts from its own start."""
    return Piece(start, start, UNITS.parse(definition, "x"), 1)


def constant(start: int, value: float) -> Piece:
    """Return a piece of one value."""
    return piece(start, {"kind": "constant", "value": value})


def follower(scale: float) -> Timeline:
    """Return the timeline of a parameter that follows x."""
    return Timeline((piece(0, {"kind": "follow", "parameter": "x", "scale": scale}),))


def broken(guards: dict[str, Guard], *pieces: Piece, step: int = 10) -> list[str]:
    """Return what is said when the pieces replace a constant 1 from ``step`` on."""
    before = Timelines({"x": Timeline((constant(0, 1.0),)), "y": follower(0.1)})
    after = before.replaced({"x": Timeline(pieces)})
    return [error.message for error in violations(guards, before, after, step)]


def test_values_within_the_bounds_pass() -> None:
    """Both bounds are allowed themselves."""
    assert broken({"x": Guard(min=0.5, max=2.0)}, constant(10, 0.5), constant(20, 2.0)) == []


def test_a_value_outside_the_bounds_is_found_at_any_later_step() -> None:
    """Bounds hold for the whole future, not only for the effective step."""
    line = piece(10, {"kind": "linear", "start": 1, "end": 0, "steps": 10**9})
    (message,) = broken({"x": Guard(min=0.5)}, line)
    assert "fall to 0.0 at step 1000000010, below its guard of 0.5" in message


def test_only_the_part_of_a_curve_that_is_used_counts() -> None:
    """A line to 0 that is cut off halfway by the next piece never falls below one half."""
    line = piece(10, {"kind": "linear", "start": 1, "end": 0, "steps": 100})
    assert broken({"x": Guard(min=0.45)}, line, constant(60, 1.0)) == []


LINES = [
    {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 100},
    {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 100},
]


@pytest.mark.parametrize(
    ("kind", "bounds"), [("sum", Guard(min=1.0, max=1.0)), ("product", Guard(min=0.0, max=0.25))]
)
def test_curves_that_depend_on_each_other_are_no_violation(kind: str, bounds: Guard) -> None:
    """Y + (1 − y) is 1 everywhere, and y·(1 − y) at most 1/4, though each may be 1."""
    assert broken({"x": bounds}, piece(10, {"kind": kind, "of": LINES})) == []


@pytest.mark.parametrize("steps", [10, 1_000, 1_000_000])
def test_a_cross_fade_stays_between_its_ends(steps: int) -> None:
    """A constant that is faded into the same constant is at its bound all the time."""
    ramps = [{"kind": "ramp", "start": a, "end": 1 - a, "steps": steps} for a in (1.0, 0.0)]
    value = {"kind": "constant", "value": -1.0}
    fades = [{"kind": "product", "of": [ramp, value]} for ramp in ramps]
    assert broken({"x": Guard(min=-1.0, max=-1.0)}, piece(10, {"kind": "sum", "of": fades})) == []


def test_the_worst_value_is_named_and_where_it_is() -> None:
    """y·(1 − y) is greatest in the middle."""
    (message,) = broken({"x": Guard(max=0.2)}, piece(10, {"kind": "product", "of": LINES}))
    assert "rise to 0.25 at step 60, above its guard of 0.2" in message


def test_what_cannot_be_ruled_out_is_refused() -> None:
    """Noise may be anywhere within its amplitude at some step among all."""
    noise = {
        "kind": "noise",
        "of": {"kind": "constant", "value": 1.0},
        "seed": 1,
        "amplitude": 0.5,
        "distribution": "uniform",
    }
    (message,) = broken({"x": Guard(max=1.499999999)}, piece(10, noise))
    assert message.startswith(("x may rise as far as 1.5", "x would rise to 1.4999999"))


def test_a_jump_at_the_effective_step_is_found() -> None:
    """From 1 to 5 is more than four times."""
    (message,) = broken({"x": Guard(max_ratio=4)}, constant(10, 5.0))
    assert "jump from 1.0 to 5.0 at step 10" in message


def test_a_third_is_a_jump_of_three() -> None:
    """The rounding of a quotient is no slip."""
    assert broken({"x": Guard(max_ratio=3)}, constant(10, 1 / 3 * (1 - 2**-53))) == []


def test_a_jump_at_a_later_boundary_is_found() -> None:
    """The end of a hold is a boundary too."""
    (message,) = broken({"x": Guard(max_ratio=4)}, constant(10, 0.5), constant(30, 4.0))
    assert "jump from 0.5 to 4.0 at step 30" in message


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_jumps_to_zero_and_across_it_have_no_ratio(value: float) -> None:
    """No finite ratio allows them."""
    assert len(broken({"x": Guard(max_ratio=1e300)}, constant(10, value))) == 1


def test_guards_see_through_follow() -> None:
    """A parameter that follows another one breaks its own guards with it."""
    guards = {"y": Guard(max=0.3, max_ratio=4)}
    outside, jump = broken(guards, constant(10, 2.0), constant(20, 9.0))
    assert "rise to 0.9" in outside
    assert "at step 20" in jump


def waves(number: int) -> dict[str, Any]:
    """Return a sum of long waves of which no interval says that it stays above 0."""
    wave = {"kind": "cosine", "start": 1, "end": -1, "periodic": True}
    parts = [{**wave, "steps": 10**12 + n} for n in range(number)]
    return {"kind": "sum", "of": [{"kind": "constant", "value": number - 0.5}, *parts]}


@pytest.mark.parametrize(("parameters", "number"), [(20, 3), (2, 40), (1, 400)])
def test_what_is_in_doubt_takes_bounded_work(
    monkeypatch: pytest.MonkeyPatch, parameters: int, number: int
) -> None:
    """P13: however many curves of one request are in doubt, and however large they are."""
    bounded: list[int] = []
    exact = Timelines.bounds

    def counted(timelines: Timelines, start: int, stop: float) -> Any:
        bounded.append(1)
        return exact(timelines, start, stop)

    names = [f"lr/p{n}" for n in range(parameters)]
    line = Timeline((piece(0, waves(number)),))
    monkeypatch.setattr(Timelines, "bounds", counted)
    with pytest.raises(GuardViolated):
        require_sound_start(with_floors({}, names), Timelines(dict.fromkeys(names, line)))
    assert len(bounded) <= guards.EFFORT // max(number // guards.LIGHT, 1) + 4 * parameters


@pytest.mark.parametrize("step", [MAX_STEP - 1, MAX_STEP])
def test_a_guard_holds_at_the_last_step_of_all(step: int) -> None:
    """P10: a change there is judged by the values there, and nothing lies beyond."""
    line = {"kind": "linear", "start": 1, "end": -1, "steps": 2}
    assert broken({"x": Guard(max=1.0)}, piece(step, line), step=step) == []
    assert len(broken({"x": Guard(max=0.5)}, piece(step, line), step=step)) == 1
    fell = broken({"x": Guard(min=0.5)}, piece(step, line), step=step)
    assert len(fell) == (1 if step < MAX_STEP else 0)


@pytest.mark.parametrize("name", ["lr", "weight_decay", "lr/head", "weight_decay/no_decay"])
@pytest.mark.parametrize(
    ("given", "least"),
    [
        (None, 0.0),
        ({"max": 2.0}, 0.0),
        ({"max_ratio": 2.0}, 0.0),
        ({"min": -1.0}, -1.0),
        ({"min": 1e-6}, 1e-6),
        ({"min": None}, None),
        ({"max": -1.0}, None),
    ],
)
def test_what_must_not_be_negative_has_a_floor(name: str, given: Any, least: float | None) -> None:
    """A slip of a sign is caught, in any group, unless the run says what is meant."""
    given = {} if given is None else {name: Guard(**given)}
    assert with_floors(given, [name])[name].min == least
    stored = {n: Guard(**guard.model_dump()) for n, guard in with_floors(given, [name]).items()}
    assert with_floors(stored, [name]) == stored


@pytest.mark.parametrize("name", ["momentum", "lr_scale", "head", "batch_size", "z/lr"])
def test_other_parameters_have_none(name: str) -> None:
    """What they mean is the training's own."""
    assert with_floors({}, [name]) == {}

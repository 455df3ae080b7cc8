"""Definitions that are wrong get an error that names the field, the value and the bound."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheostat.errors import FieldError, Invalid
from rheostat.schedules import KINDS, parse
from rheostat.schedules.introspection import describe

Json = dict[str, Any]

LINE: Json = {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 100}
GROWTH: Json = {"kind": "exponential", "start": 0.1, "factor": 1.01}
FOLLOW: Json = {"kind": "follow", "parameter": "lr"}


def line(**fields: Any) -> Json:
    return {**LINE, **fields}


def sequence(*parts: Any) -> Json:
    return {"kind": "sequence", "parts": list(parts)}


def piecewise(*points: Any, **fields: Any) -> Json:
    return {"kind": "piecewise", "points": list(points), **fields}


def scaled(of: Any) -> Json:
    return {"kind": "scale", "factor": 2, "of": of}


WRONG: list[tuple[Any, str, Any, str]] = [
    # definition, path below `definition`, value that the error shows, part of the bound
    ({}, ".kind", None, "required"),
    ({"kind": "cosin"}, ".kind", "cosin", "cosine"),
    ({"kind": 7}, ".kind", 7, "cosine"),
    ({"kind": None}, ".kind", None, "cosine"),
    ({"kind": ["linear"]}, ".kind", "a list of 1", "cosine"),
    ([], "", "a list of 0", "an object"),
    ("linear", "", "linear", "an object"),
    (None, "", None, "an object"),
    ("0.1", "", "0.1", "an object"),
    (line(steps=0), ".steps", 0, "≥ 1"),
    (line(steps=-5), ".steps", -5, "≥ 1"),
    (line(steps=2**53), ".steps", 2**53, "≤ 9007199254740991"),
    (line(steps=10**400), ".steps", "an integer of 1329 bits", "finite"),
    (line(steps=10.5), ".steps", 10.5, "an integer"),
    (line(steps=True), ".steps", True, "an integer"),
    (line(steps=None), ".steps", None, "an integer"),
    (line(steps="100"), ".steps", "100", '"10%"'),
    (line(steps="ten"), ".steps", "ten", '"10%"'),
    (line(steps="-3%"), ".steps", "-3%", '"10%"'),
    (line(steps=[100]), ".steps", "a list of 1", "an integer"),
    (line(steps={"n": 1}), ".steps", "an object of 1", "an integer"),
    (line(start=True), ".start", True, "a number"),
    (line(start="0.1"), ".start", "0.1", "a number"),
    (line(start=math.nan), ".start", "nan", "finite"),
    (line(end=math.inf), ".end", "inf", "finite"),
    (line(end=-math.inf), ".end", "-inf", "finite"),
    (line(start=10**309), ".start", "an integer of 1027 bits", "finite"),
    (line(start=1 + 2j), ".start", "a complex", "a number"),
    (line(start=b"0.1"), ".start", "a bytes", "a number"),
    ({"kind": "linear", "start": 0.1, "end": 0.0}, ".steps", None, "required"),
    (line(speed=1), ".speed", 1, "no other fields"),
    (line(**{"": 1}), '.""', 1, "no other fields"),
    (line(kind="linear", power=2), ".power", 2, "no other fields"),
    ({7: 1, **LINE}, "", "an object of 5", "names are strings"),
    ({**LINE, "kind": "polynomial", "power": 0}, ".power", 0, "≥ 0.001"),
    ({**LINE, "kind": "cosine", "periodic": 1}, ".periodic", 1, "true or false"),
    ({**LINE, "kind": "ramp", "shape": "sqrt"}, ".shape", "sqrt", "'1-sqrt'"),
    ({**LINE, "kind": "ramp", "ratio": 1}, ".ratio", 1, "< 1"),
    ({**GROWTH, "factor": -0.5}, ".factor", -0.5, "≥ 0"),
    (GROWTH, ".factor", 1.01, "finite values at every step"),
    ({"kind": "step", "start": 1, "every": 1, "factor": 2}, ".factor", 2.0, "finite values"),
    (
        {"kind": "multistep", "start": 1, "milestones": [3, -1], "factor": 1},
        ".milestones[1]",
        -1,
        "≥ 0",
    ),
    ({"kind": "multistep", "start": 1, "milestones": 3, "factor": 1}, ".milestones", 3, "a list"),
    (
        {"kind": "multistep", "start": 1, "milestones": [0], "factor": 1e309},
        ".factor",
        "inf",
        "finite",
    ),
    (piecewise(), ".points", "a list of 0", "≥ 1 items"),
    (piecewise([0, 1], [5]), ".points[1][1]", None, "required"),
    (piecewise([0, 1, 2]), ".points[0]", "a list of 3", "≤ 2 items"),
    (piecewise([0, 1], [5, 1], [5, 2]), ".points[2][0]", 5.0, "> 5"),
    (piecewise([-1, 1]), ".points[0][0]", -1, "≥ 0"),
    (piecewise([0, 1], [5, 0], interpolation="geometric"), ".points", "a list of 2", "one sign"),
    (piecewise([0, 1], interpolation="cubic"), ".interpolation", "cubic", "'cosine'"),
    ({"kind": "table", "values": []}, ".values", "a list of 0", "≥ 1 items"),
    ({"kind": "table", "values": [1, False]}, ".values[1]", False, "a number"),
    ({"kind": "table", "values": [1, math.nan]}, ".values[1]", "nan", "finite"),
    (sequence(), ".parts", "a list of 0", "≥ 1 items"),
    (sequence({"steps": 5}), ".parts[0].schedule", None, "required"),
    (sequence({"schedule": LINE}, {"schedule": LINE}), ".parts[0].steps", None, "steps or until"),
    (
        sequence({"schedule": LINE, "steps": 9, "until": 9}),
        ".parts[0].until",
        9,
        "steps or until",
    ),
    (
        sequence({"schedule": LINE, "steps": 9}, {"schedule": LINE, "until": 5}),
        ".parts[1].until",
        5,
        "≥ 9",
    ),
    (sequence({"schedule": line(steps=0)}), ".parts[0].schedule.steps", 0, "≥ 1"),
    (sequence({"schedule": LINE, "from": -1}), ".parts[0].from", -1, "≥ 0"),
    (sequence({"schedule": GROWTH}), ".parts[0].schedule.factor", 1.01, "finite values"),
    (scaled([LINE]), ".of", "a list of 1", "an object"),
    (scaled(scaled(line(end=None))), ".of.of.end", None, "a number"),
    ({"kind": "product", "of": LINE}, ".of", "an object of 4", "a list"),
    ({"kind": "product", "of": [LINE, {"kind": "x"}]}, ".of[1].kind", "x", "cosine"),
    (
        {"kind": "scale", "factor": 1e200, "of": scaled(line(start=1e200))},
        ".factor",
        1e200,
        "finite",
    ),
    (
        {"kind": "sum", "of": [line(start=1.5e308), line(start=1.5e308)]},
        ".of",
        "a list of 2",
        "finite",
    ),
    ({"kind": "power", "exponent": 0.5, "of": line(start=-1)}, ".exponent", 0.5, "never negative"),
    ({"kind": "power", "exponent": -1, "of": LINE}, ".exponent", -1.0, "≥ 0, or values that are"),
    ({"kind": "power", "exponent": -2, "of": line(start=-1, end=1)}, ".exponent", -2.0, "never 0"),
    (
        {"kind": "power", "exponent": -1, "of": line(start=1e-310, end=1)},
        ".exponent",
        -1.0,
        "finite",
    ),
    ({"kind": "power", "exponent": 1001, "of": LINE}, ".exponent", 1001, "≤ 1000"),
    ({"kind": "power", "exponent": -1001, "of": LINE}, ".exponent", -1001, "≥ -1000"),
    (
        {"kind": "maximum", "of": [LINE, {"kind": "power", "exponent": -1, "of": LINE}]},
        ".of[1].exponent",
        -1.0,
        "never 0",
    ),
    ({"kind": "minimum", "of": []}, ".of", "a list of 0", "≥ 1 items"),
    ({"kind": "clip", "of": LINE}, ".min", None, "min, max or both"),
    ({"kind": "clip", "of": LINE, "min": 2, "max": 1}, ".max", 1.0, "≥ 2"),
    ({"kind": "quantize", "of": LINE, "multiple": 0}, ".multiple", 0, "> 0"),
    ({"kind": "noise", "of": LINE, "seed": -1, "amplitude": 0.1}, ".seed", -1, "≥ 0"),
    ({"kind": "noise", "of": LINE, "seed": 1.0, "amplitude": 0.1}, ".seed", 1.0, "an integer"),
    ({"kind": "noise", "of": LINE, "seed": 1, "amplitude": 1.5}, ".amplitude", 1.5, "≤ 1"),
    (
        {"kind": "repeat", "of": LINE, "every": 9, "period_factor": 1.00005},
        ".period_factor",
        1.00005,
        "`cycles` up to 262144",
    ),
    (
        {"kind": "repeat", "of": LINE, "every": 9, "period_factor": 0},
        ".period_factor",
        0,
        "≥ 1e-06",
    ),
    ({"kind": "repeat", "of": LINE, "every": 9, "period_factor": 0.5}, ".cycles", None, "1 to 24"),
    (
        {"kind": "repeat", "of": LINE, "every": 9, "period_factor": 0.5, "cycles": 25},
        ".cycles",
        25,
        "≤ 24, each of ≥ 1e-06 steps",
    ),
    (
        {"kind": "cosine_restarts", "start": 1, "end": 0, "period": 9, "period_factor": 0.5},
        ".cycles",
        None,
        "1 to 24",
    ),
    ({"kind": "repeat", "of": LINE, "every": 9, "peak_factor": 2}, ".peak_factor", 2.0, "finite"),
    ({"kind": "repeat", "of": FOLLOW, "every": 9}, ".of", "follow", "product, sum, minimum"),
    ({"kind": "follow", "parameter": "Lr"}, ".parameter", "Lr", "^[a-z]"),
    ({"kind": "wsd", "peak": 1, "warmup": 1, "stable": 5}, ".decay", None, "≥ 1"),
    (
        {
            "kind": "one_cycle",
            "peak": 1,
            "steps": 9,
            "start": 0,
            "end": 0,
            "up": 0.5,
            "three_phase": True,
        },
        ".up",
        0.5,
        "< 0.5",
    ),
    ({"kind": "cyclic", "low": 0, "high": 1, "up": 0, "down": 5}, ".up", 0, "≥ 1"),
    ({"kind": "warmup", "steps": 5}, ".then", None, "required"),
    ({"kind": "warmup", "steps": 5, "then": sequence()}, ".then.parts", "a list of 0", "≥ 1 items"),
    ({"kind": "schedule", "name": "x"}, "", "x", "a definition"),
    ({"kind": "schedule", "name": "../x"}, ".name", "../x", "^[A-Za-z0-9]"),
]


def errors_of(data: Any, **more: Any) -> list[FieldError]:
    with pytest.raises(Invalid) as caught:
        parse(data, **more)
    json.dumps(caught.value.to_problem(), allow_nan=False)
    return list(caught.value.errors)


@pytest.mark.parametrize(("data", "path", "value", "bound"), WRONG, ids=range(len(WRONG)))
def test_wrong_definitions(data: Any, path: str, value: Any, bound: str) -> None:
    """P10: the error names the wrong field, what was there, and what would be right."""
    (error,) = errors_of(data)
    assert error.field == f"definition{path}"
    assert error.value == value
    assert type(error.value) is type(value)
    assert bound in (error.bound or "")
    assert error.message


def test_every_wrong_field_is_named_at_once() -> None:
    """P10: one answer lists all fields that are wrong, each by its path from the given root."""
    data = sequence({"schedule": line(start="x", steps=0), "steps": 5}, {"schedule": 3})
    paths = [error.field for error in errors_of(data, field="parameters.lr")]
    assert paths == [
        "parameters.lr.parts[0].schedule.start",
        "parameters.lr.parts[0].schedule.steps",
        "parameters.lr.parts[1].schedule",
    ]


BAD: list[Any] = [math.nan, math.inf, -math.inf, True, False, "1", "", [], {}, 10**400, -(10**400)]


def bad_values(field: Json) -> list[Any]:
    """Return what no field of this type takes."""
    taken: dict[str, tuple[Any, ...]] = {"boolean": (True, False), "list of integers": ([],)}
    fine = taken.get(field["type"], ())
    empty = [] if "null" in field["type"] else [None]
    return [x for x in BAD if not any(x is y or (x == [] == y) for y in fine)] + empty


@pytest.mark.parametrize("kind", KINDS)
def test_bad_values_in_every_field(kind: str) -> None:
    """P10: NaN, infinities, booleans, strings, lists and huge integers are refused everywhere."""
    for field in describe(kind)["fields"]:
        if "." not in field["name"]:
            for value in bad_values({**field}):
                errors = errors_of({**KINDS[kind].about.example, field["name"]: value})
                assert errors[0].field.startswith(f"definition.{field['name']}")


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_fields_of_every_kind(kind: str) -> None:
    """P10: no kind takes a field that it does not have."""
    (error,) = errors_of({**KINDS[kind].about.example, "extra": 1})
    assert error.field == "definition.extra"


@pytest.mark.parametrize("kind", KINDS)
def test_required_fields_of_every_kind(kind: str) -> None:
    """P10: a definition without a required field is refused, by the field's name."""
    example = KINDS[kind].about.example
    for field in describe(kind)["fields"]:
        if field["required"] and "." not in field["name"]:
            (error,) = errors_of({k: v for k, v in example.items() if k != field["name"]})
            assert (error.field, error.bound) == (f"definition.{field['name']}", "required")


def nested(depth: int) -> Json:
    data = LINE
    for _ in range(depth):
        data = scaled(data)
    return data


def lists(depth: int) -> Any:
    data: Any = []
    for _ in range(depth):
        data = [data]
    return data


TOO_MUCH: list[tuple[Callable[[], Any], str]] = [
    (lambda: nested(16), "16 definitions"),
    (lambda: nested(100_000), "16 definitions"),
    (lambda: line(start=lists(100_000)), "16 definitions"),
    (lambda: {"kind": "sum", "of": [LINE] * 1000}, "1000 definitions"),
    (lambda: {"kind": "sum", "of": [{}] * 100_000}, "1000 definitions"),
    (lambda: {"kind": "table", "values": [1.0] * 1_000_001}, "1000000 points"),
    (lambda: piecewise(*([i, 1.0] for i in range(1_000_001))), "1000000 points"),
    (lambda: {str(i): i for i in range(1000)}, "100 fields"),
]


@pytest.mark.parametrize(("build", "bound"), TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_too_much(build: Callable[[], Any], bound: str) -> None:
    """P10: what is nested too deep or too large is refused before anything works on it."""
    (error,) = errors_of(build())
    assert bound in (error.bound or "")


def test_as_much_as_is_allowed() -> None:
    """Nesting of 16, 1,000 definitions and 1,000,000 points are accepted."""
    assert parse(nested(15)).bounds().finite
    assert parse({"kind": "sum", "of": [LINE] * 999}).length == 100
    assert parse({"kind": "table", "values": [1.0] * 1_000_000}).length == 999_999


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "of", "parts", "steps", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(json_values, st.sampled_from(sorted(KINDS)), st.data())
def test_any_json_is_parsed_or_refused(junk: Any, kind: str, data: st.DataObject) -> None:
    """P10: whatever stands in a field, the answer is a definition or `Invalid`, nothing else."""
    example = dict(KINDS[kind].about.example)
    example[data.draw(st.sampled_from(sorted(example)))] = junk
    for candidate in (junk, example, scaled(example), sequence({"schedule": junk, "steps": junk})):
        try:
            assert parse(candidate, total=1000).to_json()
        except Invalid as refused:
            json.dumps(refused.to_problem(), allow_nan=False)


def test_numbers_are_strict_but_whole_floats_are_lengths() -> None:
    """An integer is a float, and 5e12 a length; nothing else is turned into a number."""
    definition = parse(line(start=1, steps=5e12))
    assert definition.to_json() == {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 5 * 10**12}


def test_numbers_of_numpy() -> None:
    """NumPy's floats are floats; its integers and arrays are not JSON."""
    assert parse(line(start=np.float64(0.5))).to_json()["start"] == 0.5
    for value in (np.float64("nan"), np.int64(5), np.zeros(3)):
        (error,) = errors_of(line(start=value))
        assert error.field == "definition.start"


def test_parsing_twice_gives_the_same_definition() -> None:
    """A definition that was parsed before is looked up, and true and 1 are still told apart."""
    assert parse(line()) is parse(line())
    assert parse({**LINE, "kind": "cosine", "periodic": True}).to_json()["periodic"] is True
    assert errors_of({**LINE, "kind": "cosine", "periodic": 1})[0].value == 1

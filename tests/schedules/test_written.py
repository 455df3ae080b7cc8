"""Words laid out for another total: what has passed stays, and the rest ends where they put it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.schedules import strategies

from rheostat.errors import Invalid
from rheostat.schedules import KINDS, Definition, parse
from rheostat.schedules.introspection import describe
from rheostat.schedules.written import Words, Written, write

Json = dict[str, Any]
Values = dict[int, float]

OLD, NEW = 1000, 2000
EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "200"))
"""How many words are tried at random."""


def fall(steps: Any, **fields: Any) -> Json:
    """Return the line from 1 to 0."""
    return {"kind": "linear", "start": 1, "end": 0, "steps": steps, **fields}


def rise(steps: Any) -> Json:
    """Return the line from 0 to 1."""
    return {"kind": "linear", "start": 0, "end": 1, "steps": steps}


def at(value: Callable[[int], float], *steps: int) -> Values:
    """Return the values of a formula at steps."""
    return {step: value(step) for step in steps}


FLAT = {"kind": "constant", "value": 0.5}
SHRINKING = {
    "kind": "repeat",
    "every": "20%",
    "period_factor": 0.5,
    "cycles": 3,
    "of": fall("rest"),
}
WSD = {"kind": "wsd", "peak": 1, "warmup": "10%", "stable": "rest", "decay": "20%"}


@dataclass(frozen=True)
class Case:
    """A definition whose total of 1,000 becomes 2,000 (or ``new``) at step ``now``."""

    data: Json
    now: int
    values: Values
    new: int = NEW

    def __str__(self) -> str:
        return f"{self.data['kind']}-{self.now}-{self.new}"


CASES = [
    # one length: what is not over yet ends at the new place, and what is over stays over
    Case(fall("100%"), 500, at(lambda t: 1 - t / 2000, 500, 1500, 2000)),
    Case(fall("100%"), 1000, at(lambda t: 1 - t / 2000, 1000, 1500, 2000)),
    Case(fall("100%"), 1064, at(lambda t: 1 - t / 2000, 1064, 2000)),
    Case(fall("50%"), 400, at(lambda t: 1 - t / 1000, 400, 600, 1000)),
    Case(fall("50%"), 500, {500: 0, 900: 0}),
    Case(fall("100%"), 500, at(lambda t: 1 - t / 800, 500, 700, 800), new=800),
    Case(
        {"kind": "cosine", "start": 1, "end": 0, "steps": "100%"},
        1000,
        at(lambda t: (1 + cos(pi * t / 2000)) / 2, 1000, 1300, 2000),
    ),
    Case(
        {"kind": "polynomial", "start": 1, "end": 0, "steps": "100%", "power": 2},
        500,
        at(lambda t: (1 - t / 2000) ** 2, 500, 1999),
    ),
    Case(
        {"kind": "ramp", "start": 1, "end": 0, "steps": "100%", "shape": "1-sqrt"},
        500,
        at(lambda t: 1 - (t / 2000) ** 0.5, 500, 1280, 2000),
    ),
    # timescales end nowhere, and are read again
    Case(
        {"kind": "exponential", "start": 1, "factor": 0.5, "every": "10%"},
        500,
        at(lambda t: 0.5 ** (t / 200), 500, 2000),
    ),
    Case(
        {"kind": "inverse_sqrt", "start": 1, "timescale": "10%"},
        500,
        at(lambda t: (200 / (200 + t)) ** 0.5, 500, 1800),
    ),
    Case(
        {"kind": "inverse_time", "start": 1, "rate": 1, "every": "10%"},
        500,
        at(lambda t: 1 / (1 + t / 200), 500, 2000),
    ),
    Case(
        {"kind": "sigmoid", "start": 1, "end": 0, "center": "50%", "width": "10%"},
        600,
        at(lambda t: 1 / (1 + exp((t - 500) / 200)), 600, 1500),
    ),
    Case(
        {"kind": "sigmoid", "start": 1, "end": 0, "center": "50%", "width": "10%"},
        400,
        at(lambda t: 1 / (1 + exp((t - 1000) / 200)), 400, 1500),
    ),
    Case(
        {"kind": "staircase", "every": "10%", "of": fall("100%")},
        500,
        at(lambda t: 1 - t // 200 * 200 / 2000, 500, 599, 600, 1999),
    ),
    # stairs, turns and cycles that have begun stay; the next one begins where the words put it
    Case(
        {"kind": "step", "start": 1, "every": "30%", "factor": 0.1},
        400,
        {400: 0.1, 1199: 0.1, 1200: 0.01, 1799: 0.01, 1800: 0.001},
    ),
    Case(
        {"kind": "exponential", "start": 1, "factor": 0.5, "every": "10%", "staircase": True},
        550,
        {550: 2**-5, 1199: 2**-5, 1200: 2**-6, 1400: 2**-7},
    ),
    Case(
        {"kind": "inverse_time", "start": 1, "rate": 1, "every": "10%", "staircase": True},
        550,
        {550: 1 / 6, 1199: 1 / 6, 1200: 1 / 7, 1400: 1 / 8},
    ),
    Case(
        {"kind": "cosine", "start": 1, "end": 0, "steps": "25%", "periodic": True},
        500,
        {
            **at(lambda t: (1 + cos(pi * (t - 500) / 1000)) / 2, 500, 750, 1499),
            **at(lambda t: (1 - cos(pi * (t - 1500) / 500)) / 2, 1500, 1700),
        },
    ),
    Case(
        {"kind": "polynomial", "start": 1, "end": 0, "steps": "25%", "cycle": True},
        500,
        {500: 0, 1000: 1 / 6, 1500: 0, 1750: 1 / 8},
    ),
    Case(
        {"kind": "cyclic", "low": 0, "high": 1, "up": "10%", "down": "10%"},
        150,
        {150: 0.5, 275: 0.25, 400: 0, 500: 0.5, 600: 1},
    ),
    Case(
        {"kind": "cosine_restarts", "start": 1, "end": 0, "period": "25%"},
        600,
        at(lambda t: (1 + cos(pi * (0.4 + 0.6 * (t - 600) / 900))) / 2, 600, 1000, 1499)
        | {1500: 1, 1750: 0.5},
    ),
    Case(
        {"kind": "repeat", "every": "25%", "of": fall("rest")},
        600,
        at(lambda t: 0.6 * (1500 - t) / 900, 600, 1200, 1499) | {1500: 1, 1750: 0.5, 2000: 1},
    ),
    Case(
        {"kind": "repeat", "every": "25%", "cycles": 4, "of": fall("rest")},
        1000,
        at(lambda t: 1 - (t - 750) / 1250, 1000, 1500, 2000) | {2500: 0},
    ),
    Case(
        {"kind": "repeat", "every": "20%", "cycles": 3, "of": fall("rest")},
        700,
        {700: 0, 1500: 0},
    ),
    Case(
        {"kind": "repeat", "every": "20%", "period_factor": 2, "of": fall("rest")},
        300,
        at(lambda t: 0.75 * (1200 - t) / 900, 300, 900, 1199) | {1200: 1, 2000: 0.5},
    ),
    # places
    Case(
        {"kind": "multistep", "start": 1, "milestones": ["30%", "60%", "90%"], "factor": 0.1},
        700,
        {700: 0.01, 1799: 0.01, 1800: 0.001},
    ),
    Case(
        {"kind": "piecewise", "points": [[0, 0], ["10%", 1], ["100%", 0]]},
        1000,
        at(lambda t: (2000 - t) / 1900, 1000, 1500, 2000),
    ),
    # lengths that follow each other
    Case(WSD, 50, at(lambda t: t / 200, 50, 100, 200) | {1600: 1, 1800: 0.5}),
    Case(WSD, 100, {100: 1, 1600: 1, 1800: 0.5, 2000: 0}),
    Case(WSD, 500, {500: 1, 1600: 1, 1800: 0.5, 2000: 0}),
    Case(WSD, 800, at(lambda t: (2000 - t) / 1200, 800, 1400, 2000)),
    Case(WSD, 900, at(lambda t: (2000 - t) / 1200, 900, 1400, 2000)),
    Case(WSD, 1000, at(lambda t: (2000 - t) / 1200, 1000, 1400, 2000)),
    Case(WSD, 700, {700: 1 / 3, 720: 0.2, 750: 0}, new=750),
    Case({**WSD, "decay": 200}, 1000, at(lambda t: (2000 - t) / 1200, 1000, 1400, 2000)),
    Case({**WSD, "decay": 200}, 500, {500: 1, 1800: 1, 1900: 0.5, 2000: 0}),
    Case({**WSD, "stable": 500}, 300, {300: 1, 600: 1, 800: 0.6, 1100: 0}),
    Case(
        {"kind": "warmup", "steps": "10%", "then": fall("rest")},
        1000,
        at(lambda t: (2000 - t) / 1900, 1000, 1500, 2000),
    ),
    Case({"kind": "warmup", "steps": "100%", "then": FLAT}, 1000, {1000: 0.5, 1500: 0.5}),
    Case(
        {"kind": "one_cycle", "peak": 1, "steps": "100%", "start": 0, "end": 0, "shape": "linear"},
        500,
        at(lambda t: (2000 - t) / 1700, 500, 1000, 2000),
    ),
    Case(
        {"kind": "one_cycle", "peak": 1, "steps": "100%", "start": 0, "end": 0, "shape": "linear"},
        200,
        {200: 1 / 3, 600: 1, 1300: 0.5},
    ),
    Case(
        {
            "kind": "one_cycle",
            "peak": 1,
            "steps": "100%",
            "start": 0,
            "end": 0,
            "shape": "linear",
            "three_phase": True,
        },
        400,
        at(lambda t: (1200 - t) / 900, 400, 750, 1200) | {1500: 0},
    ),
    Case(
        {
            "kind": "sequence",
            "parts": [
                {"schedule": rise("10%"), "steps": "10%"},
                {"schedule": fall("rest"), "steps": "rest"},
            ],
        },
        1000,
        at(lambda t: (2000 - t) / 1900, 1000, 1500, 2000),
    ),
    Case(
        {
            "kind": "sequence",
            "parts": [
                {"schedule": FLAT, "until": "80%"},
                {"schedule": fall("rest")},
            ],
        },
        900,
        at(lambda t: (2000 - t) / 1200, 900, 1400, 2000),
    ),
    Case(
        {
            "kind": "sequence",
            "parts": [
                {"schedule": FLAT, "steps": "50%"},
                {"schedule": fall("100%"), "from": "50%"},
            ],
        },
        700,
        at(lambda t: 1 - t / 2000, 700, 1500, 2000),
    ),
    Case(
        {"kind": "sequence", "parts": [{"schedule": FLAT, "steps": "100%"}, {"schedule": fall(9)}]},
        1003,
        {1003: 6 / 9, 1009: 0, 1500: 0},
    ),
    # time that runs at another pace
    Case({"kind": "stretch", "ratio": 2, "of": fall("50%")}, 600, at(lambda t: 1 - t / 2000, 600)),
    Case(
        {"kind": "stretch", "ratio": 2, "of": fall("50%")},
        1000,
        at(lambda t: 1 - t / 2000, 1000, 2000),
    ),
    Case({"kind": "stretch", "ratio": 2, "of": fall("25%")}, 600, {600: 0, 900: 0}),
    Case(
        {"kind": "warp", "steps": "100%", "shape": "polynomial", "power": 2, "of": fall("100%")},
        500,
        at(lambda t: (1 - t / 2000) ** 2, 500, 1000, 2000),
    ),
    # values at one step
    Case({"kind": "scale", "of": WSD, "factor": 3}, 900, {900: 3 * 1100 / 1200, 2000: 0}),
    Case(SHRINKING, 100, {100: 0.5, 250: 0.25, 400: 1, 500: 0.5, 600: 1, 699: 0.01, 700: 0}),
    Case(SHRINKING, 250, {250: 0.5, 425: 0.25, 600: 1, 650: 0.5, 900: 0}),
    Case(SHRINKING, 500, {500: 0, 650: 0, 1900: 0}),
    Case({"kind": "product", "of": [fall("100%"), FLAT]}, 1000, {1000: 0.25, 2000: 0}),
    Case({"kind": "sum", "of": [fall("100%"), FLAT]}, 1000, {1000: 1, 2000: 0.5}),
    Case({"kind": "minimum", "of": [fall("100%"), FLAT]}, 500, {500: 0.5, 1500: 0.25, 2000: 0}),
    Case({"kind": "maximum", "of": [fall("100%"), FLAT]}, 500, {500: 0.75, 1000: 0.5, 2000: 0.5}),
    Case({"kind": "power", "of": fall("100%"), "exponent": 2}, 1000, {1000: 0.25, 2000: 0}),
    Case({"kind": "clip", "of": fall("100%"), "min": 0.25}, 1000, {1000: 0.5, 2000: 0.25}),
    Case({"kind": "quantize", "of": fall("100%"), "multiple": 0.5}, 1000, {1000: 0.5, 2000: 0}),
    Case(
        {"kind": "noise", "of": fall("100%"), "seed": 1, "amplitude": 1e-13},
        1000,
        {1000: 0.5, 2000: 0},
    ),
]


def laid_out(data: Json, now: int, new: int = NEW, origin: int = 0) -> Words:
    """Return the words of a definition, laid out anew."""
    words = write(data, total=OLD).words
    assert words is not None
    return words.moved(new, now - origin, origin)


def values(definition: Definition, steps: Any) -> list[float]:
    """Return a definition's values."""
    return [float(value) for value in definition.values(np.array([*steps], dtype=np.int64))]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_curves_end_where_their_words_put_them(case: Case) -> None:
    """From the step on, values are those of the words, but for boundaries that have passed."""
    definition = laid_out(case.data, case.now, case.new).laid_out()
    assert values(definition, case.values) == pytest.approx([*case.values.values()], abs=1e-12)


def lengths_of(kind: str) -> set[str]:
    """Return the fields of a kind that take text, or hold definitions that may have some."""
    return {
        field["name"]
        for field in describe(kind)["fields"]
        if field["unit"] == "steps" or "text" in field["type"] or "definition" in field["type"]
    }


def written_in(data: Json, kind: str) -> Iterator[str]:
    """Yield the fields of a kind that are text in a case, or hold what has text."""
    for here in objects(data):
        if here.get("kind") == kind:
            parts = [item for part in here.get("parts", ()) for item in part.items()]
            items = [*here.items(), *((f"parts[].{name}", value) for name, value in parts)]
            yield from (name for name, value in items if re.search('%"|"rest"', json.dumps(value)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_its_lengths_mean(kind: str) -> None:
    """There is a case for each length that may depend on the total, and for what holds some."""
    found = {name for case in CASES for name in written_in(case.data, kind)}
    assert lengths_of(kind) <= found, "CASES of tests/schedules/test_written.py"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_words_survive_being_stored(case: Case) -> None:
    """What is read back is what was stored."""
    words = laid_out(case.data, case.now, case.new)
    again = Words.from_json(json.loads(json.dumps(words.to_json())))
    assert again == words
    assert again.laid_out() == words.laid_out()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_factor_stays_on_it(case: Case) -> None:
    """Twice the words are twice the values, before and after a total, and the passed stays."""
    words = write(case.data, total=OLD).words
    assert words is not None
    for twice in (
        words.scaled(2.0).moved(case.new, case.now, 0),
        words.moved(case.new, case.now, 0).scaled(2.0),
    ):
        doubled = [2 * value for value in case.values.values()]
        assert values(twice.laid_out(), case.values) == pytest.approx(doubled, abs=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_has_not_begun_is_laid_out_as_if_it_were_new(case: Case) -> None:
    """A curve that begins at the step or later is what its words say for the new total."""
    moved = laid_out(case.data, now=0, new=case.new, origin=7).laid_out()
    assert moved == parse(case.data, total=case.new)


@pytest.mark.parametrize("case", [case for case in CASES if "cycles" not in case.data], ids=str)
def test_totals_may_follow_each_other(case: Case) -> None:
    """Two totals at one step come to the second one; but the last of some cycles goes on."""
    first = laid_out(case.data, case.now, 1777).moved(case.new, case.now, 0)
    steps = range(case.now, 2100, 100)
    expected = values(laid_out(case.data, case.now, case.new).laid_out(), steps)
    assert values(first.laid_out(), steps) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 999), st.integers(20, 999), st.integers(0, 3000), st.integers(0, 9_000_000))
def test_no_warm_up_comes_back(warmup: int, decay: int, now: int, more: int) -> None:
    """Whenever a total comes: what is passed stays passed, and the end is the total."""
    data = {**WSD, "warmup": f"{warmup / 20}%", "decay": f"{decay / 20}%"}
    old = parse(data, total=OLD).to_json()
    new = max(OLD, now) + more
    laid = laid_out(data, now, new).laid_out().to_json()
    assert laid["warmup"] + laid["stable"] + laid["decay"] == new
    if old["warmup"] <= now:
        assert laid["warmup"] == old["warmup"]
    if old["warmup"] + old["stable"] <= now:
        assert laid["stable"] == old["stable"]


def test_the_end_moves_with_the_total_where_the_run_counts_it_too() -> None:
    """A half of the total that began in the middle ended with it: it goes on to its new place."""
    moved = laid_out(fall("50%"), now=1000, origin=500).laid_out()
    assert moved.to_json()["steps"] == 1000
    assert laid_out(fall("50%"), now=1000, origin=499).laid_out().to_json()["steps"] == 500


def test_words_are_canonical_but_for_what_depends_on_the_run() -> None:
    """``4.3k`` is a number; ``10%``, ``rest`` and epochs stay as they were written."""
    written = write(
        {"kind": "wsd", "peak": 1, "warmup": "0.1k", "stable": "rest", "decay": "2 epochs"},
        total=OLD,
        steps_per_epoch=50,
    )
    assert written.words is not None
    said = written.words.data
    assert (said["warmup"], said["stable"], said["decay"]) == (100, "rest", "2 epochs")
    assert said.keys() == written.definition.to_json().keys()
    assert write(fall("0.1k")).words is None
    assert Written.from_json(written.to_json(), 2000, "x").definition.to_json()["stable"] == 1800


@pytest.mark.parametrize(
    ("data", "now", "new", "path"),
    [
        ({**WSD, "decay": 500}, 500, 550, ".stable"),
        ({"kind": "piecewise", "points": [["10%", 1], [900, 0]]}, 50, 9500, ".points[1][0]"),
        ({"kind": "warmup", "steps": "10%", "then": fall("rest")}, 100, 100, ".then.steps"),
    ],
)
def test_words_that_have_no_room_are_refused(data: Json, now: int, new: int, path: str) -> None:
    """P10: a total for which the words make no sense is refused, and the field is named."""
    with pytest.raises(Invalid) as caught:
        laid_out(data, now, new).laid_out("parameters.lr")
    assert caught.value.errors[0].field == f"parameters.lr{path}"


SHARES = st.sampled_from(["10%", "33.3%", "100%", "0.7%", "250%", "rest"])


@st.composite
def spoken(draw: Any) -> Json:
    """Return a sound definition of which some lengths are words instead."""
    definition: Json = draw(strategies.definitions)
    for here in objects(definition):
        cls = KINDS.get(here.get("kind", ""))
        for name in cls.lengths if cls else {"steps", "until", "from"} & here.keys():
            if draw(st.booleans()) and here.get(name) is not None:
                here[name] = draw(SHARES)
        if "milestones" in here:
            here["milestones"] = draw(st.lists(SHARES | st.integers(0, 99), max_size=4))
    return definition


def objects(value: Any) -> Iterator[Json]:
    """Yield all objects in a definition."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
    for item in inner:
        yield from objects(item)


moves = st.lists(st.tuples(st.integers(1, 5000), st.integers(-50, 3000)), min_size=1, max_size=3)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoken(), moves, st.integers(0, 50))
def test_any_words_are_laid_out_or_refused(data: Json, totals: Any, origin: int) -> None:
    """P10: whatever total comes when, values are finite, or a field is named."""
    try:
        written = write(data, total=OLD)
    except Invalid:
        assume(False)
    assume(written.words is not None)
    words = written.words
    assert words is not None
    for total, now in totals:
        moved = words.moved(total, now - origin, origin)
        try:
            definition = moved.laid_out()
        except Invalid as refusal:
            assert refusal.errors[0].field.startswith("definition")  # noqa: PT017 - it may be sound
            return
        assert np.isfinite(definition.values(STEPS)).all()
        again = Words.from_json(json.loads(json.dumps(moved.to_json())))
        assert again.laid_out() == definition
        words = moved


STEPS = np.array([0, 1, 7, 100, 999, 1000, 1001, 2500, 10**6, 2**53 - 1])

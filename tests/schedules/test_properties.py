"""What holds for every definition, tried on random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules import strategies

from rheostat.errors import Invalid
from rheostat.schedules import Definition, evaluate, parse

Json = dict[str, Any]

some = settings(deadline=None, max_examples=100)


def array(steps: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(steps, dtype=np.int64)


@some
@given(strategies.definitions, strategies.steps)
def test_values_are_finite_and_inside_the_bounds(raw: Json, steps: list[int]) -> None:
    """P10: no definition that was accepted gives a value that is not finite, or out of bounds."""
    definition = parse(raw)
    values = definition.values(array(steps))
    low, high = definition.bounds()
    assert np.isfinite(values).all()
    assert low <= values.min()
    assert values.max() <= high


@some
@given(strategies.definitions, strategies.steps, st.randoms(use_true_random=False))
def test_the_same_bits_however_asked(raw: Json, steps: list[int], random: Any) -> None:
    """P1: a value has the same bits singly, in a block, in any order, and in a strided array."""
    definition = parse(raw)
    values = definition.values(array(steps))
    singly = np.array([evaluate(definition, step) for step in steps])
    order = list(range(len(steps)))
    random.shuffle(order)
    shuffled = definition.values(array(steps)[order])
    strided = definition.values(np.repeat(array(steps), 2)[::2])
    assert values.tobytes() == singly.tobytes()
    assert values[order].tobytes() == shuffled.tobytes()
    assert values.tobytes() == strided.tobytes()


@some
@given(strategies.definitions, st.integers(0, 400), st.integers(1, 200), st.integers(1, 7))
def test_curves_join(raw: Json, start: int, count: int, stride: int) -> None:
    """P1: a curve is what its two halves are, what its every n-th step is, and what arrays give."""
    definition = parse(raw)
    whole = evaluate(definition, range(start, start + 2 * count))
    first = evaluate(definition, range(start, start + count))
    second = evaluate(definition, range(start + count, start + 2 * count))
    assert whole.tobytes() == first.tobytes() + second.tobytes()
    strided = evaluate(definition, range(start, start + 2 * count, stride))
    assert whole[::stride].tobytes() == strided.tobytes()
    assert whole.tobytes() == definition.values(np.arange(start, start + 2 * count)).tobytes()


@some
@given(strategies.definitions)
def test_json_round_trip(raw: Json) -> None:
    """A definition is what its canonical JSON says, and so is its hash."""
    definition = parse(raw)
    again = parse(definition.to_json())
    assert again == definition
    assert again.content_hash == definition.content_hash
    assert again.to_json() == definition.to_json()


@some
@given(strategies.definitions, st.integers(0, 10**6))
def test_length_is_honest(raw: Json, beyond: int) -> None:
    """From a definition's length on, its value never changes."""
    definition = parse(raw)
    length = definition.length
    if length is not None and length + beyond < 2**53:
        end, later = definition.values(array([length, length + beyond]))
        assert end == later


@some
@given(strategies.definitions, st.integers(1, 2**53 - 1))
def test_before_the_start_holds_the_first_value(raw: Json, before: int) -> None:
    """At steps before 0 the value at 0 holds."""
    definition = parse(raw)
    first, held = definition.values(array([0, -before]))
    assert first == held


@some
@given(strategies.presets, strategies.steps)
def test_presets_are_what_they_expand_to(raw: Json, steps: list[int]) -> None:
    """A preset's expansion is a definition of base kinds that has the same bits."""
    preset = parse(raw)
    expansion = preset.expansion()
    assert isinstance(expansion, Definition)
    again = parse(expansion.to_json())
    assert again.values(array(steps)).tobytes() == preset.values(array(steps)).tobytes()


@settings(deadline=None, max_examples=400)
@given(strategies.extreme(), strategies.steps)
def test_extreme_numbers_are_refused_or_harmless(raw: Json, steps: list[int]) -> None:
    """P10: a definition with extreme numbers is refused, or finite and bounded at every step."""
    try:
        definition = parse(raw)
    except Invalid:
        return
    values = definition.values(array([*steps, 0, 2**53 - 1]))
    low, high = definition.bounds()
    assert low <= values.min()
    assert values.max() <= high
    assert parse(definition.to_json()) == definition

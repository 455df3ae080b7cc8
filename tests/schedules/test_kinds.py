"""A kind is one class and one golden file; whatever it lacks fails here."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.schedules.cases import GOLDEN

from rheostat.schedules import KINDS, Bounds, parse
from rheostat.schedules.field_types import SHAPES
from rheostat.schedules.introspection import describe
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import ADAPTER, FAMILIES

every_kind = pytest.mark.parametrize("kind", KINDS)


def test_the_union_has_every_kind_of_every_family() -> None:
    """What can be parsed, what the manual lists and what is known by name are the same kinds."""
    tags = set(ADAPTER.json_schema()["discriminator"]["mapping"])
    classes = [cls for family in FAMILIES.values() for cls in family]
    assert tags == set(KINDS)
    assert list(KINDS.values()) == classes


@every_kind
def test_fields_are_described_and_bounded(kind: str) -> None:
    """Every field of every kind says what it is and what values it takes."""
    fields = describe(kind)["fields"]
    assert fields
    for field in fields:
        assert field["description"], field
        assert field["bounds"], field
        assert field["required"] or "default" in field


@every_kind
def test_examples_are_definitions_and_round_trip(kind: str) -> None:
    """The example of every kind is of that kind, and its canonical JSON is the same definition."""
    definition = parse(KINDS[kind].about.example)
    assert definition.kind == kind
    assert parse(json.loads(definition.canonical)) == definition


@every_kind
def test_everything_is_said_about_it(kind: str) -> None:
    """Every kind has a summary, a formula, and says what holds outside of its curve."""
    known = describe(kind)
    assert all(known[key] for key in ("summary", "formula", "before", "after", "family"))


@every_kind
def test_it_can_be_evaluated(kind: str) -> None:
    """The example of every kind has finite values inside of its bounds."""
    definition = parse(KINDS[kind].about.example)
    steps = np.arange(0, 20000, 7)
    followed = {name: np.linspace(0.0, 1.0, len(steps)) for name in definition.follows()}
    values = definition.values(steps, followed)
    bounds = definition.bounds(dict.fromkeys(followed, Bounds(0.0, 1.0)))
    assert np.isfinite(values).all()
    assert bounds.min <= values.min()
    assert values.max() <= bounds.max


@every_kind
def test_it_has_golden_values_of_another_origin(kind: str) -> None:
    """Every kind has a golden file whose cases are of it and say where their numbers come from."""
    cases: list[dict[str, Any]] = json.loads((GOLDEN / f"{kind}.json").read_text())
    assert any(case["definition"]["kind"] == kind for case in cases)
    for case in cases:
        assert case["origin"]
        assert len(case["steps"]) == len(case["values"]) > 0


@every_kind
def test_its_schema_asks_for_the_kind(kind: str) -> None:
    """The JSON Schema of every kind requires the field `kind` and forbids unknown ones."""
    schema = describe(kind)["schema"]
    assert "kind" in schema["required"]
    assert schema["additionalProperties"] is False


def test_every_shape_is_explained() -> None:
    """The manual's table of shapes has those that the numeric core has."""
    assert list(SHAPES) == list(ShapeName.__args__)  # type: ignore[attr-defined]

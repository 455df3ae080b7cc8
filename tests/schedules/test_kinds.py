"""A kind is one class and one golden file; whatever it lacks fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from typing import Any, get_args

import numpy as np
import pytest
from pydantic_core import PydanticUndefined
from tests.schedules import reference, strategies
from tests.schedules.cases import GOLDEN
from tests.schedules.golden import make

from rheostat.cli.views.text import SHAPED
from rheostat.schedules import KINDS, Bounds, Definition, kinds, parse
from rheostat.schedules.definition import Family
from rheostat.schedules.field_types import SHAPES
from rheostat.schedules.introspection import describe
from rheostat.schedules.kinds.presets import Preset
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import ADAPTER

every_kind = pytest.mark.parametrize("kind", KINDS)


def concrete(cls: type[Definition]) -> Iterator[type[Definition]]:
    """Yield the classes below one that say which kind they are."""
    for below in cls.__subclasses__():
        if below.model_fields["kind"].default is not PydanticUndefined:
            yield below
        yield from concrete(below)


for module in iter_modules(kinds.__path__, f"{kinds.__name__}."):
    import_module(module.name)


CLASSES = [*concrete(Definition)]  # type: ignore[type-abstract]  # those below it are asked for


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_is_in_the_union(cls: type[Definition]) -> None:
    """A class below `schedules/kinds` that has a kind is in the union, by that name."""
    kind = cls.model_fields["kind"].default
    assert KINDS.get(kind) is cls, f"{cls.__name__} is not in schedules/union.py"


def test_the_union_has_the_kinds_that_are_known_by_name() -> None:
    """What can be parsed and what is known by name are the same kinds."""
    assert set(ADAPTER.json_schema()["discriminator"]["mapping"]) == set(KINDS)


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
def test_what_may_be_text_is_a_length(kind: str) -> None:
    """A field that may be "10%" is in `lengths`, unless it is a list that the kind lays out."""
    cls = KINDS[kind]
    texts = {field["name"] for field in describe(kind)["fields"] if "text" in field["type"]}
    if cls.lengths or "laid_out" not in vars(cls):
        assert set(cls.lengths) == texts, f"`lengths` of {cls.__name__}"


@every_kind
def test_what_is_to_blame_is_a_field(kind: str) -> None:
    """Every preset names the field that is told when its expansion overflows; others may."""
    cls = KINDS[kind]
    named = cls.culprit in cls.model_fields
    assert named or not (cls.culprit or issubclass(cls, Preset)), f"`culprit` of {cls.__name__}"


@every_kind
def test_examples_are_definitions_and_round_trip(kind: str) -> None:
    """The example of every kind is of that kind, and its canonical JSON is the same definition."""
    definition = parse(KINDS[kind].about.example)
    assert definition.kind == kind
    assert parse(json.loads(definition.canonical)) == definition


@every_kind
def test_everything_is_said_about_it(kind: str) -> None:
    """Every kind has a summary, a formula, and says what holds outside of its curve."""
    assert KINDS[kind].__doc__, f"{KINDS[kind].__name__} has no docstring of its own"
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
    path = GOLDEN / f"{kind}.json"
    assert path.exists(), f"no golden cases of {kind}: see tests/schedules/golden/make.py"
    cases: list[dict[str, Any]] = json.loads(path.read_text())
    assert any(case["definition"]["kind"] == kind for case in cases)
    for case in cases:
        assert case["origin"]
        assert len(case["steps"]) == len(case["values"]) > 0


@every_kind
def test_its_formula_is_written_twice(kind: str) -> None:
    """Every kind is in the reference once more, unless it has no formula of the step alone."""
    by_formula = kind in reference.KINDS
    assert by_formula != (kind in reference.ELSEWHERE), f"{kind}: tests/schedules/reference.py"
    assert by_formula == (kind in make.CASES), f"{kind}: CASES of tests/schedules/golden/make.py"


@pytest.mark.parametrize("kind", make.CASES)
def test_its_golden_file_is_what_its_formula_gives(kind: str) -> None:
    """The golden cases of a formula are those of `tests/schedules/golden/make.py`, all of them."""
    path = GOLDEN / f"{kind}.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    of_formulas = [case for case in kept if case["origin"] == make.FORMULA]
    assert of_formulas == make.of_formulas(kind), "run `python -m tests.schedules.golden.make`"


@every_kind
def test_every_field_is_tried_at_random(kind: str) -> None:
    """Every kind is in the property tests, with each of its fields."""
    fields = {field["name"] for field in describe(kind)["fields"] if "[]." not in field["name"]}
    assert set(strategies.EVERY.get(kind, ())) == fields, "tests/schedules/strategies.py"


def test_what_is_tried_at_random_is_a_kind() -> None:
    """The property tests and the reference know no kind that there is not."""
    assert set(strategies.EVERY) == set(KINDS), "tests/schedules/strategies.py"
    known = set(reference.KINDS) | reference.ELSEWHERE
    assert known == set(KINDS), "tests/schedules/reference.py"


@every_kind
def test_its_family_is_a_heading_of_the_manual(kind: str) -> None:
    """Every kind says under which heading of the manual it stands."""
    assert getattr(KINDS[kind], "family", None) in get_args(Family), f"{kind} names no family"


@every_kind
def test_what_may_hold_a_follower_is_said_to_who_reads_of_it(kind: str) -> None:
    """The kind `follow` names those inside of which it may stand, and no others."""
    inside = (getdoc(KINDS["follow"]) or "").split("one step:")[1]
    assert (kind in re.findall(r"\w+", inside)) == KINDS[kind].pointwise


@every_kind
def test_its_schema_asks_for_the_kind(kind: str) -> None:
    """The JSON Schema of every kind requires the field `kind` and forbids unknown ones."""
    schema = describe(kind)["schema"]
    assert "kind" in schema["required"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("field", ["power", "ratio"])
def test_the_command_line_writes_what_a_shape_has_a_use_for(field: str) -> None:
    """A shape's power or ratio is written on the command line if its formula has one."""
    assert SHAPED[field] == {name for name, formula in SHAPES.items() if field in formula}


def test_every_shape_is_explained() -> None:
    """The manual's table of shapes has those that the numeric core has."""
    assert list(SHAPES) == list(ShapeName.__args__)  # type: ignore[attr-defined]

"""
Every parameter of every converter acts, or is declared to be ignored.

A parameter acts if some value of it, in some record of its scheduler, gives another definition's
values, or another controller, or is refused for more than its type or its bounds. It is tried alone
first, and then beside every other parameter, changed as well: much acts in one mode alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
import pytest
from tests.converters.examples import EXAMPLES
from tests.converters.records import CASES, FOLDER, asked

from rheostat.converters import conversion, registry
from rheostat.converters.core import Case, Context, Conversion, ConversionBudget, Scheduler
from rheostat.converters.request import checked
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

STEPS = np.array([*range(60), *range(60, 400, 7), 1_000, 3_000, 50_000, 10**6])
NUMBERS: dict[Any, list[Any]] = {
    int: [0, 1, 2, 3, 5, 8, 12, 20],
    float: [0.0, 0.05, 0.3, 0.5, 0.9, 1.0, 1.5, 2.0, 3.0],
}
ONLY_DEFAULT = "Refused"
FURTHER = "tests/converters/golden/further"
LIST = "tests/converters/golden/unrecorded.json"
UNRECORDED: dict[str, list[str]] = json.loads((FOLDER / "unrecorded.json").read_text())
"""Parameters of which no record has other values than the default: what is refused with them, and
what nobody has recorded yet. It only gets shorter."""


class Place(NamedTuple):
    """A scheduler of a library, and the records that it converts."""

    library: str
    scheduler: Scheduler
    bases: list[dict[str, Any]]

    def values(self, given: dict[str, Any]) -> bytes | None:
        """Return what it becomes, a curve at many steps, or None if it is refused."""
        try:
            found = conversion(self.library, self.scheduler.names[0], **given)
            if found.controller is not None or found.curve.follows():
                return str(found.written()).encode()
            return evaluate(found.curve, STEPS).tobytes()
        except Invalid:
            return None

    def without_records(self) -> str:
        """Return the message that it has none."""
        return f"{self.scheduler.names[0]} of {self.library} has no record of values in {FURTHER}"

    def takes(self, given: dict[str, Any]) -> bool:
        """Return whether all parameters are of their types, and in their bounds."""
        case = Case("", "", None, "", Context(), lambda *_: Conversion(), ConversionBudget())
        try:
            checked(case, self.scheduler, given["params"])
        except Invalid:
            return False
        return True


def _records() -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for case in CASES:
        library = registry.find(case["file"])
        scheduler = library.find(case["name"]) if library else None
        if library and scheduler:
            found[library.name, scheduler.names[0]].append(asked(case))
    return found


def _examples(module: str, item: Scheduler) -> list[dict[str, Any]]:
    found = EXAMPLES.get(f"{module}/{item.names[0]}", [])
    return [{"base_value": 0.1, **example} for example in found]


RECORDS = _records()
SEEN: dict[str, list[Any]] = defaultdict(list)
for _given in (given for records in RECORDS.values() for given in records):
    for _name, _value in _given["params"].items():
        if _value not in SEEN[_name] and len(SEEN[_name]) < 12:
            SEEN[_name].append(_value)
PLACES = [
    pytest.param(
        Place(module, item, RECORDS[module, item.names[0]] + _examples(module, item)),
        id=f"{module}/{item.names[0]}",
    )
    for module in registry.NAMES
    for item in getattr(registry.find(module), "items", [])
    if not item.becomes.startswith(ONLY_DEFAULT)
]


def parameters(scheduler: Scheduler) -> dict[str, Any]:
    """Return the parameters of a scheduler with their types."""
    fields = scheduler.model.model_fields
    return {name: fields[name].annotation for name in scheduler.parameters}


def options(annotation: Any) -> Iterator[Any]:
    """Yield values of a type."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from options(inner[0])
    elif origin in (Union, UnionType):
        for item in inner:
            yield from options(item)
    elif origin is Literal:
        yield from inner
    elif annotation is bool:
        yield from (False, True)
    elif annotation in NUMBERS:
        yield from NUMBERS[annotation]
    elif annotation is str:
        yield from ("lr", "momentum")
    elif annotation is type(None):
        yield None


def changed(value: Any) -> Iterator[Any]:
    """Yield values near to another one."""
    match value:
        case bool() | None:
            return
        case int():
            yield from (value + 1, value - 1, 2 * value, value // 2)
        case float():
            yield from (value * 0.5, value * 1.25, value * 2)
        case str():
            yield from (value.replace("10", "15"), value.replace("1", "2"), value.replace("5", "7"))
        case list():
            yield value[:-1]
            yield from ([*value[:i], x, *value[i + 1 :]] for i, x in changed_inside(value))
        case dict():
            yield from ({**value, list(value)[i]: x} for i, x in changed_inside(value.values()))


def changed_inside(values: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the number of each value, and values near to it."""
    for i, value in enumerate(values):
        for other in changed(value):
            yield i, other


def candidates(place: Place, name: str, given: dict[str, Any]) -> list[Any]:
    """Return values to try for a parameter."""
    params = given["params"]
    found = [*changed(params[name])] if name in params else []
    own = [base["params"][name] for base in place.bases if name in base["params"]]
    return [*found, *own, *options(parameters(place.scheduler)[name]), *SEEN[name]][:40]


def with_value(given: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return what is asked with another value of a parameter."""
    return {**given, "params": {**deepcopy(given["params"]), name: value}}


def alone(place: Place, name: str, given: dict[str, Any], *, refusals: bool = True) -> bool:
    """Return whether a parameter acts in what is asked; a refusal may count or not."""
    before = place.values(given)
    if before is None:
        return False
    for value in candidates(place, name, given):
        other = with_value(given, name, value)
        after = place.values(other)
        if after != before and (after is not None or (refusals and place.takes(other))):
            return True
    return False


def contexts(place: Place, name: str) -> Iterator[dict[str, Any]]:
    """Yield what is asked in the records, then with another hyperparameter, group or length."""
    bases = sorted(place.bases, key=lambda base: name not in base["params"])[:10]
    yield from bases
    for base in bases[:3]:
        for field in place.scheduler.hyperparameters or ():
            yield {**base, "hyperparameter": field}
        yield {**base, "group": 0}
        yield {**base, "steps_per_epoch": 4}
        yield {**base, "total": 150}
        yield {name: value for name, value in base.items() if name != "metric"}


def beside(place: Place, name: str) -> Iterator[dict[str, Any]]:
    """Yield what is asked with another value of each other parameter."""
    for given in list(contexts(place, name))[:12]:
        for other in parameters(place.scheduler):
            if other != name:
                for value in candidates(place, other, given)[:12]:
                    yield with_value(given, other, value)
                yield {**given, "params": {k: v for k, v in given["params"].items() if k != other}}


def acts(place: Place, name: str) -> bool:
    """Return whether a parameter acts in any of what is tried."""
    return any(alone(place, name, given) for given in contexts(place, name)) or any(
        alone(place, name, given) for given in beside(place, name)
    )


def takes_only_its_default(annotation: Any) -> bool:
    """Return whether a parameter takes null alone, as a function does."""
    inner = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return set(inner) <= {Any, type(None)}


@pytest.mark.parametrize("place", PLACES)
def test_every_parameter_acts_or_is_declared_ignored(place: Place) -> None:
    """What is accepted and changes nothing is in the list of what is ignored, and nothing else."""
    assert place.bases, place.without_records()
    for name in acting(place.scheduler):
        assert acts(place, name), f"{name} changes nothing, and is not declared to be ignored"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_declared_ignored_changes_nothing(place: Place) -> None:
    """No value of an ignored parameter changes a value: at most it is refused."""
    for name, _ in place.scheduler.ignored():
        tried = list(contexts(place, name))[:8]
        assert not any(alone(place, name, given, refusals=False) for given in tried)


def acting(scheduler: Scheduler) -> list[str]:
    """Return the parameters of a scheduler that are not declared to be ignored."""
    ignored = dict(scheduler.ignored())
    found = parameters(scheduler).items()
    return [
        name for name, kind in found if name not in ignored and not takes_only_its_default(kind)
    ]


def recorded(place: Place) -> set[str]:
    """Return the parameters that some record sets to something else than their default."""
    fields = place.scheduler.model.model_fields
    return {
        name
        for record in RECORDS[place.library, place.scheduler.names[0]]
        if place.values(record) is not None
        for name, value in record["params"].items()
        if name in fields and (fields[name].is_required() or fields[name].default != value)
    }


@pytest.mark.parametrize("place", PLACES)
def test_every_scheduler_has_a_record(place: Place) -> None:
    """Each scheduler is held against its library's values."""
    records = RECORDS[place.library, place.scheduler.names[0]]
    assert any(place.values(record) is not None for record in records), place.without_records()


@pytest.mark.parametrize("place", PLACES)
def test_every_parameter_that_acts_is_in_a_record(place: Place) -> None:
    """A parameter that acts has other values than its default in a record, or is a known gap."""
    name = f"{place.library}/{place.scheduler.names[0]}"
    missing, known = set(acting(place.scheduler)) - recorded(place), set(UNRECORDED.get(name, ()))
    new, gone = sorted(missing - known), sorted(known - missing)
    assert not new, f"no record in {FURTHER} sets these, but for their defaults: {new}"
    assert not gone, f"these are in records now, or act no more; out of {LIST} with them: {gone}"


def test_every_known_gap_is_of_a_scheduler() -> None:
    """The list of parameters without records names no scheduler that is gone."""
    assert set(UNRECORDED) <= {param.id for param in PLACES}

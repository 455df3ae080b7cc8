"""
What may come next in the words of definitions and changes: the grammar of `rheostat.cli.words`.

Edits come from their table, kinds and fields from their classes, which load NumPy and Pydantic;
names of parameters from whoever knows them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from rheostat.changes import EDITS
from rheostat.cli import controllers
from rheostat.controls import CONTROLS

REFERENCE = "schedule"
"""What stands in place of a kind where the library's schedule of a name is meant."""


class Offer(NamedTuple):
    """A word that may come next, and what it is."""

    word: str
    what: str = ""


Names = Callable[[], Iterable[Offer]]
"""Finds names that only the service knows, when they are wanted."""


def definitions(words: Sequence[str], typed: str) -> Iterator[Offer]:
    """Offer what goes on with definitions that commas separate."""
    yield from _definition(_phrase(words), typed)


def parameters(words: Sequence[str], typed: str) -> Iterator[Offer]:
    """Offer the same of new parameters, each with its name, which nobody knows yet."""
    phrase = _phrase(words)
    if phrase and "=" not in phrase[0]:
        yield from _definition(phrase[1:], typed)


def changes(words: Sequence[str], typed: str, names: Names, revisions: Names) -> Iterator[Offer]:
    """Offer what goes on with changes of parameters."""
    phrase = _phrase(words)
    if not phrase:
        yield from names()
    elif "=" in phrase[0]:  # lr=@lr.json
        return
    elif len(phrase) == 1:
        yield from (Offer(name, edit.sentence) for name, edit in EDITS.items())
        yield from _kinds()
    elif phrase[1] == "replace":
        yield from _definition(phrase[2:], typed)
        yield from _fields(_edit_fields("replace"), phrase[3:], typed)
    elif phrase[1] == "revert" and len(phrase) == 2:
        yield from revisions()
    elif phrase[1] in EDITS:
        yield from _fields(_edit_fields(phrase[1]), phrase[2:], typed)
    else:
        yield from _definition(phrase[1:], typed)
        yield from _fields({"clock": ("run", "change")}, phrase[2:], typed)


def controller(words: Sequence[str], typed: str, metrics: Names) -> Iterator[Offer]:
    """Offer what goes on with a controller."""
    if not words:
        yield from (Offer(kind, row.sentence) for kind, row in CONTROLS.items())
        return
    if words[0] not in CONTROLS:
        return
    if typed.startswith("metric=") or words[-1] == "--metric":
        before = "metric=" if typed.startswith("metric=") else ""
        yield from (Offer(before + each.word, each.what) for each in metrics())
        return
    fields = {name: _taken(taken) for name, taken in controllers.fields(words[0]).items()}
    yield from _fields(fields, words[1:], typed)


def _phrase(words: Sequence[str]) -> list[str]:
    """Return the words since the last comma."""
    found: list[str] = []
    for word in words:
        found = [] if word.endswith(",") else [*found, word]
    return found


def _definition(phrase: Sequence[str], typed: str) -> Iterator[Offer]:
    if not phrase:
        yield from _kinds()
    elif not phrase[0].startswith(("@", "{", "-")):
        yield from _fields_of_kind(phrase[0], phrase[1:], typed)


def _kinds() -> Iterator[Offer]:
    from rheostat.schedules import KINDS

    for name, kind in KINDS.items():
        yield Offer(name, (inspect.getdoc(kind) or "").split("\n")[0])
    yield Offer(REFERENCE, "a schedule of the library, by its name")


def _fields_of_kind(
    kind: str, given: Sequence[str], typed: str, before: str = ""
) -> Iterator[Offer]:
    """Offer the fields of a kind, and those of definitions in it: ``then.kind=cosine``."""
    from rheostat.schedules import KINDS
    from rheostat.schedules.introspection import describe

    if kind not in KINDS:
        return
    described = describe(kind)
    found: dict[str, Sequence[str]] = {}
    for each in described["fields"]:
        inner = before + each["name"]
        if each["type"] != "definition":
            schema = described["schema"]["properties"].get(each["name"], {})
            found[inner] = _enumerated(schema)
            continue
        found[f"{inner}.kind"] = [*KINDS]
        named = next((word.partition("=")[2] for word in given if _names(word, inner)), None)
        if named is not None:
            yield from _fields_of_kind(named, given, typed, f"{inner}.")
    yield from _fields(found, given, typed)


def _names(word: str, field: str) -> bool:
    return word.startswith(f"{field}.kind=")


def _enumerated(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return what a field takes by its JSON Schema, if it takes few things."""
    for each in (schema, *schema.get("anyOf", ())):
        if "enum" in each:
            return list(each["enum"])
        if each.get("type") == "boolean":
            return ("true", "false")
    return ()


def _edit_fields(name: str) -> dict[str, Sequence[str]]:
    edit = EDITS[name]
    hints = get_type_hints(edit.build)
    fields = [field for field in inspect.signature(edit.build).parameters if field != edit.bare]
    return {field: _shapes() if field == "shape" else _taken(hints[field]) for field in fields}


def _shapes() -> Sequence[str]:
    from rheostat.schedules.field_types import SHAPES

    return [*SHAPES]


def _taken(hint: Any) -> Sequence[str]:
    """Return what a type takes, if it takes few things."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is Literal:
        return [str(part) for part in parts]
    if hint is bool:
        return ("true", "false")
    return [each for part in parts for each in _taken(part)]


def _fields(
    fields: Mapping[str, Sequence[str]], given: Sequence[str], typed: str
) -> Iterator[Offer]:
    """Offer the fields that were not given yet, or what the one that was begun takes."""
    name, equals, _ = typed.partition("=")
    if equals:
        yield from (Offer(f"{name}={word}") for word in fields.get(name, ()))
        return
    if given and given[-1].startswith("--") and "=" not in given[-1]:
        yield from (Offer(word) for word in fields.get(given[-1][2:].replace("-", "_"), ()))
        return
    said = {word.removeprefix("--").partition("=")[0].replace("-", "_") for word in given}
    for field in fields:
        if field not in said:
            yield Offer(f"--{field}" if typed.startswith("-") else f"{field}=")

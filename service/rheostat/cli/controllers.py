"""
Controllers in words, read by the table in `rheostat.controls`.

::

    controller := (KIND | "@"FILE | "-" | {JSON}) {field}
    field      := NAME=VALUE | --NAME VALUE      as in  plateau metric=val_loss --factor 0.5
                | --NAME                         of a field that is yes or no
    VALUE      := as in definitions; of changes  "lr scale 0.5"  or  stop

Fields behind a file replace those in it. The fields of a kind, and what each takes, are those of
the function that writes it, so that a new one is there by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

from rheostat.cli import words
from rheostat.controls import CONTROLS, Common
from rheostat.limits import whole_number
from rheostat.suggestions import did_you_mean

SINGULAR = {"parameter": "parameters"}
"""What one may say instead, of a list whose items are given one by one."""
_ABSENT = "\0"
"""Stands for what a function wants and a file has already."""


def controller(said: Sequence[str], **more: Any) -> dict[str, Any]:
    """Read one controller, in the form in which it is sent; ``more`` are further fields."""
    head, *rest = said
    base: Any = {"kind": head} if head in CONTROLS else _document(head)
    kind = base.get("kind") if isinstance(base, dict) else None
    if kind not in CONTROLS:
        close = did_you_mean(kind, CONTROLS) or f": one of {', '.join(CONTROLS)}"
        raise typer.BadParameter(f"{_named(kind, head)} is no kind of controller{close}")
    taken = fields(kind)
    given = {name: value for name, value in more.items() if value}
    for name, text in _pairs(rest, taken):
        _enter(given, kind, name, text, taken)
    return _merged(base, _written(kind, given, complete=len(base) == 1))


def metric_of(said: Sequence[str]) -> str | None:
    """Return the metric that the words of a controller name, if they do."""
    named = [word.partition("=")[2] for word in said if word.startswith(("metric=", "--metric="))]
    named += [after for word, after in pairwise(said) if word == "--metric"]
    return named[0] if named else None


def fields(kind: str) -> dict[str, Any]:
    """Return the fields of a kind as they are typed, each with its type."""
    build = CONTROLS[kind].build
    own = get_type_hints(build)
    names = [name for name in inspect.signature(build).parameters if name in own]
    found = {name: own[name] for name in names if name != "common"}
    found |= get_type_hints(Common)
    return {name.removesuffix("_"): _plain(each) for name, each in found.items()}


def usage(kind: str) -> Iterator[str]:
    """Yield each field of a kind as one would type it, without those of all kinds."""
    for name, taken in fields(kind).items():
        if name not in Common.__annotations__:
            yield f"{name}={_placeholder(taken)}"


def common_usage() -> Iterator[str]:
    """Yield each field that all kinds have, as one would type it."""
    for name, taken in get_type_hints(Common).items():
        if name != "message":  # which commands have as an option
            yield f"{name}={_placeholder(taken)}"


def _document(head: str) -> Any:
    if head.startswith(("@", "{")) or head == "-":
        return words.value(head)
    return {"kind": head}


def _named(kind: Any, head: str) -> str:
    return repr(kind) if isinstance(kind, str) else f"{head[:100]!r}"


def _plain(taken: Any) -> Any:
    """Return what a type takes besides nothing."""
    parts = [each for each in get_args(taken) if each is not type(None)]
    return parts[0] if type(None) in get_args(taken) and len(parts) == 1 else taken


def _placeholder(taken: Any) -> str:
    if get_origin(taken) is Literal:
        return "|".join(map(str, get_args(taken)))
    if taken in _PLACEHOLDERS:
        return _PLACEHOLDERS[taken]
    if get_origin(taken) is not None and get_args(taken):
        parts = get_args(taken)
        if any(get_origin(part) is Mapping for part in parts):
            return "CHANGES|stop"
        if get_origin(taken) is Sequence:
            return "NAME,…"
        return "|".join(map(_placeholder, parts))
    return "VALUE"


_PLACEHOLDERS = {int: "N", float: "X", bool: "true|false", str: "NAME"}


def _pairs(rest: Sequence[str], taken: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each field's name and text; one that is yes or no may stand alone."""
    left = list(rest)
    while left:
        word = left.pop(0)
        name, equals, text = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not (equals or word.startswith("--")):
            raise typer.BadParameter(f"{word!r} is not a field: write field=value or --field value")
        if not equals:
            alone = not left or left[0].startswith("--")
            if alone and taken.get(name) is not bool:
                raise typer.BadParameter(f"{word} needs a value")
            text = "true" if alone else left.pop(0)
        yield name, text


def _enter(
    given: dict[str, Any], kind: str, name: str, text: str, taken: Mapping[str, Any]
) -> None:
    one = SINGULAR.get(name)
    field = one or name
    if field not in taken:
        close = did_you_mean(name, taken) or f": {', '.join(taken)}"
        raise typer.BadParameter(f"{kind} has no field {name!r}{close}")
    value = _read(field, text, taken[field])
    if one is not None:
        given[field] = [*given.get(field, []), *value]
    elif field in given:
        raise typer.BadParameter(f"{name} is given twice")
    else:
        given[field] = value


def _read(name: str, text: str, taken: Any) -> Any:
    if taken is str or get_origin(taken) is Literal:
        return text
    if get_origin(taken) is Sequence:
        return [item.strip() for item in text.split(",")]
    if any(get_origin(part) is Mapping for part in get_args(taken)):
        return _changes(name, text)
    counts = taken is int or int in get_args(taken)
    number = whole_number(text.strip().replace("_", "")) if counts else None
    return words.value(text) if number is None else number


def _changes(name: str, text: str) -> Any:
    if text == "stop":
        return text
    if text.startswith(("@", "{")):
        return words.value(text)
    return words.changes(words.split(text, name))


def _written(kind: str, given: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
    """Return the document of some fields, by the function that writes it."""
    build = CONTROLS[kind].build
    wanted = [
        each.name.removesuffix("_")
        for each in inspect.signature(build).parameters.values()
        if each.default is each.empty and each.kind is each.KEYWORD_ONLY
    ]
    missing = [name for name in wanted if name not in given]
    if complete and missing:
        raise typer.BadParameter(f"{kind} needs {' and '.join(f'--{name}' for name in missing)}")
    own = inspect.signature(build).parameters
    called = {f"{name}_" if f"{name}_" in own else name: value for name, value in given.items()}
    written = build(**dict.fromkeys(missing, _ABSENT), **called)
    return {name: value for name, value in _present(written).items() if name != "kind"}


def _present(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given of a document."""
    found = {
        name: _present(value) if isinstance(value, dict) else value
        for name, value in written.items()
        if value is not _ABSENT
    }
    return {name: value for name, value in found.items() if value != {}}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with what is over it in its place, field by field."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        inside = name not in {"changes", "above"} and isinstance(below, dict)
        both = inside and isinstance(value, dict)
        merged[name] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged

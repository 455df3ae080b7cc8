"""
The words of a command line, read as JSON for the service.

::

    definitions := definition {"," definition}
    parameters  := parameter {"," parameter}
    changes     := change {"," change}

    parameter   := NAME definition | assignments
    change      := NAME (edit | definition) | assignments
    definition  := NUMBER | (KIND | "@"FILE | "-" | {JSON}) {field}
    edit        := EDIT [VALUE] {field}                  as in  scale 0.5  or  ramp 0 steps=1000
    field       := PATH=VALUE | --PATH VALUE             dots lead inside: then.kind=cosine
    assignments := NAME=VALUE {PATH=VALUE}               as in  lr=@lr.json weight_decay=0.1
    VALUE       := a JSON value | a list as 1,2,3 | "@"FILE | "-" | any other text

A comma that ends a word is the same as one that stands alone. ``-`` is standard input.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from rheostat.changes import EDITS
from rheostat.limits import MAX_STEP, whole_number
from rheostat.suggestions import did_you_mean

_FIELD = re.compile(r"(?:--)?([a-z][a-z0-9_/.-]*\*?)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_OPTION = re.compile(r"--([a-z][a-z0-9_.-]*)")
NEEDED = {
    "scale": ("a number", "0.5"),
    "set": ("a number", "1e-4 steps=100"),
    "ramp": ("a number", "0 steps=1000"),
    "rewarm": ("a number of steps", "500"),
    "extend": ("the step where the curve ends", "120k"),
    "revert": ("the number of a revision", "3"),
}
"""What stands behind the name of an edit that is nothing without it, and an example."""


def definitions(words: Sequence[str]) -> list[dict[str, Any]]:
    """Read definitions that are separated by commas."""
    return [_definition(phrase) for phrase in _phrases(words)]


def definition(words: Sequence[str]) -> dict[str, Any]:
    """Read exactly one definition."""
    found = definitions(words)
    if len(found) != 1:
        raise typer.BadParameter(f"one definition is wanted here, not {len(found)}")
    return found[0]


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Read the parameters of a new run: each name with its definition."""
    found: dict[str, Any] = {}
    for name, read in _named(words):
        if name in found:
            raise typer.BadParameter(f"{name} is defined twice")
        found[name] = read if isinstance(read, dict) else _definition(read)
    return found


def changes(words: Sequence[str], clock: str | None = None) -> dict[str, Any]:
    """
    Read changes: each name with its change, or with a list of them where a name comes again.

    ``clock`` is given to every definition that has none of its own.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for name, read in _named(words):
        change = read if isinstance(read, dict) else _change(read)
        _require_value(name, change)
        found.setdefault(name, []).append(_clocked(change, clock))
    return {name: items[0] if len(items) == 1 else items for name, items in found.items()}


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """Read ``path=value`` words as one JSON object."""
    return _filled({}, words)


def arguments(words: Iterable[str], texts: Collection[str]) -> dict[str, Any]:
    """Read the arguments of a signal as ``name=value``; ``texts`` are texts as they are."""
    found: dict[str, Any] = {}
    for name, text in _fields(words):
        if name in found:
            raise typer.BadParameter(f"{name} is given twice")
        found[name] = text if name in texts else _value(text)
    return found


def split(text: str, origin: str) -> list[str]:
    """Return the words of one text, as a shell would read them."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise typer.BadParameter(f"{origin}: {error} in {text[:200]!r}") from error


def labels(words: Iterable[str]) -> dict[str, str]:
    """Read ``key=value`` words, whose values are texts."""
    pairs = [word.partition("=") for word in words]
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise typer.BadParameter(f"a label is written key=value, not {key + equals + value!r}")
    return {key: value for key, _, value in pairs}


def descriptions(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read ``parameter.what=text`` words."""
    found: dict[str, dict[str, str]] = {}
    for word in words:
        path, equals, text = word.partition("=")
        name, dot, what = path.partition(".")
        if not (name and dot and what and equals):
            raise typer.BadParameter(f"a description is written lr.text=…, not {word!r}")
        found.setdefault(name, {})[what] = text
    return found


def value(text: str) -> Any:
    """Read one value: JSON, a list as 1,2,3, a file, standard input, or text."""
    return _value(text)


def steps(written: str | int) -> int:
    """Read a number of steps, also written 1e6, 4.3T or 1G."""
    text = str(written)
    count = whole_number(text.strip().replace("_", ""))
    if count is None or count > MAX_STEP:
        raise typer.BadParameter(f"{text!r} is not a whole number of steps from 0 to {MAX_STEP:,}")
    return count


AGE = re.compile(r"(\d{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age(written: str | timedelta) -> timedelta:
    """Read a length of time: 90d, 2w, 12h, 30m or 45s."""
    if isinstance(written, timedelta):
        return written
    found = AGE.fullmatch(written.strip())
    if found is None:
        raise typer.BadParameter(f"{written!r} is no length of time, such as 90d, 12h or 30m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _phrases(words: Sequence[str]) -> list[list[str]]:
    phrases: list[list[str]] = [[]]
    for word in words:
        bare = word.removesuffix(",")
        if bare:
            phrases[-1].append(bare)
        if bare != word:
            phrases.append([])
    if not all(phrases):
        raise typer.BadParameter("a comma has nothing before or after it")
    return phrases


def _named(words: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | list[str]]]:
    """Yield each parameter's name with its definition, or with the words that say it."""
    for phrase in _phrases(words):
        if _FIELD.fullmatch(phrase[0]):
            for name, value in assignments(phrase).items():
                yield name, _as_definition(name, value)
        elif phrase[0].startswith("--"):
            raise typer.BadParameter(f"there is no option {phrase[0]}, and no such parameter")
        elif len(phrase) == 1:
            raise typer.BadParameter(f"{phrase[0]} is followed by nothing: say what it shall do")
        else:
            yield phrase[0], phrase[1:]


def _definition(phrase: Sequence[str]) -> dict[str, Any]:
    head, fields = phrase[0], phrase[1:]
    if _FIELD.fullmatch(head):
        raise typer.BadParameter(f"{head!r} comes before a kind: as in  cosine start=1e-3 …")
    value = _value(head)
    base = {"kind": value} if isinstance(value, str) else _as_definition(head, value)
    return _filled(base, fields)


def _change(phrase: Sequence[str]) -> dict[str, Any]:
    name, rest = phrase[0], list(phrase[1:])
    if name not in EDITS:
        _require_change(name)
        return _definition(phrase)
    if name == "replace":
        new = _definition(rest) if rest else {}
        own: dict[str, Any] = {key: new.pop(key) for key in ("clock", "blend") if key in new}
        return {"edit": name, "definition": new, **own}
    edit: dict[str, Any] = {"edit": name}
    if rest and not _FIELD.fullmatch(rest[0]) and not _OPTION.fullmatch(rest[0]):
        bare = EDITS[name].bare
        if bare is None:
            raise typer.BadParameter(f"{name} takes no value, but {rest[0]!r} follows it")
        edit[bare] = _value(rest.pop(0))
    return _filled(edit, rest)


def _require_value(parameter: str, change: Mapping[str, Any]) -> None:
    """Refuse an edit that lacks the value behind its name."""
    edit = change.get("edit")
    if edit in NEEDED and EDITS[edit].bare not in change:
        what, example = NEEDED[edit]
        raise typer.BadParameter(f"{edit} needs {what}, as in:  {parameter} {edit} {example}")


def _require_change(name: str) -> None:
    """Refuse a word that names neither an edit nor a kind."""
    from rheostat.schedules import KINDS  # NumPy and Pydantic load slowly

    if _NAME.fullmatch(name) and name not in {*KINDS, "schedule"}:
        close = did_you_mean(name, [*EDITS, *KINDS])
        known = f": an edit is one of {', '.join(EDITS)}, and `rheostat kinds` lists the kinds"
        raise typer.BadParameter(f"{name!r} is neither an edit nor a kind{close or known}")


def _clocked(change: dict[str, Any], clock: str | None) -> dict[str, Any]:
    takes_clock = change.get("edit") == "replace" or "edit" not in change
    if clock and takes_clock and change.get("kind") != "constant":
        return {**change, "clock": change.get("clock", clock)}
    return change


def _as_definition(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if _is_number(value):
        return {"kind": "constant", "value": value}
    raise typer.BadParameter(f"{name}: {value!r} is neither a number nor a definition")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _filled(data: dict[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """Return ``data`` with every field of ``words`` set at its path."""
    filled: dict[str, Any] = json.loads(json.dumps(data))
    seen: set[str] = set()
    for path, text in _fields(words):
        if any(other == path or other.startswith(f"{path}.") for other in seen):
            raise typer.BadParameter(f"{path} is given twice")
        seen.add(path)
        *parents, last = path.split(".")
        place = filled
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise typer.BadParameter(f"{path}: {parent} is a value, and has no fields")
        place[last] = _value(text)
    return filled


def _fields(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        if match := _FIELD.fullmatch(word):
            path, text = match.groups()
        elif match := _OPTION.fullmatch(word):
            path, text = match[1], next(rest, "")
            if not text:
                raise typer.BadParameter(f"{word} needs a value")
        else:
            raise typer.BadParameter(f"{word!r} is not a field: write field=value")
        yield path.replace("-", "_"), text


def _value(text: str) -> Any:
    if text in {"-", "@-"}:
        return _json(sys.stdin.read(), "standard input")
    if text.startswith("@"):
        return _json(contents(text[1:]), text[1:])
    if text.startswith(("{", "[", '"')):
        return _json(text, "this", excerpt=text[:200])
    parts = text.split(",")
    return _scalar(text) if len(parts) == 1 else [_scalar(part) for part in parts]


def _scalar(text: str) -> Any:
    """Read JSON's words and finite numbers; everything else is text, for the service to judge."""
    if text in {"true", "false", "null"}:
        return json.loads(text)
    try:
        number = _finite(text)
    except ValueError:
        return text
    whole = number.is_integer() and abs(number) <= MAX_STEP
    return int(number) if whole else number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def contents(path: str) -> str:
    """Return the text of a file; what cannot be read is a mistake of the command line."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"cannot read {path}: {reason}") from error


def _json(text: str, origin: str, excerpt: str = "") -> Any:
    """Read JSON. What a file has in it is no business of a log's, so it is not shown."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise typer.BadParameter(f"{origin} is not JSON: {where}\n{excerpt}".strip()) from error
    except ValueError as error:
        raise typer.BadParameter(f"{origin} is not JSON: {error}\n{excerpt}".strip()) from error
    except RecursionError as error:
        raise typer.BadParameter(f"{origin} is nested too deep") from error

"""
Fields of a configuration file that are not read: what they say of a schedule is refused.

A file has much that is no schedule, and that is ignored. A field that sounds like a schedule, or
that is nearly spelled as one that is read, is not: without it the curve would be another one, and
nobody would be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from rheostat.converters.configs.flags import Flags
from rheostat.converters.core import refused
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

_MOST_FIELDS: Final = 5_000
_MOST_ERRORS: Final = 20
_LONGEST_NAME: Final = 100
"""Characters of a name that are looked at."""
_ALIKE: Final = 0.85
_STEMS: Final = ("schedul", "decay", "anneal", "warmup", "cooldown", "rampup")
_WORDS: Final = frozenset(
    {"lr", "lrs", "sched", "warm", "rewarm", "wsd", "cosine", "cycles", "restarts", "milestones"}
    | {"plateau", "eta"}
)
_COUNTED: Final = frozenset(
    {"step", "steps", "iter", "iters", "iteration", "iterations", "update", "updates", "epoch"}
    | {"epochs", "sample", "samples", "token", "tokens"}
)
_WHOLE: Final = frozenset(
    {"max", "total", "num", "n", "number", "of", "train", "training", "stop", "end", "optimizer"}
)


@dataclass(frozen=True)
class Read:
    """What is read of a block of a file, and which of its other fields set no rate."""

    library: str
    fields: Collection[str]
    harmless: Collection[str] = ()
    """Fields of the library that sound like a schedule and change none of the definitions."""
    apart: Collection[str] = ()
    """Blocks that are checked elsewhere."""
    other_schedules: Collection[str] = ()
    """Blocks with schedules of something else: in them only what names a learning rate counts."""


def check_unknown(config: Mapping[str, Any], read: Read, path: str = "config") -> None:
    """Refuse what a block, or a block inside of it, says of a schedule that is not read."""
    errors = []
    for field, name, value, inside in _walk(config, read, path):
        known = inside == path and name in read.fields
        if known or name in read.harmless or value is None:
            continue
        short = isinstance(config, Flags) and len(name) > 1 and _in_full(name, read)
        if short or _is_wrong(name, inside, path, read):
            errors.append(_unknown(field, name, value, read))
        if len(errors) == _MOST_ERRORS:
            break
    if errors:
        raise refused(*errors)


def sounds_like_a_schedule(name: str) -> bool:
    """Return whether a field's name says that it has to do with a rate, or a training's length."""
    words = _words(name)
    if any(word in _WORDS or word.startswith(_STEMS) or _is_rate(word) for word in words):
        return True
    if {"learning", "rate"} <= set(words):
        return True
    return bool(_COUNTED & set(words)) and set(words) <= _COUNTED | _WHOLE


def _is_rate(word: str) -> bool:
    """Return whether a word is lr, or one as Ultralytics': lr0 and lrf, the first and the final."""
    return word == "lrf" or (word.startswith("lr") and word[2:].isdigit())


def _is_wrong(name: str, inside: str, path: str, read: Read) -> bool:
    if inside.removeprefix(f"{path}.").partition(".")[0] in read.other_schedules:
        return "lr" in _words(name)
    if sounds_like_a_schedule(name):
        return True
    return inside == path and _meant(name, read, _ALIKE) is not None


def _words(name: str) -> list[str]:
    """Return the words of ``lr-warmup-steps``, ``lr_warmup_steps`` and ``lrWarmupSteps``."""
    name = name[:_LONGEST_NAME]
    spaced = "".join(
        f" {character}" if character.isupper() and not name[i - 1 : i].isupper() else character
        for i, character in enumerate(name)
    )
    return "".join(c if c.isalnum() else " " for c in spaced).lower().split()


def _meant(name: str, read: Read, alike: float) -> str | None:
    """Return the field that is read whose name is the most alike, if one is."""
    fields = {_spelled(field): field for field in read.fields}
    close = get_close_matches(_spelled(name), fields, n=1, cutoff=alike)
    return fields[close[0]] if close else None


def _spelled(name: str) -> str:
    """Return a name in lower case, with underscores: projects write theirs in other ways too."""
    return "_".join(_words(name))


def _in_full(name: str, read: Read) -> str | None:
    """Return the field that a flag is short for, as argparse takes ``--mom`` for ``--momentum``."""
    return next((field for field in read.fields if field.startswith(name)), None)


def _unknown(field: str, name: str, value: Any, read: Read) -> FieldError:
    meant = _meant(name, read, 0.6) or _in_full(name, read)
    if meant is None and name.lower() in {"lr", "base_lr", "max_lr"}:
        meant = next((one for one in read.fields if one == "learning_rate"), None)
    question = f"; did you mean {meant}?" if meant else ""
    message = f"is not read from a file of {read.library}, though it may set a schedule{question}"
    bound = f"not given; what is read: {', '.join(read.fields)}"
    return FieldError(field, message, shown(value), bound)


def _walk(config: Mapping[str, Any], read: Read, path: str) -> Iterator[tuple[str, str, Any, str]]:
    """Yield the path, the name, the value and the block of every field, whatever it is in."""
    stack: list[tuple[Any, str]] = [(config, path)]
    count = 0
    while stack:
        block, inside = stack.pop()
        named = isinstance(block, Mapping)
        for key, value in block.items() if isinstance(block, Mapping) else enumerate(block):
            count += 1
            if count > _MOST_FIELDS:
                bound = f"≤ {_MOST_FIELDS} fields"
                raise refused(FieldError(path, "has too many fields", None, bound))
            field = f"{inside}.{str(key)[:100]}" if named else f"{inside}[{key}]"
            if named:
                yield field, str(key), value, inside
            if not isinstance(value, (Mapping, list)) or _is_off(value):
                continue
            if inside != path or key not in {*read.fields, *read.apart, *read.harmless}:
                stack.append((value, field))


def _is_off(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("enabled") is False

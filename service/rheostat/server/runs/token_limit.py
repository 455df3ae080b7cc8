"""
Limits of tokens: what whoever holds one may do to each run, written as one line of text.

``changes=20/day, gap=500, parameters=lr|weight_decay, edits=scale|hold, ratio=2`` lets an agent, or
a new colleague, make 20 changes a day, 500 steps apart, of these parameters, by these edits, and
none by which a value becomes at once more than twice, or less than half, of what it was, or in time
more than twice of the greatest that was planned. What is not named is not bounded.

A limit bounds what its token does, and not what follows from how the run was made: a parameter that
follows another one changes with it, named or not. Only the ratio holds for what follows, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import (
    MAX_LIMIT,
    MAX_LIMITED,
    MAX_NAME,
    MAX_PARAMETERS,
    MAX_STEP,
    PARAMETERS,
    meant,
    whole_number,
)
from rheostat.server.runs.edits import EDITS
from rheostat.suggestions import did_you_mean

NUMBER: Final = r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?"
"""How a ratio is written."""

PERIODS: Final[Mapping[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
"""Over which time changes are counted: the last such stretch, whatever the clock says."""

COUNTED: Final[tuple[wire.ProposalKind, ...]] = ("change", "stop", "signal")
"""Acts that count as changes, and have to say why."""

FREE: Final[tuple[wire.ProposalKind, ...]] = ("pause", "resume", "cancel")
"""Acts that count as none: holding a run, and taking back what is one's own."""

EDIT_NAMES: Final = tuple(each.called() for each in EDITS)
"""What edits are called; a definition that takes the place of what was in force is `replace`."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many changes in any stretch of time."""

    count: int
    period: str

    @property
    def stretch(self) -> timedelta:
        """How long the period is."""
        return PERIODS[self.period]

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.count}/{self.period}"


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """What a token may do to a run; None: as its role may."""

    changes: Rate | None = None
    gap: int | None = None
    """Steps from one change to the next, at least."""
    parameters: tuple[str, ...] | None = None
    edits: tuple[str, ...] | None = None
    ratio: float | None = None
    """By how much a value may grow or shrink at once."""
    acts: tuple[wire.ProposalKind, ...] = COUNTED
    """Which acts that count it may do at all."""
    unread: str | None = None
    """A text of a newer release, of which nothing is understood, and so nothing is left."""

    @classmethod
    def parse(cls, text: str, field: str = "limit") -> TokenLimit:
        """
        Return the limit that a text writes.

        Raises:
            Invalid: It is not written as one is, or says nothing; ``field`` is named.

        """
        _require_short(text, field)
        found: dict[str, Any] = {}
        for part in text.split(","):
            key, sign, value = (each.strip() for each in part.partition("="))
            if not sign or key not in _READ:
                close = did_you_mean(key, _READ)
                message = f"{part.strip()!r} bounds nothing{close}"
                raise _refuse(field, message, part.strip(), _BOUND)
            if key in found:
                raise _refuse(field, f"says {key} twice", text, "once")
            found[key] = _READ[key](value, field)
        limit = cls(**found)
        _require_short(str(limit), field)  # numbers with units are written out
        return limit

    @classmethod
    def of_newer(cls, text: str) -> TokenLimit:
        """Return what is left to a token whose limit only a newer release can read."""
        return cls(acts=(), unread=text)

    @property
    def allowed(self) -> tuple[wire.ProposalKind, ...]:
        """The acts of an operator that it leaves."""
        return (*self.acts, *FREE)

    def names(self, parameters: tuple[str, ...]) -> set[str]:
        """Return which of a run's parameters it lets change."""
        if self.parameters is None:
            return set(parameters)
        return {name for word in self.parameters for name in meant(word, parameters)}

    def __str__(self) -> str:
        """Return it as it is written; two that are written alike bound alike."""
        if self.unread is not None:
            return self.unread
        acts = "|".join(self.acts)
        said = {
            "changes": self.changes,
            "gap": self.gap,
            "parameters": self.parameters and "|".join(self.parameters),
            "edits": self.edits and "|".join(self.edits),
            "ratio": None if self.ratio is None else repr(self.ratio).removesuffix(".0"),
            "acts": None if self.acts == COUNTED else acts,
        }
        words = [f"{key}={value}" for key, value in said.items() if value is not None]
        return ", ".join(words) or f"acts={acts}"


def _require_short(text: str, field: str) -> None:
    if len(text) > MAX_LIMIT:
        message = f"{field} has {len(text)} characters, and at most {MAX_LIMIT} are read"
        wrong = FieldError(field, message, len(text), f"<= {MAX_LIMIT} characters")
        raise Invalid(message, errors=[wrong])


def _rate(text: str, field: str) -> Rate:
    count, sign, period = text.partition("/")
    number = whole_number(count.strip())
    if not sign or number is None or not 1 <= number <= MAX_LIMITED:
        bound = f"a number from 1 to {MAX_LIMITED}, and the time: 20/day"
        raise _refuse(field, f"changes must be {bound}", text, bound)
    period = period.strip()
    if period not in PERIODS:
        bound = f"one of {', '.join(PERIODS)}"
        message = f"changes are counted by the {bound.removeprefix('one of ')}"
        raise _refuse(field, f"{message}{did_you_mean(period, PERIODS)}", period, bound)
    return Rate(number, period)


def _gap(text: str, field: str) -> int:
    number = whole_number(text)
    if number is None or not 1 <= number <= MAX_STEP:
        bound = f"a number of steps from 1 to {MAX_STEP}"
        raise _refuse(field, f"gap must be {bound}", text, bound)
    return number


def _ratio(text: str, field: str) -> float:
    number = float(text) if re.fullmatch(NUMBER, text) else math.nan
    if not 1 <= number < math.inf:
        bound = "a finite number >= 1"
        raise _refuse(field, f"ratio must be {bound}", text, bound)
    return number


def _words(key: str, known: tuple[str, ...]) -> Callable[[str, str], tuple[str, ...]]:
    """Return what reads some of these words, and puts them in their order."""

    def read(text: str, field: str) -> tuple[str, ...]:
        words = [word.strip() for word in text.split("|")]
        for word in words:
            if word not in known:
                bound = f"one of {', '.join(known)}"
                message = f"{key} has no {word!r}{did_you_mean(word, known)}"
                raise _refuse(field, message, word, bound)
        return tuple(word for word in known if word in words)

    return read


def _parameters(text: str, field: str) -> tuple[str, ...]:
    words = sorted({word.strip() for word in text.split("|")})
    for word in words:
        if not re.fullmatch(PARAMETERS, word) or len(word) > MAX_NAME:
            bound = "names of parameters, such as lr|weight_decay, or lr/* for lr and its groups"
            raise _refuse(field, f"parameters must be {bound}", word, bound)
    if len(words) > MAX_PARAMETERS:
        raise _refuse(field, "names too many parameters", len(words), f"<= {MAX_PARAMETERS}")
    return tuple(words)


_READ: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "changes": _rate,
    "gap": _gap,
    "parameters": _parameters,
    "edits": _words("edits", EDIT_NAMES),
    "ratio": _ratio,
    "acts": _words("acts", COUNTED),
}
_BOUND = f"some of {', '.join(f'{key}=…' for key in _READ)}"


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    wrong = FieldError(field, message, value, bound)
    return Invalid(f"{field}: {message}", errors=[wrong])

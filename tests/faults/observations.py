"""What those who use a service saw of it: the log that the checks judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""Shape parameters × cells, parameters sorted by name."""

InForce = tuple[tuple[int, int], ...]
"""From which step on which revision is in force."""

Signals = tuple[tuple[int, int, str | None], ...]
"""Steps, revisions, and what is said: the JSON of word and arguments, None in a header."""

Kind = Literal[
    "change",
    "cancel",
    "rewind",
    "advance",
    "stop",
    "pause",
    "resume",
    "signal",
    "propose",
    "accept",
    "decline",
]

Point = tuple[int, str, float]
"""A step, a metric, and its value there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """
    One attempt of a settling read, as it left and as it was answered, if it was.

    ``sent`` and ``answered`` are seconds of one clock that all observers share. ``refusal`` is the
    problem's code, and ``current`` the generation that a refusal names.
    """

    run: str
    generation: int
    start: int
    count: int
    sent: float
    answered: float | None = None
    values: Values | None = None
    in_force: InForce = ()
    refusal: str | None = None
    current: int | None = None
    signals: Signals = ()
    end: int | None = None
    by: int | None = None
    """Where a refusal says that reading ends or holds, and the revision by which it does."""

    @property
    def stop(self) -> int:
        """The first step past the block."""
        return self.start + self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a client gave its worker, step by step from ``start``: what the training used."""

    run: str
    generation: int
    start: int
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A join: the checkpoint that was sent, and the generation that the answer names."""

    run: str
    checkpoint: tuple[int, int] | None
    sent: float
    answered: float
    generation: int
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """
    Something that was sent until there was an answer: ``attempts`` times.

    ``answer`` is the document of an acknowledgement, or else ``refusal`` the code of a problem.
    """

    run: str
    sent: float
    answered: float
    attempts: int
    answer: Mapping[str, Any] | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Sent):
    """Whatever an operator does, with one key; ``message`` is unlike that of any other."""

    kind: Kind
    message: str
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Sent):
    """A request with reports; ``answer`` is what became of them."""

    generation: int
    source: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Sent):
    """What a worker said became of a signal, and what it was answered is kept of that."""

    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Sent):
    """
    What a worker said that it applied: a block as it was given, but for ``other``.

    That is the place of a parameter, that of a cell, and what was applied there instead.
    """

    generation: int
    worker: str
    start: int
    values: Values
    other: tuple[int, int, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Save(Sent):
    """What a worker said that it saved, and what it was answered is kept of that."""

    request: Mapping[str, Any]


@dataclass(frozen=True)
class Log:
    """All observations; whoever observes appends, from any thread."""

    reads: list[Read] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    saves: list[Save] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """What nobody expects of a service, such as an answer 500."""

    def of(self, run: str) -> Log:
        """Return what was observed of one run."""
        observed = {
            name: [item for item in items if item.run == run]
            for name, items in vars(self).items()
            if name != "strange"
        }
        return Log(**observed, strange=self.strange)

"""
The state of a run in the model, and what is in force at its steps.

It keeps no expansions and no caches: whatever is asked is folded again from what was accepted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from tests.oracle.curves import Env
from tests.oracle.edits import Refusal, applied

LAST = (math.inf, math.inf)
Cause = tuple[str, int]
"""The controller that decided something, and the step of the report that it decided on."""
GAP = 4
"""Cells past what is settled at which a read may begin: ``max_gap`` of the tests."""
WAITING = frozenset({"change", "total"})
HALTING = frozenset({"stop", "pause"})
UNFOLDED = HALTING | {"signal", "note"}
"""Kinds of revisions that put nothing in force."""
HORIZON = 32
"""Steps after which no guarded parameter changes: what is guarded has short windows only."""


@dataclass
class Revision:
    """A revision as it was accepted."""

    number: int
    generation: int
    kind: Literal["first", "change", "total", "note", "stop", "pause", "signal"]
    effective: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    forced: bool = False
    cancelled: bool = False
    total: int = 0
    word: str | None = None
    """The signal that it is, or that comes with it."""
    told: bool = False
    """Whether a worker ended by it, or heard of its signal where it ended or held."""
    cause: Cause | None = None
    by_agent: bool = False
    """Whether whoever did it has a token with a limit: see `limiting`."""
    takes_back: bool = False
    """Whether that counts for nothing, since it takes back what counted."""

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the folding."""
        return self.effective, self.number


@dataclass
class Generation:
    """``base`` is what it begins with, its first revision folded in."""

    run: Run
    number: int
    parent: Generation | None
    start: int
    settled: int
    base: Env

    @property
    def line(self) -> Iterator[Generation]:
        """The generation, its parent, and so on to the root."""
        yield self
        if self.parent:
            yield from self.parent.line

    def in_force(self, step: int) -> tuple[Generation, Revision, Env]:
        """Return who on the line owns a step, and the revision that is in force there."""
        owner = next(past for past in self.line if past.start <= step)
        *_, (revision, env) = owner.run.folded(owner, (step, math.inf))
        return owner, revision, env


@dataclass(eq=False)
class Run:
    """One run: its generations, its revisions, and whether it is finished."""

    name: str
    body: Mapping[str, Any]
    id: str = ""
    generations: list[Generation] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    begins: int = 0
    end: int | None = None
    draft: Revision | None = None
    planned: int | None = None
    """The total that it began with."""
    ears: Any = None
    """What it has heard: see `listening.Ears`."""
    proposals: list[Any] = field(default_factory=list)
    outcomes: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)
    mismatches: dict[Any, Any] = field(default_factory=dict)
    """What was applied wrongly: see `applying.Found`."""
    saved: dict[Any, None] = field(default_factory=dict)
    """What is known to be saved: see `applying.Saved`."""

    @property
    def current(self) -> Generation:
        """The current generation."""
        return self.generations[-1]

    @property
    def settled(self) -> int:
        """The first step that is open."""
        return self.current.settled

    @property
    def cell(self) -> int:
        """The width of a cell."""
        return int(self.body["resolution"])

    @property
    def total(self) -> int | None:
        """The total in force: the newest, whatever was rewound."""
        return [self.planned, *(r.total for r in self.revisions if r.kind == "total")][-1]

    def counted(self, revision: Revision) -> int | None:
        """Return the total that a revision counts by: the newest that it, or its step, knows."""
        known = [
            other.total
            for other in self.revisions
            if other.kind == "total"
            and (
                other.number <= revision.number
                or (other.generation == revision.generation and other.place <= revision.place)
            )
        ]
        return [self.planned, *known][-1]

    @property
    def jump(self) -> int:
        """How far past what is settled a read may end."""
        return int(self.body["max_jump"]) * self.cell

    @property
    def ceiling(self) -> int:
        """The end of the last cell of the planned length."""
        return -(-(self.total or 0) // self.cell) * self.cell

    @property
    def unbegun(self) -> bool:
        """Whether a training may say where it begins."""
        alone = self.current.number == 1 and self.current.parent is None
        return alone and self.begins == 0 and self.settled <= self.jump

    def near(self, settled: int, step: int) -> bool:
        """Whether a worker at a step can read its cell once so much is settled."""
        cell = step - step % self.cell
        return cell - settled <= GAP * self.cell and cell + self.cell - settled <= self.jump

    def begin(self, parent: Generation | None, start: int, base: Env, number: int) -> None:
        """Begin a generation."""
        new = Generation(self, len(self.generations) + 1, parent, start, start, base)
        self.generations.append(new)
        self.revisions.append(Revision(number, new.number, "first", start))

    def generation(self, number: int) -> Generation:
        """Return a generation by its number."""
        if not 1 <= number <= len(self.generations):
            raise Refusal("unknown-generation")
        return self.generations[number - 1]

    def revision(self, number: int) -> Revision:
        """Return a revision by its number."""
        if not 1 <= number <= len(self.revisions) or self.revisions[number - 1] is self.draft:
            raise Refusal("unknown-revision")
        return self.revisions[number - 1]

    def pending(self) -> list[Revision]:
        """Return the changes that have yet to take effect, in folding order."""
        live = (r for r in self.revisions if r.generation == self.current.number)
        waiting = (r for r in live if r.kind in WAITING and not r.cancelled)
        return sorted((r for r in waiting if r.effective >= self.settled), key=lambda r: r.place)

    def history(self, number: int) -> Env:
        """Return what a revision put in force; raise if it has not, or not yet."""
        revision = self.revision(number)
        past = self.generation(revision.generation)
        branches = [child.start for child in self.current.line if child.parent is past]
        reached = revision.effective < past.settled or revision.effective in branches
        waits = revision.kind in WAITING and not reached
        if revision.kind in UNFOLDED or revision.cancelled or waits:
            raise Refusal("invalid")
        return next(env for r, env in self.folded(past, revision.place) if r is revision)

    def folded(
        self, past: Generation, last: tuple[float, float] = LAST, *, check: float = math.inf
    ) -> Iterator[tuple[Revision, Env]]:
        """
        Yield a generation's revisions in folding order, each with what it puts in force.

        Guards are checked of the revisions that are effective from step ``check`` on.
        """
        env = past.base
        live = (r for r in self.revisions if r.generation == past.number and not r.cancelled)
        for revision in sorted((r for r in live if r.kind not in UNFOLDED), key=lambda r: r.place):
            if revision.place > last:
                return
            if revision.kind == "total":
                env = laid_out(env, self.counted(revision), revision.effective)
            if revision.kind == "change":
                total = self.counted(revision)
                after = applied(revision.changes, revision.effective, env, self.history, total)
                if revision.effective >= check:
                    self.breaks(
                        revision.changes, revision.effective, env, after, force=revision.forced
                    )
                env = after
            yield revision, env

    def _broken(
        self, changes: Mapping[str, Any], at: int, before: Env, after: Env
    ) -> Iterator[bool]:
        for name, guard in self.body["guards"].items():
            if not changes.keys() & {name, *after[name].follows}:
                continue
            values = [after[name].value(step, after) for step in range(at, at + HORIZON)]
            jumps = zip([before[name].value(at, before), *values], values, strict=False)
            yield min(values) < guard.get("min", -math.inf)
            yield max(values) > guard.get("max", math.inf)
            yield max(_ratio(a, b) for a, b in jumps) > guard.get("max_ratio", math.inf)

    def breaks(
        self, changes: Mapping[str, Any], at: int, before: Env, after: Env, *, force: bool
    ) -> bool:
        """Return whether changes at a step break a guard; refuse those that do without force."""
        broken = any(self._broken(changes, at, before, after))
        if broken and not force:
            raise Refusal("guard-violated")
        return broken


def laid_out(env: Env, total: int | None, at: int) -> Env:
    """Return all curves for a total that comes at a step."""
    if total is None:
        return env
    return {name: curve.laid_out(total, at) for name, curve in env.items()}


def _ratio(old: Fraction, new: Fraction) -> float:
    if old == new:
        return 1.0
    if old * new <= 0:
        return math.inf
    return float(max(old / new, new / old))

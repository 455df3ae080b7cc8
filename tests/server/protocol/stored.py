"""A run as the domain's functions need it, with dictionaries in place of a database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rheostat.errors import Invalid, UnknownRevision
from rheostat.server.runs.barriers import NO_BARRIERS, Barriers
from rheostat.server.runs.changes import NO_CHANGES, parse_changes
from rheostat.server.runs.lineage import Generation, OwnedSteps
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.spec import RunSpec
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.validation import Units


@dataclass
class Stored:
    """A run as a database would have it; revisions stand under their numbers."""

    id: str
    spec: RunSpec
    generations: list[Generation] = field(default_factory=list)
    revisions: dict[int, Revision] = field(default_factory=dict)
    begins: int = 0
    end: int | None = None
    total: int | None = None
    barriers: Barriers = NO_BARRIERS

    @property
    def current(self) -> Generation:
        """The current generation."""
        return self.generations[-1]

    @property
    def following(self) -> int:
        """The number of the next revision."""
        return len(self.revisions) + 1

    def ruling(self, number: int) -> list[Revision]:
        """Return the revisions of a generation that put something in force, in folding order."""
        mine = (r for r in self.revisions.values() if r.generation == number and r.folds)
        return sorted(mine, key=lambda r: r.folding_order)

    def upcoming(self) -> tuple[Timelines, list[Revision]]:
        """Return what is in force where nothing is settled, and the pending revisions."""
        settled = self.current.settled_until
        pending = [r for r in self.ruling(self.current.key.number) if r.pending(settled)]
        fixed = [r for r in self.ruling(self.current.key.number) if r not in pending]
        return fixed[-1].timelines, pending

    def history(self, number: int) -> Timelines:
        """Return what an earlier revision put in force."""
        revision = self.revision(number)
        waits = revision.pending(self.generations[revision.generation - 1].settled_until)
        if not revision.folds or (waits and not self._kept(revision)):
            raise Invalid("it put nothing in force")
        return revision.timelines

    def _kept(self, revision: Revision) -> bool:
        """Whether the current generation branched from the revision's, at its step or later."""
        child = self.current
        while child.parent is not None and child.parent.run_id == self.id:
            if child.parent.number == revision.generation:
                return revision.effective <= child.start
            child = self.generations[child.parent.number - 1]
        return False

    def revision(self, number: int) -> Revision:
        """Return a revision."""
        if number not in self.revisions:
            raise UnknownRevision("there is none")
        return self.revisions[number]

    def waiting(self) -> list[Revision]:
        """Return all that waits for its step, by that."""
        settled, number = self.current.settled_until, self.current.key.number
        mine = (r for r in self.revisions.values() if r.generation == number)
        return sorted((r for r in mine if r.pending(settled)), key=lambda r: r.folding_order)

    def said(self, owned: OwnedSteps) -> list[Signal]:
        """Return the signals at some steps of a generation."""
        return [
            Signal(r.effective, r.number, r.data["signal"], r.data["arguments"], r.told)
            for r in sorted(self.revisions.values(), key=lambda r: r.folding_order)
            if r.generation == owned.owner.number and owned.start <= r.effective < owned.stop
            if r.data is not None and "signal" in r.data and (r.told or not r.cancelled)
        ]

    def change(self, number: int, **values: Any) -> None:
        """Replace a revision by itself with some fields changed."""
        self.revisions[number] = replace(self.revisions[number], **values)

    def note(self, kind: RevisionKind, effective: int, data: Any = None) -> Revision:
        """Add a revision that puts nothing in force."""
        new = self.add(kind, effective, None, Timelines({}))
        self.change(new.number, data=data)
        return new

    def add(self, kind: RevisionKind, effective: int, changes: Any, base: Timelines) -> Revision:
        """Add a revision that is not folded yet."""
        stored = NO_CHANGES if changes is None else self.parsed(changes)
        number, generation = self.following, self.current.key.number
        new = Revision(
            number, generation, kind, effective, stored, Note(), "", base, laid_for=self.total
        )
        self.revisions[number] = new
        return new

    def parsed(self, changes: Any) -> Any:
        """Return a request's changes."""
        return parse_changes(changes, self.spec.names, Units(self.total))

"""The calls of operators and viewers about one run, written once for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, overload

from rheostat.client import wire
from rheostat.client.asks import Many, Nothing, Number, One, Stream, Watches
from rheostat.client.previews import value_previewed, values_previewed
from rheostat.client.undo import undoing
from rheostat.client.watching import Watching

Change = Mapping[str, Any]
Changes = Mapping[str, Change | Sequence[Change]]


class Control(Generic[One, Many, Nothing, Stream, Number]):
    """What operators and viewers do with a run; ``key`` is its name or id."""

    def __init__(self, link: Watches[One, Many, Nothing, Stream, Number], key: str) -> None:
        self._ask = link
        self._key = key

    def show(self) -> One:
        """Return where the run is: definitions, values, pending revisions, generations."""
        return self._ask.one(wire.get(self._path()))

    def change(
        self,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> One:
        """
        Change parameters, all at the same step on every worker; see `rheostat.changes`.

        Args:
            changes: For each parameter a change, or several to apply one after the other.
            effective: The step, or ``"next"``: the first that no worker has been given.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.
            force: Break the guards of the run; the history records it.
            dry_run: Return the effective step and both curves, and change nothing.

        Raises `TooLate` if the step was handed out already, and `GuardViolated`.

        """
        body = {
            "changes": changes,
            "effective": effective,
            "message": message,
            "expected_revision": expected_revision,
            "force": force,
        }
        where = self._path("revisions")
        return self._ask.one(wire.post(where, body, dry_run=True if dry_run else None))

    def history(self) -> Many:
        """Return all revisions."""
        return self._ask.many(wire.get(self._path("revisions")))

    def revision(self, number: int) -> One:
        """Return one revision."""
        return self._ask.one(wire.get(self._path("revisions", number)))

    def cancel(self, number: int, *, message: str = "") -> One:
        """Cancel a revision that is pending; raise `NotPending` if it is not."""
        return self._ask.one(wire.delete(self._path("revisions", number), message=message or None))

    def undo(self, *, message: str = "") -> One:
        """
        Take back the newest change: cancel it if it is pending, else revert it from the next step.

        The answer is that of the one or the other, with ``undone``, the number of the revision.
        Undoing that brings the change back. Raises `RheostatError` if there is none.
        """
        return self._ask.run(undoing(self._ask.settings, self._path(), message))

    def rewind(
        self,
        to: int,
        changes: Changes | None = None,
        *,
        from_generation: int | None = None,
        expected_generation: int | None = None,
        message: str = "",
        force: bool = False,
    ) -> One:
        """
        Start a new generation at an earlier step; workers of the old one are fenced off.

        Args:
            to: The first step that is open again: that of the checkpoint which is resumed.
            changes: What to change at that step.
            from_generation: The generation to branch from; by default the current one.
            expected_generation: Refuse with `GenerationMismatch` if this is not the current one:
                of two watchdogs, one rewinds.
            message: Why, for the history.
            force: Break the guards of the run; the history records it.

        """
        body = {
            "to": to,
            "from_generation": from_generation,
            "expected_generation": expected_generation,
            "changes": changes,
            "message": message,
            "force": force,
        }
        return self._ask.one(wire.post(self._path("rewind"), body))

    def advance(self, to: int, *, message: str = "", expected_revision: int | None = None) -> One:
        """
        Settle the run up to a step that its training has reached without it.

        For a restored backup, or a stretch of data that is skipped: workers may begin only a little
        past what is settled. No change can touch what lies before the step any more.

        Args:
            to: The first step that is open afterwards, at most the run's total.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.

        Raises:
            TooLate: The step is settled already.
            PastTotal: The step lies past the run's total.
            Finished: The run is.

        """
        body = {"to": to, "message": message, "expected_revision": expected_revision}
        return self._ask.one(wire.post(self._path("advance"), body))

    def extend_total(
        self,
        total: int,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> One:
        """
        Train longer than planned, or shorter: lay out anew what is relative to the run's total.

        From ``effective`` on, what was planned in shares of the total or up to its end ends where
        these words put it for the new total. Boundaries that were passed stay, and so does what was
        written in steps. A total that is in force already makes no revision.

        Args:
            total: The new length, at least ``effective``.
            effective: The step, or ``"next"``: the first that no worker has been given.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.
            force: Break the guards of the run; the history records it.
            dry_run: Return the effective step and both curves, and change nothing.

        Raises:
            TooLate: The step was handed out already.
            GuardViolated: A parameter would jump, or leave its bounds.
            Finished: The run is.

        """
        body = {
            "total": total,
            "effective": effective,
            "message": message,
            "expected_revision": expected_revision,
            "force": force,
        }
        where = self._path("total")
        return self._ask.one(wire.post(where, body, dry_run=True if dry_run else None))

    def fork(
        self,
        name: str,
        changes: Changes | None = None,
        *,
        step: int | None = None,
        generation: int | None = None,
        labels: Mapping[str, str] | None = None,
        message: str = "",
        force: bool = False,
    ) -> One:
        """
        Make a new run that has this one's past, and return it. This one goes on undisturbed.

        Args:
            name: The name of the new run.
            changes: What to change where it leaves this one.
            step: Where it does; by default where the generation is settled to.
            generation: Whose past it has; by default the current one's.
            labels: The new run's labels.
            message: Why, for the new run's history.
            force: Break the guards; the history records it.

        """
        body = {
            "name": name,
            "from": {"run": self._key, "generation": generation, "step": step},
            "changes": changes,
            "labels": labels,
            "message": message,
            "force": force,
        }
        return self._ask.one(wire.post(wire.path("runs"), body))

    def events(self, after: int | None = None) -> Stream:
        """
        Yield what happens to the run, as it happens, until it is finished.

        Each event has a ``number`` and a ``kind``: ``settled``, ``revised``, ``cancelled``,
        ``rewound``, ``extended`` or ``finished``. It begins after event number ``after``, by
        default with the first that is known; `show` says which is the newest, ``event``. A stream
        that breaks is resumed without loss; if there is none for the client's ``deadline``,
        `Unreachable` is raised, and `UnknownRun` once the run was deleted.
        """
        return self._ask.watch(Watching(self._ask.settings, self._key, after).events())

    def plan(
        self, start: int | None = None, stop: int | None = None, points: int | None = None
    ) -> One:
        """Return the curves, past and future, at up to ``points`` steps. It settles nothing."""
        return self._ask.one(wire.get(self._path("plan"), start=start, stop=stop, points=points))

    def explain(self, step: int) -> One:
        """Return each parameter's value at a step, and which revision gives it, by whom and why."""
        return self._ask.one(wire.get(self._path("explain"), step=step))

    def preview(self, start: int, count: int) -> One:
        """Return the values of ``count`` cells, and which of them are final. It settles nothing."""
        return self._ask.one(wire.get(self._path("values"), start=start, count=count))

    @overload
    def value_at(self, name: str, step: int) -> Number: ...

    @overload
    def value_at(self, name: int) -> Number: ...

    def value_at(self, name: str | int, step: int | None = None) -> Number:
        """
        Return a parameter's value at a step, as it was served or is planned. It settles nothing.

        ``value_at("lr", 1000)``, or ``value_at(1000)`` where the run has one parameter only. Who
        looks at a run reads it so: `Run.value` settles the step, as a worker has to.
        """
        asked, at = (None, name) if step is None else (name, step)
        flow = value_previewed(self._ask.settings, self._key, at, asked)
        return self._ask.number(flow)

    def values_at(self, step: int) -> One:
        """Return ``{parameter: value}`` at a step. It settles nothing, as `value_at`."""
        return self._ask.run(values_previewed(self._ask.settings, self._key, step))

    def ledger(
        self, start: int | None = None, stop: int | None = None, generation: int | None = None
    ) -> Many:
        """Return what was really served: ``{"start", "count", "values"}`` of each stretch."""
        where = self._path("ledger")
        call = wire.get(where, start=start, stop=stop, generation=generation)
        return self._ask.many(call, "segments")

    def finish(self, end: int | None = None, *, message: str = "") -> One:
        """Close the run: at ``end``, its first step without a value, or where the workers are."""
        return self._ask.one(wire.post(self._path("finish"), {"end": end, "message": message}))

    def delete(self) -> Nothing:
        """Remove the run with its history and its ledger, for good."""
        return self._ask.nothing(wire.delete(self._path()))

    def _path(self, *segments: str | int) -> str:
        return wire.path("runs", self._key, *segments)

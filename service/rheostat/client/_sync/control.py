# Made from _async/control.py by unasync.py: edit that one, and run this.

"""What operators and viewers ask of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, overload

from rheostat.client import answers, calls
from rheostat.client._sync.branching import Branching
from rheostat.client._sync.deciding import Deciding
from rheostat.client._sync.exporting import Exporting
from rheostat.client._sync.looking import Looking
from rheostat.client._sync.orders import Orders
from rheostat.client.answers import understood
from rheostat.client.lineage import newest_change, reverting
from rheostat.errors import NotPending
from rheostat.limits import MAX_ITEMS

if TYPE_CHECKING:
    from os import PathLike

    from rheostat import wire
    from rheostat.client.calls import Changes
    from rheostat.client.lineage import Undone
    from rheostat.client.notebook import Picture


class Control(Looking, Orders, Deciding, Branching, Exporting):
    """
    What operators and viewers do with a run: look at it, change it, rewind it.

    It settles nothing, and joins nothing: ``client.control("gpt-7b")``. A training reads through an
    `Run`, which can do all of this too.
    """

    def show(self) -> wire.RunState:
        """
        Return where the run is: definitions, values, pending revisions, generations.

        Raises:
            UnknownRun: There is no such run; so do all other calls.

        """
        return self._session.ask(calls.get(self._path()))

    @overload
    def change(
        self,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        cause: Mapping[str, Any] | None = None,
        dry_run: Literal[False] = False,
    ) -> wire.Revised: ...

    @overload
    def change(
        self,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        cause: Mapping[str, Any] | None = None,
        dry_run: Literal[True],
    ) -> wire.Rehearsal: ...

    @overload
    def change(
        self,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        cause: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> wire.Revised | wire.Rehearsal: ...

    def change(
        self,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        cause: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> wire.Revised | wire.Rehearsal:
        """
        Change parameters, all at the same step on every worker; see `rheostat.changes`.

        Args:
            changes: For each parameter a change, or several to apply one after the other; ``lr/*``
                is ``lr`` and all of its groups.
            effective: The step, or ``"next"``: the first that no worker has been given.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.
            force: Break the guards of the run; the history records it.
            cause: What made a program decide it: ``{"controller": name, "step": step}``. A second
                change of one cause is answered as the first was, and changes nothing.
            dry_run: Return the effective step and both curves, and change nothing.

        Returns:
            The revision, and the step from which it holds.

        Raises:
            TooLate: The step was handed out already; ``earliest`` is the first that is open.
            GuardViolated: A parameter would jump, or leave its bounds.
            Invalid: A change is none, or fits no parameter; ``errors`` names each field.
            Finished: The run is.
            NeedsApproval: The run is protected: nothing was done, and a proposal waits for another
                person. So it is with whatever else an operator does to a run.

        """
        body = {
            "changes": changes,
            "effective": effective,
            "message": message,
            "expected_revision": expected_revision,
            "force": force,
        }
        if cause is not None:
            body["cause"] = dict(cause)
        call = calls.post(self._path("revisions"), body, dry_run=True if dry_run else None)
        return self._session.ask(call)

    def history(self, *, last: int | None = None) -> list[wire.Revision]:
        """
        Return the revisions, the oldest first.

        Args:
            last: Only so many of the newest; by default all.

        """
        where = self._path("revisions")
        if last is None:
            return self._session.ask_all(calls.get(where))
        call = calls.get(where, order="newest", limit=min(last, MAX_ITEMS))
        return (self._session.ask_all(call, most=last))[::-1]

    def revision(self, number: int) -> wire.ShownRevision:
        """
        Return one revision.

        Raises:
            UnknownRevision: The run has none of this number.

        """
        return self._session.ask(calls.get(self._path("revisions", number)))

    def cancel(self, number: int, *, message: str = "") -> wire.Cancelled:
        """
        Cancel a revision that is pending.

        Not repeated if the answer is lost: look at the `history` after `Unreachable`.

        Raises:
            NotPending: It took effect, was cancelled already, or cannot be: `change` the run.
            UnknownRevision: The run has none of this number.

        """
        call = calls.delete(self._path("revisions", number), message=message or None)
        return self._session.ask(call)

    def undo(self, *, message: str = "") -> Undone:
        """
        Take back the newest change: cancel it if it is pending, else revert it from the next step.

        Undoing that brings the change back. It is several calls: where somebody else changes the
        run meanwhile, it is refused.

        Returns:
            The answer of `cancel` or of `change`, with ``undone``, the number of the revision.

        Raises:
            RheostatError: There is nothing to undo, or another change was put on it.
            RevisionMismatch: Somebody else changed the run meanwhile.

        """
        run = self.show()
        history = self.history()
        with understood("the history of the run"):
            newest, before = newest_change(history)
            number, pending = newest["revision"], newest["pending"]
            body = reverting(run, newest, before, message)
        undone: Any = {"undone": number}
        if pending:
            with suppress(NotPending):  # it settled meanwhile: then there is something to revert
                return undone | self.cancel(number, message=message)
        return undone | self._session.ask(calls.post(self._path("revisions"), body))

    def advance(
        self, to: int, *, message: str = "", expected_revision: int | None = None
    ) -> wire.Advanced:
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
        return self._session.ask(calls.post(self._path("advance"), body))

    @overload
    def extend_total(
        self,
        total: int,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: Literal[False] = False,
    ) -> wire.TotalRevised: ...

    @overload
    def extend_total(
        self,
        total: int,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: Literal[True],
    ) -> wire.TotalRehearsal: ...

    @overload
    def extend_total(
        self,
        total: int,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.TotalRevised | wire.TotalRehearsal: ...

    def extend_total(
        self,
        total: int,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        expected_revision: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.TotalRevised | wire.TotalRehearsal:
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
        call = calls.post(self._path("total"), body, dry_run=True if dry_run else None)
        return self._session.ask(call)

    def events(self, after: int | None = None) -> Iterator[wire.Event]:
        """
        Yield what happens to the run, as it happens, until it is finished.

        Each event has a ``number`` and a ``kind``, which tells its other fields. A stream that
        breaks is resumed without loss.

        Args:
            after: The number of the last event that is known; by default it begins with the first.
                `show` says which is the newest, ``event``.

        Raises:
            Unreachable: There was no stream for the client's ``deadline``.
            UnknownRun: The run was deleted.

        """
        return self._session.events(self._key, after)

    def plan(
        self, start: int | None = None, stop: int | None = None, points: int | None = None
    ) -> wire.Plan:
        """
        Return the curves, past and future, at up to ``points`` steps. It settles nothing.

        Not for a training: what is planned may change before its step is reached.

        Raises:
            TooLarge: ``points`` are more than the service gives.

        """
        call = calls.get(self._path("plan"), start=start, stop=stop, points=points)
        from rheostat.client.notebook import Planned  # noqa: PLC0415 - no training needs it

        plan: Any = Planned(self._session.ask(call))
        return plan

    def plot(
        self,
        path: str | PathLike[str] | None = None,
        *,
        start: int | None = None,
        stop: int | None = None,
    ) -> Picture:
        """
        Return a picture of the plan, drawn by the service, which a notebook shows.

        The curves past and future, the steps that are settled, and a mark for each revision.

        Args:
            path: A file to write it into as well, whose name ends in ``.svg``, ``.png`` or
                ``.pdf``.
            start: The first step to show.
            stop: The step to end before.

        Raises:
            Invalid: The file's name ends otherwise, or these are no steps.
            OSError: The file cannot be written.

        """
        from rheostat.client import notebook  # noqa: PLC0415 - no training needs it

        kind = notebook.format_of(path)
        where = self._path("plan")
        call = calls.get(where, accept=notebook.KINDS[kind], format=kind, start=start, stop=stop)
        patience = self._session.settings.for_operator(call)
        picture = self._session.exchange(call, patience, notebook.picture_of)
        if path is not None:
            picture.save(path)
        return picture

    def __repr__(self) -> str:
        return f"<run {self._key!r} of {self._session.settings.address}>"

    def _repr_html_(self) -> str:
        from rheostat.client.notebook import of_run  # noqa: PLC0415 - no training needs it

        return of_run(self, repr(self)[1:-1])

    def explain(self, step: int) -> wire.Explanation:
        """Return each parameter's value at a step, and which revision gives it, by whom and why."""
        return self._session.ask(calls.get(self._path("explain"), step=step))

    def preview(self, start: int, count: int) -> wire.Preview:
        """
        Return the values of ``count`` cells, and which of them are final. It settles nothing.

        Not for a training: what is not final may still change.

        Raises:
            TooLarge: ``count`` cells are more than the service gives at once.
            Finished: The run has no value at some of them.

        """
        return self._session.ask(calls.get(self._path("values"), start=start, count=count))

    @overload
    def value_at(self, name: str, step: int) -> float: ...

    @overload
    def value_at(self, name: int) -> float: ...

    def value_at(self, name: str | int, step: int | None = None) -> float:
        """
        Return a parameter's value at a step, as it was served or is planned. It settles nothing.

        ``value_at("lr", 1000)``, or ``value_at(1000)`` where the run has one parameter only. Not
        for a training, which has to settle the steps that it uses: that is `Run.value`.

        Raises:
            Invalid: The run has no such parameter, or several and none was named.

        """
        asked, at = (None, name) if step is None else (name, step)
        values = self.values_at(at)  # type: ignore[arg-type]
        if asked is None and len(values) == 1:
            [asked] = values
        if asked not in list(values):
            raise calls.invalid("name", asked, f"one of {', '.join(values)}")
        return values[asked]

    def values_at(self, step: int) -> dict[str, float]:
        """Return ``{parameter: value}`` at a step. It settles nothing, as `value_at`."""
        call = calls.get(self._path("values", calls.coordinate(step)))
        patience = self._session.settings.for_operator(call)
        return self._session.exchange(call, patience, answers.values_of_step)

    def ledger(
        self, start: int | None = None, stop: int | None = None, generation: int | None = None
    ) -> list[wire.Segment]:
        """
        Return what was really served, in stretches of consecutive cells.

        Args:
            start: The first step; by default the first of all.
            stop: The step to end before; by default where the generation is settled to.
            generation: Whose values; by default the current one's.

        """
        where = self._path("ledger")
        call = calls.get(where, start=start, stop=stop, generation=generation)
        return self._session.ask_all(call, "segments")

    def workers(
        self, *, state: wire.WorkerState | None = None, limit: int | None = None
    ) -> wire.Workers:
        """
        Return who trains, where they are, and what they have proven to have applied.

        The summary is of all workers, whatever is listed: ``alive``, ``silent``, ``wrong``,
        ``behind``, the steps of the ``first`` and the ``last``, and when they come to which
        revision, ``eta``. It is by what workers say every 5 to some 200 seconds; ``items`` has each
        of them, up to 20,000. A training whose client has ``beats=False`` is not seen.

        Args:
            state: List those alone who are ``"training"``, ``"waiting"``, ``"silent"``,
                ``"wrong"`` or ``"ended"``.
            limit: List so many of them at most, 1 to 1,000; by default all. The summary alone takes
                one request.

        Raises:
            Invalid: There is no such state, or ``limit`` is out of its bounds.

        """
        where = self._path("workers")
        if limit is not None:
            return self._session.ask(calls.get(where, state=state, limit=limit))
        return self._session.ask_with_all(calls.get(where, state=state, limit=MAX_ITEMS))

    def mismatches(self) -> list[wire.Mismatch]:
        """
        Return each value that a worker applied and that was not served: who, where, and both.

        The oldest first; at most 1,000 of a run are kept. ``expected`` is the value of the ledger,
        rounded as the worker's slot is, and ``found`` the other one: float64, as text.
        """
        return self._session.ask_all(calls.get(self._path("mismatches")))

    def finish(self, end: int | None = None, *, message: str = "") -> wire.RunState:
        """
        Close the run: at ``end``, its first step without a value, or where the workers are.

        Raises:
            TooLate: ``end`` lies before what was handed out.
            Finished: The run is already, elsewhere.

        """
        call = calls.post(self._path("finish"), {"end": end, "message": message})
        return self._session.ask(call)

    def delete(self) -> None:
        """
        Remove the run with its history and its ledger, for good.

        Raises:
            HasForks: Other runs have its past.

        """
        self._session.tell(calls.delete(self._path()))

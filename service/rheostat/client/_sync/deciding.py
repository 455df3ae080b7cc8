# Made from _async/deciding.py by unasync.py: edit that one, and run this.

"""What decides on a run: controllers, the reports that they read, proposals that wait for a yes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from rheostat.client import calls
from rheostat.client._sync.handle import Handle
from rheostat.client.series import Series

if TYPE_CHECKING:
    from rheostat import wire


class Deciding(Handle):
    """Controllers, reports and proposals of a run."""

    def controllers(self) -> list[wire.ArmedController]:
        """Return the controllers that are armed, each with its state."""
        return self._session.ask_all(calls.get(self._path("controllers")))

    def controller(self, name: str) -> wire.ArmedController:
        """
        Return one controller: its config, its state, the last report that it read.

        Raises:
            UnknownController: There is none of this name.

        """
        return self._session.ask(calls.get(self._path("controllers", name)))

    def arm(
        self,
        name: str,
        controller: Mapping[str, Any],
        *,
        keep_state: bool = False,
        replay: bool = False,
        force: bool = False,
        if_match: int | None = None,
    ) -> wire.ArmedController:
        """
        Have a controller read a metric and decide: ``arm("plateau", plateau(metric="val_loss"))``.

        One that is armed already with this config stays as it is; with another one it begins anew.

        Args:
            name: What it is called in this run.
            controller: What it does; `rheostat.controls` writes it.
            keep_state: Whether one that is armed goes on with its best value and its counters.
            replay: Whether it first reads the reports that are there, without deciding.
            force: Whether a gate may be put on a run that has been read already.
            if_match: Refuse with `PreconditionFailed` unless this is the controller's revision.

        Raises:
            Invalid: A field is wrong; ``errors`` names each.
            Finished: The run is.

        """
        flags = {"keep_state": keep_state, "replay": replay, "force": force}
        body = {**controller, **{flag: True for flag, given in flags.items() if given}}
        call = calls.put(self._path("controllers", name), body, match=if_match)
        return self._session.ask(call)

    def disarm(self, name: str) -> wire.Disarmed:
        """
        Remove a controller. What it decided stays.

        Raises:
            UnknownController: There is none of this name.

        """
        return self._session.ask(calls.delete(self._path("controllers", name)))

    def reset(self, name: str) -> wire.ArmedController:
        """
        Have a controller forget what it has read.

        Raises:
            UnknownController: There is none of this name.

        """
        call = calls.post(self._path("controllers", name, "reset"), {})
        return self._session.ask(call)

    def decisions(self, name: str) -> list[wire.Decision]:
        """
        Return what a controller decided, the oldest first.

        Raises:
            UnknownController: There is none of this name.

        """
        return self._session.ask_all(calls.get(self._path("controllers", name, "decisions")))

    @overload
    def reports(
        self,
        metric: str,
        *,
        generation: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int | None = None,
        after: int | None = None,
        follow: Literal[False] = False,
    ) -> wire.Reports: ...

    @overload
    def reports(
        self,
        metric: str,
        *,
        generation: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int | None = None,
        after: int | None = None,
        follow: Literal[True],
    ) -> Iterator[dict[str, Any]]: ...

    def reports(
        self,
        metric: str,
        *,
        generation: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        points: int | None = None,
        after: int | None = None,
        follow: bool = False,
    ) -> Any:
        """
        Return what was reported of a metric: ``steps``, ``values`` and ``sources``.

        Args:
            metric: Its name.
            generation: On whose line; by default the current one's.
            start: The first step.
            stop: The step to end before.
            points: About how many are given; the extremes stay.
            after: Only those that came after the report of this number, as ``next`` says it.
            follow: Yield them one by one instead, as ``{"step", "value", "source"}``, those to come
                as they come, until the run is finished. A metric that nobody has reported yet is
                waited for.

        Raises:
            UnknownMetric: It was never reported.

        """
        where = self._path("reports")
        limits: dict[str, Any] = {
            "generation": generation,
            "start": start,
            "stop": stop,
            "points": points,
        }
        if follow:
            series = Series(where, {"metric": metric, **limits}, after)
            return self._follow(series)
        return self._session.ask(calls.get(where, metric=metric, **limits, after=after))

    def _follow(self, series: Series) -> Iterator[dict[str, Any]]:
        while not series.is_over:
            for point in self._session.follow(series):
                yield point
            if series.asks_for_the_end:
                run = self._session.ask(calls.get(self._path()))
                series.finished(run.get("finished_at"))
            self._session.network.sleep(series.pause)

    def proposals(self, *, state: wire.ProposalState | None = None) -> list[wire.Proposal]:
        """Return the proposals of a run, or those in one state."""
        return self._session.ask_all(calls.get(self._path("proposals"), state=state))

    def propose(
        self,
        kind: wire.ProposalKind,
        body: Mapping[str, Any],
    ) -> wire.Proposal:
        """
        Suggest something that an operator may then `accept`. Until then it does nothing.

        Args:
            kind: What is suggested.
            body: What the call of that kind sends, such as
                ``{"changes": {"lr": scale(0.5)}, "effective": "next", "message": "spike"}``.

        Raises:
            Invalid: It could not be accepted as it is; ``errors`` names each field.
            TooMany: The author has as many open proposals as one may have.

        """
        call = calls.post(self._path("proposals"), {"kind": kind, "body": dict(body)})
        return self._session.ask(call)

    def accept(
        self,
        number: int,
        *,
        message: str = "",
        expected_revision: int | None = None,
        unapproved: bool = False,
    ) -> wire.Accepted:
        """
        Do what a proposal suggests: of a protected run, with another token than its author's.

        Args:
            number: The proposal's.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from the
                revision that was looked at.
            unapproved: As an admin, do without another person; the history records it.

        Raises:
            Forbidden: The run is protected, and the token is its author's.
            UnknownProposal: The run has none of this number.
            NotOpen: It was decided, or its generation was left.
            Refused: What the call itself raises; the proposal stays open.

        """
        more = {"unapproved": True} if unapproved else {}
        return self._decide(number, "accept", message, expected_revision, **more)

    def decline(
        self, number: int, *, message: str = "", expected_revision: int | None = None
    ) -> wire.Proposal:
        """
        Say no to a proposal; it takes what `accept` takes.

        Raises:
            RevisionMismatch: The run has moved on from ``expected_revision``.
            UnknownProposal: The run has none of this number.
            NotOpen: It was decided, or its generation was left.

        """
        return self._decide(number, "decline", message, expected_revision)

    def protect(self, free: Sequence[wire.ProposalKind] = ()) -> wire.Protected:
        """
        Have whatever an operator does to the run wait until another one accepts it: for admins.

        What is asked for becomes a proposal then, and raises `NeedsApproval`. What armed
        controllers decide goes on.

        Args:
            free: What one operator may do alone, such as ``["stop", "pause", "signal"]``.

        Raises:
            Forbidden: The token is no admin's.
            Invalid: The server requires no tokens: there is no second person.
            Finished: The run is.

        """
        return self._session.ask(calls.put(self._path("protect"), {"except": [*free]}))

    def unprotect(self, *, message: str = "") -> wire.Protected:
        """Let one operator be enough again: for admins."""
        return self._session.ask(calls.delete(self._path("protect"), message=message or None))

    def _decide(
        self, number: int, how: str, message: str, expected: int | None, **more: Any
    ) -> Any:
        body: dict[str, Any] = {"message": message, **more}
        if expected is not None:
            body["expected_revision"] = expected
        return self._session.ask(calls.post(self._path("proposals", number, how), body))

"""What an operator tells a training: to stop, to hold, to go on, a word; and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rheostat.client import calls
from rheostat.client._async.handle import AsyncHandle
from rheostat.client.states import LONGEST_WAIT, is_over, number_of

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client.states import Goal

Step = int | Literal["next"]


class AsyncOrders(AsyncHandle):
    """Stops, pauses, signals and notes: revisions that reach all ranks at one step."""

    async def stop(
        self,
        *,
        effective: Step = "next",
        message: str = "",
        signal: str | Mapping[str, Any] | None = None,
        expected_revision: int | None = None,
    ) -> wire.Halted:
        """
        End the training at a step, the same one on every rank.

        Until a rank was refused there it can be taken back: `cancel` its revision. Afterwards a
        `rewind` to it lifts it, and workers go on from their checkpoints at that step.

        Args:
            effective: The first step without a value, or ``"next"``: where workers are.
            message: Why, for the history and for whoever is stopped.
            signal: A word that they are told at the end, as ``"checkpoint"`` or
                ``{"signal": "checkpoint", "arguments": {"tag": "last"}}``.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.

        Returns:
            The revision, and the step at which it ends.

        Raises:
            TooLate: The step was handed out already; ``earliest`` is the first that is open.
            Stopped: The run was stopped before.
            Finished: The run is.
            Invalid: The run does not understand the signal.

        """
        return await self._order(
            "stop",
            effective=effective,
            message=message,
            signal=_signal(signal),
            expected_revision=expected_revision,
        )

    async def pause(
        self,
        *,
        effective: Step = "next",
        message: str = "",
        signal: str | Mapping[str, Any] | None = None,
        expected_revision: int | None = None,
    ) -> wire.Halted:
        """
        Have all ranks wait at a step until somebody calls `resume`.

        They wait between two updates, outside of any collective call. It takes what `stop` takes,
        and raises what that raises.
        """
        return await self._order(
            "pause",
            effective=effective,
            message=message,
            signal=_signal(signal),
            expected_revision=expected_revision,
        )

    async def resume(
        self,
        until: int | None = None,
        *,
        message: str = "",
        expected_revision: int | None = None,
    ) -> wire.Resumed:
        """
        Let ranks that wait at a pause go on.

        Args:
            until: The step at which they wait again, if they shall: there is no moment between
                both at which they could run away.
            message: Why, for the history.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.

        Raises:
            NotPending: Nobody waits: there is no pause at or before what is settled. After a stop
                that workers ended by, ``rewind`` says how to go on.
            TooLate: ``until`` is settled.

        """
        return await self._order(
            "resume", until=until, message=message, expected_revision=expected_revision
        )

    async def signal(
        self,
        word: str,
        /,
        *,
        effective: Step = "next",
        message: str = "",
        arguments: Mapping[str, Any] | None = None,
        expected_revision: int | None = None,
        **more: Any,
    ) -> wire.Signalled:
        """
        Tell all ranks a word at one step: ``signal("checkpoint", tag="before-decay")``.

        Args:
            word: One that the run understands: see `surface`.
            effective: The step before whose update it is told, or ``"next"``.
            message: Why, for the history.
            arguments: What the word is told with, as a mapping.
            expected_revision: Refuse with `RevisionMismatch` if the run has moved on from it.
            more: The same, by name.

        Returns:
            The revision, and its step.

        Raises:
            Invalid: The run does not understand this; ``errors`` lists what it understands.
            TooLate: The step was handed out already.
            Stopped: It would lie at or past where the run was stopped.
            Finished: It would lie at or past the end.

        """
        told = {**(arguments or {}), **more}
        return await self._order(
            "signals",
            signal=word,
            arguments=told,
            effective=effective,
            message=message,
            expected_revision=expected_revision,
        )

    async def note(
        self,
        text: str,
        *,
        step: int | None = None,
        level: Literal["note", "warn", "error"] = "note",
    ) -> wire.Noted:
        """
        Leave a note in the run's history, events and charts.

        Args:
            text: What is to be known.
            step: Where it belongs; by default where the run is.
            level: How urgent it is.

        Raises:
            RateLimited: There were too many notes within a minute.

        """
        return await self._order("notes", text=text, step=step, level=level)

    async def surface(self) -> wire.Surface:
        """Return what the run understands: parameters, guards, edits and signals, as a schema."""
        return await self._session.ask(calls.get(self._path("surface")))

    async def outcomes(self, revision: int | Mapping[str, Any]) -> list[wire.Outcome]:
        """
        Return what workers said became of a signal, one for each of those who did.

        Raises:
            UnknownRevision: The run has none of this number.

        """
        where = self._path("revisions", number_of(revision), "outcomes")
        return await self._session.ask_all(calls.get(where))

    async def wait(
        self,
        revision: int | Mapping[str, Any],
        state: Goal = "settled",
        *,
        timeout: float = 60.0,
    ) -> wire.ShownRevision:
        """
        Wait until a revision has come so far, and return it; ``waited`` says whether it did.

        ``wait(change({"lr": scale(0.5)}), "reached")``: what a call answered names its revision.

        Args:
            revision: Its number, or what made it.
            state: ``"settled"``: it cannot be cancelled any more; ``"reached"``: every live rank is
                past it; ``"proven"``: their values were compared, and agree; ``"done"``: a
                worker said that it did what a signal asks for.
            timeout: Seconds to wait. It raises nothing when they are over.

        Raises:
            UnknownRevision: The run has none of this number.
            Invalid: There is no such state.

        """
        where = self._path("revisions", number_of(revision))
        until = time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            left = max(0.0, until - asked)
            seconds = min(left, LONGEST_WAIT, self._session.settings.timeout / 2)
            call = calls.get(where, wait=state, timeout=round(seconds, 3))
            found: wire.ShownRevision = await self._session.ask(call)
            if seconds == left or is_over(found, time.monotonic() - asked, seconds):
                return found

    async def _order(self, where: str, **body: Any) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        return await self._session.ask(calls.post(self._path(where), given))


def _signal(signal: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return {"signal": signal} if isinstance(signal, str) else signal

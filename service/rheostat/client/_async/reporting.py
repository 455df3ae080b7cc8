"""What a training tells the service without waiting: reports, notes, outcomes, checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from rheostat.client import answers, calls
from rheostat.client._async.handle import AsyncHandle
from rheostat.client.joined import JoinedRun
from rheostat.client.measured import Remarks, points_of, watched
from rheostat.client.outbox import Outbox, Parcel
from rheostat.client.retry import Trouble, judged
from rheostat.client.states import number_of
from rheostat.errors import Closed, Invalid, RheostatError, Unreachable
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat import wire

GLANCE = 0.02
"""Seconds between two looks at whether all is sent."""


class AsyncReporting(AsyncHandle):
    """The queue of what a training has to say, and its sender."""

    _joined: JoinedRun

    async def report(
        self,
        step: int,
        metrics: Mapping[str, Any],
        *,
        source: str = "main",
        wait: bool = False,
    ) -> wire.Reported | None:
        """
        Say what was measured at a step, for the run's controllers and charts; return at once.

        The values are those of the model after all updates before ``step``. They are sent in the
        background: at once if a controller reads one of them, else once a second. Nothing here
        raises, and what cannot be sent is said in the log. As long as the service is away, up to
        10,000 values are kept.

        Args:
            step: How many updates the model has had, in what the run counts.
            metrics: Numbers by name, tensors of one element among them. What is no number is left
                out; NaN and infinities are sent.
            source: Who measured it, where several do.
            wait: Whether to wait for the service's answer, and return it. This raises.

        Returns:
            None or, with ``wait``, how many were kept, what differs, and what controllers decided.

        Raises:
            StaleGeneration: With ``wait``: the step is not on the run's line any more.
            Invalid: With ``wait``: the step or a metric is none.
            Unreachable: With ``wait``: the service did not answer until the client's deadline.

        """
        try:
            remarks, generation = self._remarks, self._joined.generation
            points = points_of(generation, source, step, metrics, remarks)
        except Invalid as error:
            if wait:
                raise
            self._remarks.refused("a report", error)
            return None
        if not points:
            return None
        if wait:
            return await self._send_and_wait(points)
        with self._outbox_lock:
            self._outbox.add(points)
            self._tell_of_dropped()
        self._have_sent()
        return None

    async def note(
        self,
        text: str,
        *,
        step: int | None = None,
        level: Literal["note", "warn", "error"] = "note",
    ) -> None:
        """
        Leave a note in the run's history, events and charts; return at once.

        It is sent in the background as a `report` is, and raises nothing.

        Args:
            text: What is to be known.
            step: Where it belongs; by default where the run is.
            level: How urgent it is.

        """
        body: dict[str, Any] = {"text": text, "level": level}
        if step is not None:
            body["step"] = step
        self._write("notes", body, "a note")

    async def outcome(
        self,
        signal: Any,
        outcome: Literal["done", "failed"],
        *,
        step: int,
        data: Mapping[str, Any] | None = None,
        error: str | BaseException | None = None,
        source: str = "main",
    ) -> None:
        """
        Say what became of a signal; return at once.

        It is sent in the background as a `report` is, and raises nothing.

        Args:
            signal: What `signals` told, or the number of its revision.
            outcome: Whether what it asks for was done.
            step: The step at which it was told.
            data: What others should know, such as a path: up to 4 KB as JSON.
            error: Why it failed.
            source: Who says so, where several ranks do: each is written once.

        """
        told = {"data": None if data is None else dict(data), "error": _text(error)}
        body: dict[str, Any] = {"generation": self._joined.generation}
        body |= {"source": source, "outcome": outcome}
        try:
            body["revision"] = number_of(getattr(signal, "revision", signal))
            body["step"] = calls.coordinate(step)
        except Invalid as wrong:
            self._remarks.refused("an outcome", wrong)
            return
        given = {name: value for name, value in told.items() if value is not None}
        self._write("outcomes", {**body, **given}, "an outcome")

    async def saved(
        self,
        step: int,
        *,
        tag: str = "checkpoint",
        uri: str | PathLike[str] | None = None,
        bytes: int | None = None,  # noqa: A002 - the field's name
        source: str = "main",
    ) -> None:
        """
        Say that a checkpoint was saved, so that a rewind or a fork finds it; return at once.

        It is sent in the background as a `report` is, and raises nothing. Of several ranks that
        save one together, each may say so. What the signal ``checkpoint`` has asked for is known
        by its `outcome` already.

        Args:
            step: The step that a training which resumes from it reads first.
            tag: What people call it; several may be called so, and the newest is meant then.
            uri: Where it is; nobody opens it.
            bytes: How large it is.
            source: Who says so.

        """
        body: dict[str, Any] = {"generation": self._joined.generation, "tag": tag, "source": source}
        try:
            body["step"] = calls.coordinate(step)
            if bytes is not None:
                body["bytes"] = calls.coordinate(bytes, "bytes")
        except Invalid as wrong:
            self._remarks.refused("a checkpoint", wrong)
            return
        if uri is not None:
            body["uri"] = str(uri)
        self._write("checkpoints", body, "a checkpoint")

    async def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was reported is sent; return whether it is, within ``timeout``."""
        until = time.monotonic() + timeout
        bell = self._session.network.bell()
        while True:
            with self._outbox_lock:
                busy = self._sends or bool(self._outbox)
                self._outbox.hurries = busy
            if not busy or time.monotonic() >= until:
                return not busy
            self._have_sent()
            await bell.wait(GLANCE)

    def _renew_reports(self) -> None:
        """Begin with an empty queue."""
        name = self._joined.name
        network = self._session.network
        self._outbox = Outbox(name, calls.path("runs", self._joined.id, "reports"))
        self._outbox_lock = threading.Lock()
        """Guards the queue, and is never kept while waiting."""
        self._remarks = Remarks(name)
        self._sends = False
        """Whether somebody sends what is queued."""
        self._bell = network.bell()
        self._sender = network.background(f"rheostat reports {name}")

    def _write(self, where: str, body: Mapping[str, Any], about: str) -> None:
        try:
            call = calls.post(calls.path("runs", self._joined.id, where), body)
        except Invalid as error:
            self._remarks.refused(about, error)
            return
        with self._outbox_lock:
            self._outbox.add_letter(call, about)
            self._tell_of_dropped()
        self._have_sent()

    def _tell_of_dropped(self) -> None:
        for name, many in self._outbox.dropped.items():
            self._remarks.dropped(name, many)

    def _have_sent(self) -> None:
        """Have the queue sent, if nobody does; never raises, and costs next to nothing."""
        with self._outbox_lock:
            begins, self._sends = not self._sends, True
        if not begins:
            self._bell.ring()
            return
        self._session.flushing.add(self)
        try:
            self._sender.do(self._send_all)
        except RheostatError as error:  # another event loop, or none
            self._sends = False
            self._remarks.refused("a report", error)

    async def _send_all(self) -> None:
        """Send what is queued, when it is due, until nothing is."""
        try:
            while (parcel := await self._next()) is not None:
                await self._send(parcel)
        except BaseException as error:
            self._sends = False
            if not isinstance(error, Closed):
                raise
            log.debug("the client was closed before all was reported")

    async def _next(self) -> Parcel | None:
        """Wait for what is due, and take it; None if nothing is queued any more."""
        while True:
            with self._outbox_lock:
                now = time.monotonic()
                parcel, left = self._outbox.take(now), self._outbox.due(now)
                if parcel is None and left is None:
                    self._sends = False
                    return None
            if parcel is not None:
                return parcel
            await self._bell.wait(left or 0.0)

    async def _send(self, parcel: Parcel) -> None:
        outcome = await self._session.network.send(parcel.call)
        answer = judged(outcome, answers.document)
        with self._outbox_lock:
            if isinstance(answer, Trouble) and answer.passes(repeatable=True):
                self._outbox.put_back(parcel, answer, time.monotonic())
                return
            more = not isinstance(answer, Trouble) and answer.get("again") is True
            again = self._outbox.answered(parcel, again=more)
        if isinstance(answer, Trouble):
            self._refused(parcel, answer)
        else:
            self._answered(parcel, answer, again=again)

    def _answered(self, parcel: Parcel, answer: Mapping[str, Any], *, again: bool) -> None:
        known = watched(answer) if parcel.points else None
        if known is not None:
            with self._outbox_lock:
                self._outbox.learn(known)
        if parcel.points:
            self._remarks.read(answer)
        if parcel.tell is not None and not again:
            parcel.tell(answer)

    def _refused(self, parcel: Parcel, trouble: Trouble) -> None:
        """Tell who waits, or send the steps one by one: some may be taken; else say it once."""
        error = trouble.error
        if not isinstance(error, RheostatError):
            error = Unreachable(f"no answer of the service: {trouble}")
        if parcel.tell is not None:
            parcel.tell(error)
            return
        with self._outbox_lock:
            again = trouble.status is not None and self._outbox.add_apart(parcel)
        if not again:
            self._remarks.refused(parcel.about, error)

    async def _send_and_wait(self, points: Any) -> wire.Reported:
        told: list[Any] = []
        bell = self._session.network.bell()

        def tell(answer: Any) -> None:
            told.append(answer)
            bell.ring()

        with self._outbox_lock:
            self._outbox.add_urgent(points, tell)
        deadline = self._session.settings.deadline
        until = time.monotonic() + deadline
        while not told:
            left = until - time.monotonic()
            if left <= 0:
                raise Unreachable(f"no answer to a report in {deadline:.0f} s; it is sent later")
            self._session.network.require_open()
            self._have_sent()
            await bell.wait(min(left, 1.0))
        [answer] = told
        if isinstance(answer, Exception):
            raise answer
        found: wire.Reported = answer
        return found


def _text(error: Any) -> str | None:
    return None if error is None else f"{error!s:.1000}" or type(error).__name__

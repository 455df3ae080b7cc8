# Made from _async/session.py by unasync.py: edit that one, and run this.

"""Sending calls until they are answered: retries, lists that come in pages, streams of events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from rheostat.client import answers, calls
from rheostat.client._sync.network import Network
from rheostat.client.answers import Answer, Pages
from rheostat.client.calls import Call
from rheostat.client.events import Following, Interrupted
from rheostat.client.joined import JoinedRun, join_answer, join_call
from rheostat.client.retry import Outcome, Patience, Trouble, judged
from rheostat.client.series import Series
from rheostat.errors import Forbidden, NameTaken, RheostatError, UnknownMetric
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.client.calls import OtherTotal
    from rheostat.wire import Event

LAST_WORDS = 2.0
"""Seconds that closing waits for what was reported to be sent."""

Result = TypeVar("Result")


class Flushable(Protocol):
    """What has something to be sent."""

    def flush(self, timeout: float) -> bool: ...


class Sender(Protocol):
    """What makes one attempt of a call: the network, or what looks elsewhere before."""

    def send(self, call: Call) -> Outcome: ...


class Session:
    """
    What the calls of a client go through, which retries and judges what comes back.

    What it returns of JSON is an object of whatever fields the service sent. The methods of the
    client say which type of `rheostat.wire` that is; nothing here checks it.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.settings = network.settings
        self.flushing: WeakSet[Flushable] = WeakSet()
        """What has something to be sent before this is closed."""
        network.at_exit(self)

    def ask(self, call: Call) -> Any:
        """Return the JSON object that answers the call of somebody who sits and waits."""
        return self.exchange(call, self.settings.for_operator(call), answers.document)

    def ask_all(self, call: Call, key: str = "items", most: int | None = None) -> list[Any]:
        """Return all items of a list that comes in pages, or the first ones."""
        return (self._all_pages(call, key, most)).items[:most]

    def ask_with_all(self, call: Call) -> Any:
        """Return the first page of a list, with the items of all of them."""
        pages = self._all_pages(call, "items")
        return {**pages.head, "items": pages.items, "next": None}

    def _all_pages(self, call: Call, key: str, most: int | None = None) -> Pages:
        pages = Pages(key)
        while True:
            self.exchange(call, self.settings.for_operator(call), pages.take)
            if pages.next is None or (most is not None and len(pages.items) >= most):
                return pages
            call = replace(call, params={**call.params, "cursor": pages.next})

    def tell(self, call: Call) -> None:
        """Make a call that has no answer."""
        self.exchange(call, self.settings.for_operator(call), answers.nothing)

    def exchange(
        self,
        call: Call,
        patience: Patience,
        parse: Callable[[Answer], Result],
        sender: Sender | None = None,
    ) -> Result:
        """Send the call until it is answered; return the parsed answer, or raise the refusal."""
        sender = sender or self.network
        while True:
            outcome = sender.send(replace(call, seconds=patience.left))
            answer = judged(outcome, parse)
            if not isinstance(answer, Trouble):
                patience.ends()
                return answer
            patience.require_passing(answer, repeatable=call.repeatable)
            call = replace(call, holds=0.0)  # something on the way may not let a request wait
            self.network.sleep(patience.pause(answer))

    def join(
        self,
        run: str,
        checkpoint: Mapping[str, Any] | None = None,
        create: Mapping[str, Any] | None = None,
        start: int | None = None,
        other_total: OtherTotal = "refuse",
    ) -> JoinedRun:
        """Create a run, if it is told how, and join it."""
        join = join_call(run, checkpoint, start)
        if create is not None:
            body = calls.run_body(create)
            try:
                self._create(run, body)
            except NameTaken as refusal:
                from rheostat.client import attempts  # noqa: PLC0415 - rarely needed

                if other_total == "refuse" or not attempts.is_of_total_alone(refusal):
                    raise
                self._differ(run, body["total"], refusal, other_total)
        return self.exchange(join, self.settings.for_worker(join, begun=False), join_answer)

    def join_anew(self, name: str, create: Mapping[str, Any]) -> JoinedRun:
        """Create the run of a new attempt, called after a name, and join it."""
        from rheostat.client import attempts  # noqa: PLC0415 - rarely needed

        job = attempts.of_this_process()
        body = attempts.labelled(create, job)
        for number in range(1, attempts.MOST + 1):
            attempt = attempts.nth(calls.require_name(name), number)
            try:
                run = self._create(attempt, body)
            except NameTaken:
                continue
            if attempts.is_ours(run, job):
                return self.join(attempt)
        raise calls.invalid("name", name, f"another one: it has {attempts.MOST:,} attempts")

    def _create(self, name: str, body: Mapping[str, Any]) -> Any:
        """Return the run, as it was created now or before."""
        put = calls.put(calls.path("runs", name), body)
        return self.exchange(put, self.settings.for_worker(put, begun=False), answers.document)

    def _differ(self, run: str, total: int, refusal: NameTaken, other_total: OtherTotal) -> None:
        """Keep the total that a run has, or make it that of this training."""
        if other_total == "keep":
            log.warning("run %s: this training keeps the run's own total: %s", run, refusal.detail)
            return
        call = calls.post(calls.path("runs", run, "total"), {"total": total})
        try:
            self.ask(call)
        except Forbidden:
            raise refusal from None

    def events(self, run: str, after: int | None) -> Iterator[Event]:
        """Yield the events of a run until it is finished; where a stream breaks, resume it."""
        following = Following(self.settings, run, after)
        with closing(self.network.stream()) as stream:
            while True:
                try:
                    following.opened(stream.open(following.call()))
                    while not following.is_over:
                        for event in following.read(stream.more()):
                            yield event
                except Interrupted as interrupted:
                    trouble = interrupted.trouble
                else:
                    return
                self.network.sleep(following.pause(trouble))

    def follow(self, series: Series) -> list[dict[str, Any]]:
        """Return the reports of a metric that came since the last time."""
        call = series.call()
        try:
            return self.exchange(call, self.settings.for_operator(call), series.read)
        except UnknownMetric:
            series.nothing_yet()
            return []

    def close(self) -> None:
        """Send what is left, if that takes no time; then close the connections."""
        until = time.monotonic() + LAST_WORDS
        try:
            for run in list(self.flushing):
                run.flush(max(0.0, until - time.monotonic()))
        except RheostatError as error:  # it is used in another event loop
            log.debug("not all was reported: %s", error)
        self.network.close()

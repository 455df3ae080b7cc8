"""Operations that wait for the writer: in the order in which they came, until they are given up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rheostat.errors import Refused, Unavailable
from rheostat.server.store.locks import Held

S = TypeVar("S")
T = TypeVar("T")


def always() -> bool:
    """Say that somebody waits for the answer."""
    return True


@dataclass(eq=False)
class Waiting(Generic[S, T]):
    """An operation, who waits for it, and what came of it so far."""

    operation: Callable[[S], T]
    run_id: str | None = None
    is_wanted: Callable[[], bool] = always
    """Whether whoever asked is still there; asked before the operation begins, in any thread."""
    future: Future[T] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """Whether its caller was told that nothing is known of it."""
    result: T | None = None
    refusal: Refused | None = None
    held: Held | None = None

    def give_up(self) -> bool:
        """Have it not done; return whether that is certain."""
        self.abandoned = True
        return self.future.cancel()

    def begin(self) -> bool:
        """Say that it is being done from now on, unless nobody wants it any more."""
        if not self.future.set_running_or_notify_cancel():
            return False
        if not self.is_wanted():
            self.future.set_exception(Unavailable("the caller has gone: nothing was changed"))
            return False
        return True

    @property
    def goes_on(self) -> bool:
        """Whether an operation that has begun, and has written nothing, is still wanted."""
        return not self.abandoned and self.is_wanted()

    def run(self, session: S) -> None:
        """Do it; a refusal, and a lock that is held, are results."""
        self.result, self.refusal, self.held = None, None, None
        try:
            self.result = self.operation(session)
        except Refused as refusal:
            self.refusal = refusal
        except Held as held:
            self.held = held

    def answer(self) -> None:
        """Give the answer."""
        if self.refusal is not None:
            self.future.set_exception(self.refusal)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Queue(Generic[S]):
    """Operations that have not begun."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting[S, object]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, waiting: Waiting[S, object]) -> None:
        """Add an operation."""
        with self._changed:
            self._forget()
            self._waiting.append(waiting)
            self._changed.notify()

    def wait(self) -> bool:
        """Return when something waits; False if nothing does and nothing will."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return bool(self._waiting)

    def take(self, most: int) -> list[Waiting[S, object]]:
        """Begin with the operations that came first, leaving out those that nobody wants."""
        taken: list[Waiting[S, object]] = []
        with self._changed:
            while self._waiting and len(taken) < most:
                waiting = self._waiting.popleft()
                if waiting.begin():
                    taken.append(waiting)
        return taken

    def oldest(self) -> float | None:
        """Return since when the oldest operation waits."""
        with self._changed:
            self._forget()
            return self._waiting[0].since if self._waiting else None

    def _forget(self) -> None:
        """Let go of those that were given up: while nothing is taken, others go on coming."""
        while self._waiting and self._waiting[0].future.cancelled():
            self._waiting.popleft()

    def close(self) -> None:
        """Take what waits, and then no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

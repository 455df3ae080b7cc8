"""Operations that wait for the writer: in the order in which they came, until they are given up."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rheostat.errors import NeedsApproval, Refused, Unavailable
from rheostat.server.store.locks import Held
from rheostat.server.store.outside import WorkNeeded

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
    large: bool = False
    """Whether it takes long, so that it has a transaction of its own."""
    future: Future[T] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """Whether its caller was told that nothing is known of it."""
    result: T | None = None
    refusal: Refused | NeedsApproval | WorkNeeded | None = None
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
        """Do it; a refusal, work that is needed, and a lock that is held, are results."""
        self.result, self.refusal, self.held = None, None, None
        try:
            self.result = self.operation(session)
        except (Refused, NeedsApproval, WorkNeeded) as refusal:
            self.refusal = refusal
        except Held as held:
            self.held = held

    def answer(self) -> None:
        """Give the answer."""
        if self.refusal is not None:
            self.future.set_exception(self.refusal)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


ALL = sys.maxsize
"""As many as there are, small or large."""


class Queue(Generic[S]):
    """Operations that have not begun. Large ones begin one at a time, in turn with the others."""

    def __init__(self) -> None:
        self._small: deque[Waiting[S, object]] = deque()
        self._large: deque[Waiting[S, object]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._turn_of_large = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._small) + len(self._large)

    def put(self, waiting: Waiting[S, object]) -> None:
        """Add an operation."""
        with self._changed:
            self._forget()
            (self._large if waiting.large else self._small).append(waiting)
            self._changed.notify()

    def wait(self) -> bool:
        """Return when something waits; False if nothing does and nothing will."""
        with self._changed:
            while not self._small and not self._large and not self._closed:
                self._changed.wait()
            return bool(self._small or self._large)

    def take(self, most: int) -> list[Waiting[S, object]]:
        """
        Begin with the operations that came first, leaving out those that nobody wants.

        They are ``most`` small ones, or one large one.
        """
        with self._changed:
            if most == ALL:
                return [*_begun(self._small, ALL), *_begun(self._large, ALL)]
            turn = self._turn_of_large or not self._small
            self._turn_of_large = not turn
            return (turn and _begun(self._large, 1)) or _begun(self._small, most)

    def oldest(self) -> float | None:
        """Return since when the oldest operation waits."""
        with self._changed:
            self._forget()
            first = [waiting[0].since for waiting in (self._small, self._large) if waiting]
            return min(first, default=None)

    def _forget(self) -> None:
        """Let go of those that were given up: while nothing is taken, others go on coming."""
        for waiting in (self._small, self._large):
            while waiting and waiting[0].future.cancelled():
                waiting.popleft()

    def close(self) -> None:
        """Take what waits, and then no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()


def _begun(queue: deque[Waiting[S, object]], most: int) -> list[Waiting[S, object]]:
    begun: list[Waiting[S, object]] = []
    while queue and len(begun) < most:
        waiting = queue.popleft()
        if waiting.begin():
            begun.append(waiting)
    return begun

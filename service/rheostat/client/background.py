"""Work that nobody waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from weakref import finalize

Work = Callable[[], None]

log = logging.getLogger("rheostat")


class Background:
    """
    One daemon thread that does what it is given, one thing after the other.

    It is started when there is something to do, and ends when this object is no longer used: it
    knows the queue alone. To be given something costs the caller next to nothing, while a thread
    for each piece of work would have to be waited for until it runs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        finalize(self, self._queue.put, None)

    def do(self, work: Work) -> None:
        """Have something done soon; at the end of the interpreter it is left undone."""
        with self._starting:
            try:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = self._started()
            except RuntimeError as error:  # the interpreter ends, or there are too many threads
                log.debug("nothing is fetched ahead: %s", error)
            else:
                self._queue.put(work)

    def _started(self) -> threading.Thread:
        arguments = (self._queue,)
        thread = threading.Thread(target=_do_all, args=arguments, name=self._name, daemon=True)
        thread.start()
        return thread


def _do_all(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        try:
            work()
        except Exception:  # the next piece of work is not to suffer from it
            log.exception("nothing is fetched ahead this time")
        del work  # or what it belongs to would live until there is more to do

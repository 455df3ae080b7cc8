"""The threads of the fault test: workers, operators, and those who do the damage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

Stop = Callable[[], bool]


class Threads:
    """Threads that work until they are stopped; what goes wrong in one of them is not lost."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, work: Callable[[Stop], None]) -> None:
        """Start a thread that works until it is stopped."""

        def run() -> None:
            try:
                work(self._stopped.is_set)
            except BaseException as failure:  # noqa: BLE001 - raised by whoever waits for it
                self.failures.append(failure)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    @property
    def done(self) -> bool:
        """Whether all threads have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Let every thread finish what is under way, and wait for it."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

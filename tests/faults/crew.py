"""Everybody who takes part in the fault test, each in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

Stop = Callable[[], bool]


class Crew:
    """Threads that work until they are dismissed; what goes wrong in one of them is not lost."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def add(self, work: Callable[[Stop], None]) -> None:
        """Let somebody work."""

        def run() -> None:
            try:
                work(self._stop.is_set)
            except BaseException as failure:  # noqa: BLE001 - told by the one who waits for it
                self.failures.append(failure)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    @property
    def done(self) -> bool:
        """Whether nobody works any more."""
        return not any(thread.is_alive() for thread in self._threads)

    def dismiss(self) -> None:
        """Let everybody finish what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

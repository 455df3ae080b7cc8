"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from rheostat.client.answers import Document
from rheostat.client.joined import joining
from rheostat.client.link import Link
from rheostat.client.operations import ServiceCalls
from rheostat.client.run import Run
from rheostat.client.settings import Settings


class Client(ServiceCalls[Document, list[Document], None, Iterator[Document], float]):
    """
    A client of one Rheostat service.

    It may be used by many threads, after a fork, and as a context manager. A pickled copy takes its
    token from its own environment.
    """

    link: Link

    def _open(self, settings: Settings) -> Link:
        self.link = Link(settings)
        return self.link

    def run(
        self,
        name: str,
        *,
        create: Mapping[str, Any] | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        start: int | None = None,
    ) -> Run:
        """
        Join a run, as a worker; waits for the service until the ``deadline``.

        Args:
            name: The run's name or id.
            create: The body to create it with, ``{"parameters": {"lr": definition}, …}``. Every
                worker may send it: the first creates the run, the others find the same.
            checkpoint: What `Run.checkpoint` returned for the step that is resumed.
            start: The first step of a training that has no checkpoint of this run; see `Run.begin`.

        Raises:
            Invalid: This can be no run's name.
            UnknownRun: There is no such run.
            NameTaken: The run was created otherwise than ``create`` says.
            StaleCheckpoint: The checkpoint lies beyond a rewind.
            StepJump: The checkpoint, or the start, lies too far past what is settled.

        """
        facts = self.link.run(joining(self.settings, name, checkpoint, create, start))
        return Run(self, facts, replays=checkpoint is None and start is None)

    def close(self) -> None:
        """Close the connections. Runs still look up what they hold, and raise `Closed` past it."""
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

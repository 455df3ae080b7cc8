"""The client for asyncio: what waits differs, the rest is shared with the blocking one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from types import TracebackType
from typing import Any, Self

from rheostat.client.answers import Document
from rheostat.client.asynclink import AsyncLink
from rheostat.client.blocks import Block, Column
from rheostat.client.control import Control
from rheostat.client.fork import renew_in_children
from rheostat.client.joined import Joined, joining
from rheostat.client.operations import ServiceCalls
from rheostat.client.reads import Reads
from rheostat.client.settings import Settings
from rheostat.errors import RheostatError

log = logging.getLogger("rheostat")


class AsyncRun(
    Reads,
    Control[
        Awaitable[Document],
        Awaitable[list[Document]],
        Awaitable[None],
        AsyncIterator[Document],
        Awaitable[float],
    ],
):
    """A run that was joined, for one event loop; see `Run`."""

    def __init__(
        self, client: AsyncClient, facts: Joined, *, first: bool = True, replays: bool = False
    ) -> None:
        Control.__init__(self, client.link, facts.id)
        Reads.__init__(self, client.settings, facts, first=first, replays=replays)
        self.client = client
        self._line = asyncio.Lock()
        renew_in_children(self)

    async def value(self, name: str, step: int) -> float:
        """Return the parameter's value at a step, and settle it; see `Run.value`."""
        try:
            return self._near[name][step]
        except (KeyError, TypeError):  # it is not held, or no key at all
            pass  # an error raised in here would show this one as its context
        cell = self._cell_of(step, name)
        if cell * self._resolution != step:
            return await self.value(name, cell * self._resolution)
        return (await self._reach(cell)).value(name, cell)

    async def values(self, step: int) -> dict[str, float]:
        """Return all parameters' values at a step, and settle them."""
        near = self._near
        if len(near) == self._width:
            row = {}
            try:
                for name, cells in near.items():
                    row[name] = cells[step]
            except (KeyError, TypeError):
                pass
            else:
                return row
        cell = self._cell_of(step, *self.parameters)
        if cell * self._resolution != step:
            return await self.values(cell * self._resolution)
        return (await self._reach(cell)).row(cell)

    async def block(self, step: int, n: int) -> dict[str, Column]:
        """Return each parameter's values of ``n`` cells, and settle them; see `Run.block`."""
        return await self.client.link.run(self._fetching_exactly(step, n))

    async def rejoin(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """Join the run again; see `Run.rejoin`."""
        self._key = (await self.client.link.run(self._rejoining(checkpoint))).id

    async def _reach(self, cell: int) -> Block:
        found = self._held(cell)
        if found is None:
            since = time.monotonic()
            self.client.link.require_loop()  # the lock belongs to it, too
            async with self._line:
                while (found := self._held(cell)) is None:
                    await self.client.link.run(self._fetching(cell, since))
        block, ahead = found
        if ahead is not None:
            self.client.link.require_loop()
            self.client.link.start(self._fetch_ahead(ahead))
        return block

    async def begin(self, start: int) -> None:
        """Say at which step a training begins without a checkpoint; see `Run.begin`."""
        await self.client.link.run(self._beginning(start))

    async def _fetch_ahead(self, cell: int) -> None:
        since = time.monotonic()
        try:
            async with self._line:
                while not self._reading.holds(cell):
                    await self.client.link.run(self._fetching(cell, since))
        except RheostatError as error:
            log.debug("could not fetch ahead: %s", error)

    def _renew(self) -> None:
        super()._renew()
        self._line = asyncio.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.client, *self._state())


def _revive(
    cls: type[AsyncRun],
    client: AsyncClient,
    facts: Joined,
    first: bool,  # noqa: FBT001
) -> AsyncRun:
    return cls(client, facts, first=first)


class AsyncClient(
    ServiceCalls[
        Awaitable[Document],
        Awaitable[list[Document]],
        Awaitable[None],
        AsyncIterator[Document],
        Awaitable[float],
    ]
):
    """A client of one Rheostat service for one event loop; its arguments are those of `Client`."""

    link: AsyncLink

    def _open(self, settings: Settings) -> AsyncLink:
        self.link = AsyncLink(settings)
        return self.link

    async def run(
        self,
        name: str,
        *,
        create: Mapping[str, Any] | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        start: int | None = None,
    ) -> AsyncRun:
        """Join a run, as a worker; see `Client.run`."""
        facts = await self.link.run(joining(self.settings, name, checkpoint, create, start))
        return AsyncRun(self, facts, replays=checkpoint is None and start is None)

    async def close(self) -> None:
        """Close the connections, and end what is fetched in the background."""
        await self.link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

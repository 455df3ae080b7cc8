"""What a worker knows of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import httpx

from rheostat.client import blocks, wire
from rheostat.client.blocks import Block, Order
from rheostat.client.flow import Flow, exchange
from rheostat.client.settings import Settings
from rheostat.client.wire import Broken, Call


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join: the run's identity and grid, and the generation that is pinned."""

    id: str
    name: str
    axis: str
    resolution: int
    generation: int
    revision: int
    settled_until: int
    parameters: tuple[str, ...]
    max_block: int
    max_jump: int
    total: int | None
    end: int | None

    @property
    def longest(self) -> int:
        """The most cells that one read may have, wherever it begins."""
        return min(self.max_block, self.max_jump)

    def read(self, order: Order) -> Call:
        """Return the settling read of an order: the same URL for all workers at the same place."""
        return wire.get(
            wire.path("runs", self.id, "values"),
            accept=wire.F64,
            generation=self.generation,
            start=order.start * self.resolution,
            count=order.size,
            resume="true" if order.resume else None,
        )

    def block(self, order: Order, response: httpx.Response) -> Block:
        """Return the block that answers an order."""
        columns = blocks.columns(response, order)
        if columns.keys() != set(self.parameters):
            raise Broken(f"expected the parameters {self.parameters}, got {tuple(columns)}")
        return Block(order, columns, self.resolution)


def joining(
    settings: Settings,
    run: str,
    checkpoint: Mapping[str, Any] | None,
    create: Mapping[str, Any] | None = None,
) -> Flow[Joined]:
    """Return the flow that creates a run, if it is told how, and joins it."""
    if create is not None:
        call = wire.put(wire.path("runs", run), dict(create))
        yield from exchange(call, settings.worker(call), wire.document)
    call = wire.post(wire.path("runs", run, "join"), dict(checkpoint or {}))
    return (yield from exchange(call, settings.worker(call), _joined))


def _joined(response: httpx.Response) -> Joined:
    """Return what the service says to a join; members that we do not know are left out."""
    facts = wire.document(response)
    try:
        known = {field.name: facts[field.name] for field in fields(Joined)}
    except KeyError as missing:
        raise Broken(f"the answer to a join has no {missing}") from missing
    known["parameters"] = tuple(known["parameters"])
    return Joined(**known)

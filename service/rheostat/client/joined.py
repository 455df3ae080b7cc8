"""What a worker knows of its run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from rheostat.client import answers, blocks, wire
from rheostat.client.answers import Answer, Broken, Stripped
from rheostat.client.blocks import Block, Order
from rheostat.client.flow import Flow, exchange
from rheostat.client.settings import Settings
from rheostat.client.wire import LONGEST_FACTS, Call, invalid
from rheostat.digests import body_digest, names_digest
from rheostat.limits import MAX_STEP, NAME

LONGEST_BLOCK = 2**20
"""Cells that no run's block or jump may be longer than; today's services stay far below."""
MOST_PARAMETERS = 2**16
HEADERS = ("Rheostat-Generation", "Rheostat-Parameters", "ETag")
"""What a block has to say of itself, so that it is known to be the one that was asked for."""


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
    event: int
    incarnation: str

    @property
    def longest(self) -> int:
        """The most cells that one read may have, wherever it begins."""
        return min(self.max_block, self.max_jump)

    def read(self, order: Order) -> Call:
        """
        Return the settling read of an order: the same URL for all workers at the same place.

        The format is asked for in the URL, since there are caches that do not mind ``Accept``.
        """
        call = wire.get(
            wire.path("runs", self.id, "values"),
            accept=wire.F64,
            generation=self.generation,
            start=order.start * self.resolution,
            count=order.size,
            format="f64",
        )
        return replace(call, most=8 * order.size * len(self.parameters))

    def block(self, order: Order, answer: Answer) -> Block:
        """Return the block that answers an order; raise `Broken` if anything about it is wrong."""
        columns = blocks.columns(answer, order, self.parameters)
        self._require_own(order, answer)
        return Block(order, columns, self.resolution)

    def _require_own(self, order: Order, answer: Answer) -> None:
        """Require that an answer of the right form is the very block that was asked for."""
        missing = [name for name in HEADERS if name not in answer.headers]
        if missing:
            raise Stripped(
                f"a block without the headers {', '.join(missing)}, which prove it: something on "
                f"the way leaves them out. It came as {answer}"
            )
        wanted = {
            "Rheostat-Generation": str(self.generation),
            "Rheostat-Parameters": names_digest(self.parameters),
            "ETag": f'"{body_digest(answer.body)}"',
        }
        # what names the place is younger than what proves the body
        placed = {"Rheostat-Run": self.id, "Rheostat-Start": str(order.start * self.resolution)}
        wanted |= {name: text for name, text in placed.items() if name in answer.headers}
        for name, text in wanted.items():
            found = answer.headers[name].strip()
            if found.removeprefix("W/") != text:
                raise Broken(f"expected a block with {name}: {text}, got {found[:200]!r}")


def joining(
    settings: Settings,
    run: str,
    checkpoint: Mapping[str, Any] | None = None,
    create: Mapping[str, Any] | None = None,
    start: int | None = None,
) -> Flow[Joined]:
    """Return the flow that creates a run, if it is told how, and joins it."""
    wire.require_name(run)
    if create is not None:
        call = wire.put(wire.path("runs", run), wire.mapping(create, "create"))
        yield from exchange(call, settings.worker(call, begun=False), answers.document)
    body = {} if checkpoint is None else wire.mapping(checkpoint, "checkpoint")
    if start is not None:
        if body:
            raise invalid("start", start, "left out beside a checkpoint, which has its step")
        body["start"] = wire.coordinate(start, "start")
    call = wire.post(wire.path("runs", run, "join"), body)
    call = replace(call, most=LONGEST_FACTS)
    return (yield from exchange(call, settings.worker(call, begun=False), joined))


def joined(answer: Answer) -> Joined:
    """Return what the service says to a join; members that we do not know are left out."""
    facts = answers.document(answer)
    wrong = [name for name, sound in _SOUND.items() if not sound(facts.get(name))]
    if wrong:
        said = ", ".join(f"{name} {facts.get(name)!r:.100}" for name in wrong)
        raise Broken(f"expected what is known of a run, got {said}")
    known = {name: facts[name] for name in _SOUND}
    known["parameters"] = tuple(known["parameters"])
    return Joined(**known)


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()


def _key(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(NAME, value) is not None


def _from(least: int, most: int = MAX_STEP + 1) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _or_none(sound: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or sound(value)


def _names(value: Any) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_PARAMETERS:
        return False
    return all(map(_text, value)) and all(a < b for a, b in pairwise(value))


_SOUND: dict[str, Callable[[Any], bool]] = {
    "id": _key,
    "name": _key,
    "axis": _text,
    "resolution": _from(1),
    "generation": _from(1),
    "revision": _from(1),
    "settled_until": _from(0),
    "parameters": _names,
    "max_block": _from(1, LONGEST_BLOCK),
    "max_jump": _from(1, LONGEST_BLOCK),
    "total": _or_none(_from(1)),
    "end": _or_none(_from(0)),
    "event": _from(0),
    "incarnation": _text,
}
"""What each member of the answer to a join has to be."""

"""
Barriers: where reading a run ends or holds, though it is not finished.

A stop ends it, a pause holds it until somebody resumes it, and a gate holds it until a metric is
reported. Nothing past a barrier settles, so every rank meets it at one step. A barrier only ever
refuses reads, and so touches no promise about values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from rheostat import wire
from rheostat.errors import AwaitingReport, Finished, Paused, Stopped


@dataclass(frozen=True, slots=True)
class Stop:
    """
    A stop or, with ``hold``, a pause: no cell from ``effective`` on is settled.

    ``told`` means that a worker was refused by it: a stop is not taken back then.
    """

    revision: int
    effective: int
    hold: bool = False
    told: bool = False

    @property
    def place(self) -> tuple[int, bool, int]:
        """Which comes first: the nearest, and of those at one step a stop before a pause."""
        return self.effective, self.hold, self.revision

    def to_json(self) -> wire.Stop:
        """Return the wire form."""
        return {
            "revision": self.revision,
            "effective": self.effective,
            "hold": self.hold,
            "told": self.told,
        }

    def refusal(self) -> Stopped | Paused:
        """Return what a read past it is refused with."""
        where: dict[str, Any] = {"end": self.effective, "revision": self.revision}
        if self.hold:
            message = f"the run is paused: it holds at {self.effective} until it is resumed"
            return Paused(message, **where)
        return Stopped(f"the run was stopped: its last step lies before {self.effective}", **where)


@dataclass(frozen=True, slots=True)
class Gate:
    """
    A controller that wants ``metric`` at each multiple of ``every`` above ``base``.

    Within a ``cell`` there is no holding: a gate is at its end, where nobody needs the next value.
    """

    controller: str
    metric: str
    every: int
    base: int
    cell: int = 1

    def after(self, floor: int) -> int:
        """Return the first step above its base, and above ``floor``, at which it wants a report."""
        step = (max(self.base, floor) // self.every + 1) * self.every
        return -(-step // self.cell) * self.cell

    def is_at(self, step: int) -> bool:
        """Whether ranks hold at a step until it is reported, whatever was reported so far."""
        return step > 0 and -(-(step // self.every * self.every) // self.cell) * self.cell == step


@dataclass(frozen=True, slots=True)
class Barriers:
    """The stops and pauses of the current generation that were not taken back, and the gates."""

    stops: tuple[Stop, ...] = ()
    gates: tuple[Gate, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stops or self.gates)

    @property
    def nearest(self) -> Stop | None:
        """The stop or pause that reading comes to first."""
        return min(self.stops, key=lambda stop: stop.place, default=None)

    @property
    def ends_at(self) -> int | None:
        """Where the nearest stop is, pauses aside."""
        return min((stop.effective for stop in self.stops if not stop.hold), default=None)

    @property
    def told(self) -> Stop | None:
        """The first stop by which a worker ended."""
        told = (stop for stop in self.stops if stop.told)
        return min(told, key=lambda stop: stop.place, default=None)

    def gate(self, floor: int) -> tuple[int, Gate] | None:
        """Return the first gate above ``floor``, and where it is; none past a told stop."""
        if self.told is not None:
            return None
        found = ((gate.after(floor), gate.controller, gate) for gate in self.gates)
        first = min(found, key=lambda each: each[:2], default=None)
        return None if first is None else (first[0], first[2])

    def has_gate_at(self, step: int) -> bool:
        """
        Whether a gate is or was at a step, closed or open by now.

        Ranks come to it one after the other, and have to be told alike.
        """
        return any(gate.is_at(step) for gate in self.gates)

    def held(self, settled: int) -> tuple[Stop, ...]:
        """Return the pauses at which a run that is settled up to ``settled`` holds."""
        return tuple(stop for stop in self.stops if stop.hold and stop.effective <= settled)

    def holds(self, settled: int) -> bool:
        """Whether the run waits there to be resumed, and nobody has stopped it."""
        nearest = self.nearest
        return nearest is not None and nearest.hold and nearest.effective <= settled

    def adding(self, stop: Stop) -> Barriers:
        """Return them with one more."""
        return replace(self, stops=(*self.stops, stop))

    def without(self, revisions: Collection[int]) -> Barriers:
        """Return them without the stops and pauses of these revisions."""
        kept = tuple(stop for stop in self.stops if stop.revision not in revisions)
        return replace(self, stops=kept)

    def telling(self, revision: int) -> Barriers:
        """Return them with a stop by which a worker ended."""
        told = (replace(s, told=s.told or s.revision == revision) for s in self.stops)
        return replace(self, stops=tuple(told))

    def moved(self, to: int) -> Barriers:
        """Return them after the settled end was moved: no report is wanted from below it."""
        gates = (replace(gate, base=max(gate.base, to)) for gate in self.gates)
        return replace(self, gates=tuple(gates))

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {key: [asdict(each) for each in getattr(self, key)] for key in ("stops", "gates")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Barriers:
        """Read what was stored."""
        return cls(
            tuple(Stop(**each) for each in document["stops"]),
            tuple(Gate(**each) for each in document["gates"]),
        )


NO_BARRIERS: Final = Barriers()


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What decides up to where a run may be read, at some moment.

    While it holds, so does a refusal at a pause or a gate. What the refusal tells besides may
    change with each ``revision``.
    """

    generation: int
    end: int | None
    barriers: Barriers
    revision: int

    def holds(self, later: Standing) -> bool:
        """Whether what was refused at this moment was refused at a later one, too."""
        return replace(self, revision=later.revision) == later


def lifted(
    barriers: Barriers, revision: int, settled: int
) -> tuple[Barriers, dict[str, Any] | None]:
    """
    Return the barriers without those of a revision, and what its cancellation says.

    To take a pause back at which the run holds is to resume it.
    """
    holds = any(pause.revision == revision for pause in barriers.held(settled))
    return barriers.without([revision]), {"pauses": [revision]} if holds else None


def require_way(barriers: Barriers, stop: int, *, floor: int, end: int | None) -> None:
    """
    Raise unless cells up to ``stop`` may settle, as far as ends, stops, pauses and gates say.

    ``floor`` is the step above which gates lie, and ``end`` that of a finished run.

    Raises:
        Finished, Stopped, Paused: It reaches past the end, or the nearest stop or pause.
        AwaitingReport: It reaches past a gate.

    """
    met = barriers.nearest
    if end is not None and stop > end and (met is None or end < met.effective):
        raise Finished(f"the run is finished: its last step lies before {end}", end=end)
    if met is not None and stop > met.effective:
        raise met.refusal()
    waits = barriers.gate(floor) if end is None else None
    if waits is not None and stop > waits[0]:
        step, gate = waits
        raise AwaitingReport(
            f"the run holds at {step} until {gate.metric!r} is reported there, for the controller"
            f" {gate.controller!r}",
            gate=step,
            metric=gate.metric,
            controller=gate.controller,
        )

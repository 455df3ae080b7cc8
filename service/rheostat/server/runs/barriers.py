"""
Barriers: where reading a run ends or holds, though it is not finished.

A stop ends it, a pause holds it until somebody resumes it, and a gate holds it until a metric is
reported. Nothing past a barrier settles, so every rank meets it at one step. A barrier only ever
refuses reads, and so touches no promise about values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final


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


@dataclass(frozen=True, slots=True)
class Gate:
    """A controller that wants ``metric`` at each multiple of ``every`` above ``base``."""

    controller: str
    metric: str
    every: int
    base: int


@dataclass(frozen=True, slots=True)
class Barriers:
    """The stops and pauses of the current generation that were not taken back, and the gates."""

    stops: tuple[Stop, ...] = ()
    gates: tuple[Gate, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stops or self.gates)

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

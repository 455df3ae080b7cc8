"""What the tests of controllers share: their parts by short names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rheostat.controllers import Controller, Plateau, Simulation, parse_controller, simulate


def made(kind: str, **fields: Any) -> Controller:
    """Return a controller of the metric ``m``."""
    return parse_controller({"kind": kind, "metric": "m", **fields})


def plateau(**fields: Any) -> Plateau:
    """Return a plateau of the metric ``m``."""
    found = made("plateau", **fields)
    assert isinstance(found, Plateau)
    return found


def reported(controller: Controller, values: Sequence[float], **options: Any) -> Simulation:
    """Return what becomes of values that are reported at steps 1, 2, 3 …"""
    return simulate(controller, [*enumerate(values, 1)], **options)


def decided(controller: Controller, values: Sequence[float]) -> list[int]:
    """Return at which reports, counted from 1, the controller decides."""
    return [decision["step"] for decision in reported(controller, values).decisions]

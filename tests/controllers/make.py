"""
Write ``records.json``: what the classes of other libraries make of the cases of `series`.

    python -m tests.controllers.make

It needs Lightning, Keras, transformers, PyTorch and optax, and the wheels of mosaicml, paddlepaddle
and mmengine unpacked into the folders that `live` names by environment variables.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.controllers import live, series

FILE = Path(__file__).parent / "records.json"
ROUNDING = 1e-12
STOPS, PLATEAUS = 2_000, 400
"""Cases of each reading."""
PACKAGES = {"composer": "mosaicml", "paddle": "paddlepaddle"}


def stops(reading: str) -> list[int]:
    """Return where the class stops in each case: the index of the report, or -1."""
    found = (live.STOPS[reading](*series.stop(reading, number)) for number in range(STOPS))
    return [-1 if index is None else index for index in found]


def falls(reading: str) -> list[dict[str, Any]]:
    """
    Return at which reports the rate falls in each case, and to which one in the end.

    Without an ``eps`` a library lets a rate that a rounding has left above its floor fall onto it.
    That is no fall here.
    """
    made = []
    for number in range(PLATEAUS):
        rates = live.PLATEAUS[reading](*series.plateau(reading, number))
        before = [live.BASE, *rates]
        fell = [index for index, rate in enumerate(rates) if rate < before[index] * (1 - ROUNDING)]
        made.append({"falls": fell, "last": rates[-1]})
    return made


def record(reading: str, kind: str) -> dict[str, Any]:
    """Return the record of a reading."""
    count, made = (STOPS, stops) if kind == "stop" else (PLATEAUS, falls)
    digest = series.digest(getattr(series, kind), reading, count)
    return {"version": _version(reading), "cases": digest, "found": made(reading)}


def _version(reading: str) -> str:
    package = PACKAGES.get(reading, reading)
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package}, file loaded alone"


if __name__ == "__main__":
    recorded = {
        "stop": {reading: record(reading, "stop") for reading in live.STOPS},
        "plateau": {reading: record(reading, "plateau") for reading in live.PLATEAUS},
    }
    FILE.write_text(json.dumps(recorded, separators=(",", ":")) + "\n")

"""Beats: what workers say of themselves, and of what they have applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rheostat.server.runs.applied import Window, Wrong

Doing = Literal["training", "waiting", "ended"]
"""What a worker says that it does."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one worker says of itself."""

    worker: str
    session: str
    step: int
    host: str | None = None
    job: str | None = None
    pace: float | None = None
    waited: float = 0.0
    state: Doing = "training"
    applied: tuple[Window, ...] = ()
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """What workers of a generation say together; the first of them is who sends it."""

    generation: int
    workers: tuple[Said, ...]

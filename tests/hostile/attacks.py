"""
Attacks by what is in a request, within all limits, each by its name.

A script runs them one after another against a live server, while a second client asks for
``/livez`` and for a settled block, to see how long others wait. The tests of this folder send the
same bodies within the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Send = Callable[[str, str | None], None]
"""Does the attack once, with the base URL and a token or None; it ends within some seconds."""


@dataclass(frozen=True)
class Attack:
    """Something that a hostile caller sends, and how."""

    name: str
    send: Send


ATTACKS: Final[list[Attack]] = []
"""Every attack by a body, a query or a header."""

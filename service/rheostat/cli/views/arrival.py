"""When workers come to a revision, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rheostat import wire


def arrives(screen: Screen, answer: Mapping[str, Any], does: str = "has it") -> None:
    """Say when the last worker comes to what was just made, if the service knows."""
    for eta in answer.get("eta", ()):
        screen.line(f"  {arrival(eta, does)}.")


def arrival(eta: wire.Eta, does: str) -> str:
    """Write when the last worker comes to a revision, and what it does then."""
    workers = eta["workers"]
    who = f"The last of {text.count(workers)} workers" if workers > 1 else "The only worker"
    return f"{who} {does} in {left(eta)}" if eta["steps"] else f"{who} is there already"


def left(eta: wire.Eta) -> str:
    """Write how far the last worker is from a revision, in steps and, if it is known, in time."""
    steps, seconds = eta["steps"], eta["seconds"]
    far = f"{text.count(steps)} step{'' if steps == 1 else 's'}"
    if seconds is None:
        return far
    return f"{far}, {'less than 1 s' if seconds < 1 else 'about ' + text.seconds(seconds)}"

"""Protected runs, drawn for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rheostat.cli.views.screen import Screen

if TYPE_CHECKING:
    from rheostat import wire


def protected(screen: Screen, answer: wire.Protected) -> None:
    """Say whether a run is protected."""
    screen.line(f"{answer['name']}: {said(answer['protect'])}")


def said(protect: wire.Protection | None) -> str:
    """Write what takes a second person."""
    if protect is None:
        return "one operator is enough"
    free = ", ".join(protect["except"])
    return f"another person has to accept whatever is done{f', except {free}' if free else ''}"

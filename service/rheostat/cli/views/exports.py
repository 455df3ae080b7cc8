"""Runs that were written into files, or read from them, drawn for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rheostat.cli.views.screen import Screen

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client._sync.exporting import Exported


def exported(screen: Screen, item: Exported) -> None:
    """Say what was written."""
    screen.line(
        f"Wrote {item['name']} into {item['path']}: {item['settled_until']:,} served in generation"
        f" {item['generation']}, {item['revision']} revisions."
    )


def imported(screen: Screen, run: wire.RunState) -> None:
    """Say what was made."""
    screen.line(
        f"Made the run {run['name']} ({run['id']}), settled until {run['settled_until']:,}, with"
        f" {run['revision']} revisions."
    )

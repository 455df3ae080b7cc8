"""Local servers, drawn for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, right

if TYPE_CHECKING:
    from rheostat.local_server.stopping import Served


def servers(screen: Screen, items: Sequence[Served]) -> None:
    """List the servers."""
    if not items:
        screen.line("No local servers. rheostat.local() in Python starts one.")
        return
    columns = [left("DATABASE"), left("ADDRESS"), right("PROCESS"), left("STARTED")]
    screen.table(columns, (_row(item) for item in items))
    screen.line("Commands ask the one of ./rheostat.db, or of --server FILE.")


def _row(item: Served) -> tuple[str, str, str, str]:
    started = "" if item["started"] is None else text.when(item["started"])
    pid = "" if item["pid"] is None else str(item["pid"])
    return item["database"], item["url"] or "starting", pid, started


def stopped(screen: Screen, item: Served) -> None:
    """Say which server was ended."""
    screen.line(f"The server of {item['database']}, process {item['pid']}, has ended.")

"""`rheostat recover`: after a backup was restored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from rheostat.cli import options
from rheostat.cli.answers import Answer, answering, confirm
from rheostat.cli.commands.serving import opened, settings_of
from rheostat.cli.views.screen import Screen, left

Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The restored database.", show_default="RHEOSTAT_DATABASE, or the usual"
    ),
]


@answering
def recover(database: Database = None, yes: options.Yes = False) -> Answer:
    """
    Give every run in a database that was restored from a backup a new id.

    \b
    rheostat recover --database sqlite:///rheostat.db

    A backup does not know what was settled and changed after it was made. Under their old ids, runs
    would hand out other values for steps that workers have already used. With new ids, workers that
    still run stop with a clear error, and caches in front of the service have nothing to say.
    Restored histories stay as they are. Stop the service first, and restart the trainings after it.
    """
    from rheostat.server.store.operations import recover as operations  # it loads slowly

    settings = settings_of(database)
    confirm(
        f"Give every run in {settings.safe_database} a new id? Workers have to rejoin.", yes=yes
    )
    with opened(settings) as store:
        renewed = asyncio.run(store.write(operations.recover))
    return Answer(renewed, _draw)


def _draw(screen: Screen, renewed: Sequence[Mapping[str, str]]) -> None:
    if not renewed:
        screen.line("No runs: nothing to do.")
        return
    columns = [left(name) for name in ("RUN", "OLD ID", "NEW ID")]
    screen.table(columns, ((each["name"], each["old"], each["new"]) for each in renewed))
    screen.line(
        "Restart the trainings; checkpoints that name an old id are refused when they join."
    )

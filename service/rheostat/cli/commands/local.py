"""`rheostat local …`: the servers that `rheostat.local()` has started on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rheostat.cli.results import Result, answering
from rheostat.cli.views import local as views

Database = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The database that is served.", show_default="rheostat.db"),
]


@answering
def list_servers() -> Result:
    """
    List the local servers of this user on this machine, and the files that they serve.

    \b
    rheostat local list
    """
    from rheostat.local_server import files, stopping

    found = [stopping.served(database) for database in files.known_servers()]
    return Result(found, views.servers)


@answering
def stop(database: Database = Path("rheostat.db")) -> Result:
    """
    End a local server. A training that still reads starts it again.

    \b
    rheostat local stop runs/a.db
    """
    from rheostat.local_server import stopping

    return Result(stopping.stop(database.expanduser().resolve()), views.stopped)

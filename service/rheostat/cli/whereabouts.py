"""Which service a command asks: one at an address, or a local server by the file that it serves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from rheostat.cli.options import DEFAULT_URL
from rheostat.errors import Unreachable

USUAL = "rheostat.db"
"""The file of the local server that is asked where no service is named."""


class Whereabouts(NamedTuple):
    """Where the service is that a command asks."""

    url: str
    token: str | None
    file: str | None = None
    """The database that is meant, where no address is named."""
    is_served: bool = False
    """Whether it has a local server."""


def whereabouts(server: str | None, token: str | None) -> Whereabouts:
    """
    Return the address of the service, and the token to show there.

    Without a ``server`` that is the local server of ./rheostat.db, if `rheostat.local` has started
    one, and else the usual address. A server may be named by its file, too.

    Raises:
        Unreachable: A file is named, and nobody serves it.

    """
    from rheostat.local_server import files

    if server is not None and ("://" in server or not Path(server).is_file()):
        return Whereabouts(server, token)
    file = server or USUAL
    database = Path(file).resolve()
    there = files.read_endpoint(database) if files.is_served(database) else None
    if there is not None:
        return Whereabouts(there.url, token or there.token, file, is_served=True)
    if server is not None:
        raise Unreachable(not_served(server))
    return Whereabouts(DEFAULT_URL, token, file if database.is_file() else None)


def not_served(file: str) -> str:
    """Write that nobody serves a database, and how it is served again."""
    usual = file == USUAL
    serve = "serve" if usual else shlex.join(["serve", "--database", f"sqlite:///{file}"])
    python = "rheostat.local()" if usual else f"rheostat.local({file!r})"
    where = " in this folder" if usual else ""
    return (
        f"{file} is not served now: its local server ends a minute after the last who used it\n"
        f"  to look at its runs:  `rheostat {serve}`{where}, or {python} in Python"
    )

"""Which service a command asks: one at an address, or a local server by the file that it serves."""

from __future__ import annotations

from pathlib import Path

from rheostat.cli.options import DEFAULT_URL
from rheostat.errors import NotServed

USUAL = "rheostat.db"
"""The file of the local server that is asked where no service is named."""


def whereabouts(server: str | None, token: str | None) -> tuple[str, str | None]:
    """
    Return the address of the service, and the token to show there.

    Without a ``server`` that is the local server of ./rheostat.db, if `rheostat.local` has started
    one, and else the usual address. A server may be named by its file, too.

    Raises:
        NotServed: There is such a file, and nobody serves it.

    """
    from rheostat.local_server import files

    named = server is not None
    if server is not None and ("://" in server or not Path(server).is_file()):
        return server, token
    database = Path(server or USUAL).resolve()
    there = files.read_endpoint(database) if files.is_served(database) else None
    if there is not None:
        return there.url, token or there.token
    if named:
        raise NotServed(
            f"{server} has no local server here: rheostat.local({server!r}) in Python starts one,"
            " and `rheostat local list` shows those that run"
        )
    return DEFAULT_URL, token

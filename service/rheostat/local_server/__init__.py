"""
A server of one's own, started when it is needed and gone when it is not: `rheostat.local`.

    client = rheostat.local()       # rheostat.db is served at http://127.0.0.1:40123
    run = client.run("mnist", create={"parameters": {"lr": 0.1}})
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheostat.errors import NotServed, refusal
from rheostat.limits import MAX_LINGER

if TYPE_CHECKING:
    from rheostat.client import Client

LINGER = 60.0
"""Seconds that a server stays for whoever comes back, as a notebook that is started again."""
OTHERS = ("base_url", "token", "verify", "cert", "proxy", "trust_env", "transport")
"""Options of a client that say how a server is reached, which is known here."""


def local(
    path: str | os.PathLike[str] = "rheostat.db",
    *,
    page: bool | None = None,
    linger: float = LINGER,
    share: bool = False,
    **options: Any,
) -> Client:
    """
    Return a client of this machine's own server of a file, which is started if nobody serves it.

    The server is a process of its own, which all processes of this user find that name the same
    file: notebooks, the ranks that ``torchrun`` starts, the command line. It ends when no client is
    left, and where it is killed the next call starts it again, with all that it has acknowledged.
    The same script runs against a service: where ``RHEOSTAT_URL`` is set, this is ``Client()``.

    Not for trainings on several machines that must survive the first of them: run `rheostat serve`.

    Args:
        path: The database file, on a disk of this machine; it is made if there is none.
        page: Whether to print where the server is: by default on the first rank alone. True opens
            it in a browser as well.
        linger: Seconds that the server stays after its last client has gone, 0 to 604,800; with 0
            it ends within 15.
        share: Whether ranks on other machines use it, too: all ranks of torch's process group call
            this, and rank 0 serves at its machine's address, as long as that machine is there.
        options: Those of `Client`, but for where and how a service is reached.

    Raises:
        Invalid: An argument cannot be meant, or the file is on a file system of other machines.
        NotServed: No server could be started, or the one that is there does not answer.

    """
    _check(linger, options)
    if os.environ.get("RHEOSTAT_URL"):
        from rheostat.client import Client  # noqa: PLC0415

        return Client(**options)
    if os.name != "posix":
        raise NotServed("rheostat.local() needs Linux or macOS: run `rheostat serve` instead")
    database = _database(path)
    if share:
        from rheostat.local_server.sharing import shared  # noqa: PLC0415 - it needs torch

        return shared(database, float(linger), page, options)
    from rheostat.local_server.client import LocalClient  # noqa: PLC0415
    from rheostat.local_server.finding import LocalServer  # noqa: PLC0415

    server = LocalServer(database, float(linger))
    found = server.found()
    client = LocalClient(server, found.url, found.token, float(linger), options)
    tell(path, found.url, page)
    return client


def tell(path: str | os.PathLike[str], url: str, page: bool | None) -> None:  # noqa: FBT001
    """Print where a server is, and open it in a browser if that is wanted."""
    first = os.environ.get("RANK", "0") == "0"
    if page or (page is None and first):
        print(f"{os.fspath(path)} is served at {url}")  # noqa: T201 - it is what was asked for
    if page and first:
        import webbrowser  # noqa: PLC0415

        webbrowser.open(url)


def _database(path: Any) -> Path:
    given: Any = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(given, str) or not given or "://" in given or not given.isprintable():
        raise refusal("path", "must be the name of a file", given, "the name of a file")
    database = Path(given).expanduser().resolve()
    if "?" in str(database):  # the database's address ends there
        raise refusal("path", "must have no ? in it, nor in its folders", str(database))
    if database.is_dir():
        raise refusal("path", "must be a file, and is a folder", given, "the name of a file")
    return database


def _check(linger: Any, options: dict[str, Any]) -> None:
    is_number = isinstance(linger, int | float) and not isinstance(linger, bool)
    if not is_number or not 0 <= linger <= MAX_LINGER:
        bound = f"0 to {MAX_LINGER:,} seconds"
        raise refusal("linger", f"must be {bound}", linger, bound)
    for name in OTHERS:
        if name in options:
            raise refusal(name, "says how a service is reached: that is for Client()", None)

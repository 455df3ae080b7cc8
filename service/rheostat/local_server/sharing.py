"""
One local server for a process group on several machines: rank 0 serves, the others are told where.

It lives as long as the machine of rank 0, which is said once. Whoever must survive that machine
runs a service on another one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheostat.errors import FieldError, Invalid, NotServed, RheostatError
from rheostat.local_server import tell
from rheostat.local_server.client import LocalClient
from rheostat.local_server.finding import LOOPBACK, LocalServer
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.local_server.files import Endpoint

OUTSIDE = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737): the one of this machine from which it would be reached is ours;
nothing is sent to it."""


def shared(
    database: Path,
    linger: float,
    page: bool | None,  # noqa: FBT001
    options: Mapping[str, Any],
) -> LocalClient:
    """
    Return the client of this rank, of a server that rank 0 has found or started.

    A collective call of all ranks: what rank 0 raises, all of them raise.

    Raises:
        Invalid: There is no process group, or as `rheostat.local` raises.
        NotServed: As `rheostat.local` raises.

    """
    distributed = _process_group()
    server = LocalServer(database, linger, _address()) if distributed.get_rank() == 0 else None
    told: list[Any] = [None if server is None else _found(server)]
    distributed.broadcast_object_list(told, src=0)
    [found] = told
    if isinstance(found, RheostatError):
        raise found
    url, token = found
    client = LocalClient(server, url, token, linger, options)
    if server is not None:
        log.warning(
            "%s is served at %s to all ranks of this process group, as long as this machine (%s) is"
            " there: with it the server is gone",
            *(database, url, socket.gethostname()),
        )
        tell(database, url, page)
    return client


def _process_group() -> Any:
    message = "needs torch.distributed, with a process group that is initialised"
    wrong = FieldError("share", message, True, "False, without a process group")
    try:
        from torch import distributed  # noqa: PLC0415 - only who shares has it
    except ModuleNotFoundError:
        raise Invalid(f"share=True {message}", errors=[wrong]) from None
    if not (distributed.is_available() and distributed.is_initialized()):
        raise Invalid(f"share=True {message}", errors=[wrong])
    return distributed


def _found(server: LocalServer) -> tuple[str, str] | RheostatError:
    try:
        found = server.found()
        _require_reachable(found, server)
    except RheostatError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the others wait for a word
        return NotServed(f"{server.database} cannot be served: {type(error).__name__}: {error}")
    return found.url, found.token


def _require_reachable(found: Endpoint, server: LocalServer) -> None:
    """Refuse a server that listens elsewhere, as one does that was started for this machine."""
    name = found.url.removeprefix("http://").rpartition(":")[0].strip("[]")
    if name != server.host:
        raise NotServed(
            f"{server.database} is served at {found.url}, where other machines do not reach it:"
            f" `rheostat local stop {server.database}`, and it is started at {server.host}"
        )


def _address() -> str:
    """Return the address of this machine at which the others reach it."""
    for name in (os.environ.get("MASTER_ADDR"), socket.gethostname()):
        address = name and _looked_up(name)
        if address and _is_ours(address):
            return address
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asked:
        try:
            asked.connect(OUTSIDE)
        except OSError:
            return LOOPBACK  # in no network at all, there are no other machines
        return str(asked.getsockname()[0])


def _looked_up(name: str) -> str | None:
    try:
        return socket.gethostbyname(name)
    except (OSError, UnicodeError):
        return None


def _is_ours(address: str) -> bool:
    """Whether this machine has an address, by which others reach it."""
    known = ip_address(address)
    if known.is_loopback or known.is_unspecified:
        return False
    with closing(socket.socket()) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True

"""
``python -m rheostat.server.health``: is the server of this environment ready?

For a container's health check: it loads little, asks the server itself rather than a proxy that
the environment names, and reads host and port as the server does.
"""

from __future__ import annotations

import ipaddress
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException

from rheostat.errors import Invalid
from rheostat.server.environment import from_environment

TIMEOUT = 3.0
"""Seconds that the answer may take."""


def health() -> str | None:
    """Return what is wrong with the server, or None."""
    try:
        found = from_environment({"host", "port"})
        host, port = found.get("host", "127.0.0.1"), int(found.get("port", "8000"))
    except (Invalid, ValueError) as error:
        return str(error)
    try:
        with closing(HTTPConnection(_reachable(host), port, timeout=TIMEOUT)) as http:
            http.request("GET", "/readyz", headers={"Host": "localhost"})
            answer = http.getresponse()
            said = answer.read(2000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"no answer from {host}:{port}: {error}"
    return None if answer.status == 200 else said


def _reachable(host: str) -> str:
    """Return an address at which a server is reached that listens on this one."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "::1"
    return host


if __name__ == "__main__":
    wrong = health()
    if wrong is not None:
        sys.exit(wrong)

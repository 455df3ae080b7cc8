"""
What a browser may do here: show this service's own pages, and nothing on behalf of others'.

A page in an operator's browser can reach what only this machine, or only this network, can reach.
`OriginFilter` refuses its requests; the headers of `protections` keep our pages from being misused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from rheostat.errors import Forbidden, Malformed
from rheostat.server.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PRIVATE = (".local", ".internal", ".svc")
"""Ends of names that no public name server gives out; the last are Kubernetes' own."""

VERSIONS = frozenset({"1.0", "1.1"})

HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
"""What a ``Host`` header may be: a name or an address, and a port."""

OWN = frozenset({b"same-origin", b"none"})
"""Values of ``Sec-Fetch-Site``: our own page asks, or a person at the address bar."""

CHECKS = frozenset({"/livez", "/readyz", "/"})
"""What load balancers look at; nothing there is anybody's own."""

Header = tuple[bytes, bytes]

NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
HTML = b"text/html"
PAGES = (HTML, b"image/svg+xml")
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    b" connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PICTURE_POLICY = POLICY.replace(b"style-src 'self'", b"style-src 'self' 'unsafe-inline'")
"""Of a picture that is opened as a page: its styles stand in it."""


def protections(headers: Iterable[Header]) -> list[Header]:
    """Return the headers that protect an answer with these headers in a browser."""
    kind = next((value for key, value in headers if key == b"content-type"), b"")
    if not kind.startswith(PAGES):
        return [NOSNIFF]
    return [
        NOSNIFF,
        (b"content-security-policy", POLICY if kind.startswith(HTML) else PICTURE_POLICY),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
    ]


def names(settings: Settings) -> Callable[[str], bool]:
    """
    Return whether a server of these settings answers for a name in ``Host``.

    A page's own name, rebound to this address, is what has to be kept out. Where tokens are
    required it gains nothing, since a browser sends none of itself.
    """
    known = LOOPBACK | {settings.host, *settings.allowed_hosts}
    if settings.loopback:
        return known.__contains__
    if settings.allowed_hosts:
        return lambda name: name in known or not name or _is_address(name)  # as probes ask
    if settings.tokens_required:
        return lambda _name: True
    own = known | {socket.gethostname().lower()}
    return lambda name: name in own or _is_private(name)


def _is_address(name: str) -> bool:
    """Say whether this is no name but an address, which cannot be rebound to another one."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_private(name: str) -> bool:
    return _is_address(name) or "." not in name or name.removesuffix(".").endswith(PRIVATE)


class OriginFilter:
    """
    Refuses a foreign ``Host`` and requests that another site's page sends.

    No header of ours ever lets another origin read an answer.
    """

    def __init__(self, app: ASGIApp, answers_for: Callable[[str], bool]) -> None:
        self.app = app
        self.answers_for = answers_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise `Forbidden`."""
        if scope["type"] == "http":
            require_sound(scope)
        if scope["type"] == "http" and not _is_check(scope):
            refuse_foreign(dict(scope["headers"]), scope["method"], self.answers_for)
        await self.app(scope, receive, send)


def _is_check(scope: Scope) -> bool:
    """Whether a load balancer asks how this is, by HTTP/1.0 without a host: no browser does."""
    return scope["path"] in CHECKS and not any(key == b"host" for key, _ in scope["headers"])


def require_sound(scope: Scope) -> None:
    """Raise `Malformed` for another version of HTTP than 1, and for more or less than one host."""
    version = scope["http_version"]
    if version not in VERSIONS:
        raise Malformed(f"this service speaks HTTP/1.1, and not HTTP/{version}")
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise Malformed(f"a request has one Host header, and this has {len(hosts) or 'none'}")
    if hosts and hosts[0] and not HOST.fullmatch(hosts[0]):
        raise Malformed(f"the Host header is no name or address: {hosts[0][:100]!r}")


def refuse_foreign(
    headers: Mapping[bytes, bytes], method: str, answers_for: Callable[[str], bool]
) -> None:
    """Raise `Forbidden` for a foreign ``Host``, and for what another site's page sends."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not answers_for(_name(host)):
        raise Forbidden(
            f"this service does not answer for the host {host[:100]!r}: see the setting"
            " RHEOSTAT_ALLOWED_HOSTS"
        )
    if _from_elsewhere(headers, host, method):
        raise Forbidden("another site's page may not use this service")


def require_own_page(headers: Mapping[str, str]) -> None:
    """
    Raise `Forbidden` unless our own page sends this: what a cookie changes, and sign-in itself.

    No other site's page can say so of itself, and a browser says it only over https, and on this
    machine. JSON no page can send to another site without asking first.
    """
    if headers.get("sec-fetch-site") != "same-origin":
        raise Forbidden(
            "who signs in by a browser changes something from the page itself, over https or on"
            " this machine: the request needs Sec-Fetch-Site: same-origin"
        )
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Forbidden("what the page changes it sends with Content-Type: application/json")


def is_loopback(host: str) -> bool:
    """Say whether a ``Host`` header names this machine itself, where http is as good as https."""
    return _name(host.lower()) in LOOPBACK


def _name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (not port or port.isdecimal()) else host


def _from_elsewhere(headers: Mapping[bytes, bytes], host: str, method: str) -> bool:
    # Browsers that send no Sec-Fetch-Site (old ones, or http to another machine) name the origin of
    # what may change something. Other ports of this machine are other sites' pages, too.
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in OWN and not _follows_link(headers, method)
    origin = headers.get(b"origin")
    return origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host


def _follows_link(headers: Mapping[bytes, bytes], method: str) -> bool:
    shown = headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")
    return method == "GET" and shown == (b"navigate", b"document")

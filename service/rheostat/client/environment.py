"""
Where the service is, and which proxy is asked, as the environment says: read once for a client.

``HTTP_PROXY`` or ``HTTPS_PROXY``, by the scheme of the service's address, else ``ALL_PROXY``, in
capitals or not; ``NO_PROXY`` lists who is asked directly: names, with all names below them, and
addresses or networks of either version, each with a port if only that is meant. What cannot be
read in that list concerns nobody, and is left out.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Any

from rheostat.client.answers import public_address
from rheostat.errors import FieldError, Invalid

URL = "RHEOSTAT_URL"
READ = "RHEOSTAT_READ"
WAYS = ("direct", "node")
"""How blocks may be read: each process by itself, or those of a host in common."""
SCHEMES = ("http", "https", "socks5", "socks5h")


def address() -> str:
    """Return the address of the service; raise `Invalid` if the environment has none."""
    found = os.environ.get(URL)
    if not found:
        message = f"is needed, or the environment variable {URL}"
        raise Invalid(f"base_url {message}", errors=[FieldError("base_url", message)])
    return found


def read() -> str:
    """Return how blocks are read where the client is not told; raise `Invalid` for no such way."""
    found = os.environ.get(READ) or WAYS[0]
    if found not in WAYS:
        bound = " or ".join(WAYS)
        wrong = FieldError(READ, f"must be {bound}", found, bound)
        raise Invalid(f"{READ} is {found!r}, and must be {bound}", errors=[wrong])
    return found


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and who named it."""

    url: str
    source: str

    def __repr__(self) -> str:
        return f"Proxy({public_address(self.url)!r}, {self.source!r})"

    def __str__(self) -> str:
        return f"the proxy {public_address(self.url)} ({self.source})"


def proxy_for(url: Any) -> Proxy | None:
    """Return the proxy through which the environment wants a URL to be asked for."""
    from urllib.request import getproxies  # noqa: PLC0415 - httpx has loaded it, if anybody needs it

    known = getproxies()
    if is_direct(url.host, url.port or _PORTS[url.scheme], known.get("no", "")):
        return None
    for scheme in (url.scheme, "all"):
        if found := known.get(scheme):
            names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
            source = next((name for name in names if os.environ.get(name)), "the system's settings")
            return proxy(found, source)
    return None


def proxy(url: Any, source: str) -> Proxy:
    """Return the proxy of this address; raise `Invalid` if there can be none."""
    text = url if isinstance(url, str) else ""
    if "://" not in text:
        text = f"http://{text}"
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES or not _HOST.fullmatch(rest.rpartition("@")[2]):
        bound = f"{', '.join(f'{scheme}://…' for scheme in SCHEMES[:-1])} or {SCHEMES[-1]}://…"
        shown = public_address(text)
        wrong = FieldError(source, f"must be {bound}", shown, bound)
        raise Invalid(f"{source} is {shown!r}, and must be {bound}", errors=[wrong])
    return Proxy(text, source)


def is_direct(host: str, port: int, listed: str) -> bool:
    """
    Return whether a host is in a list of those that are asked without a proxy.

    >>> is_direct("10.1.2.3", 80, "localhost, 10.0.0.0/8")
    True
    """
    return any(_covers(entry, host.lower(), port) for entry in listed.lower().split(",") if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    entry = entry.strip().rpartition("://")[2]
    if entry == "*":
        return True
    network = None if "]:" in entry else _network(entry)
    if network is None and (found := _PORT.search(entry)):
        if int(found[1]) != port:
            return False
        entry = entry[: found.start()]
        network = _network(entry)
    address = _network(host)
    if network is not None and address is not None:
        return address.version == network.version and address.subnet_of(network)  # type: ignore[arg-type]
    name = entry.removeprefix("*").strip(".")
    return bool(name) and address is None and f".{host.rstrip('.')}".endswith(f".{name}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return an address or a network, also with the brackets that it has in a URL."""
    try:
        found = ipaddress.ip_network(re.sub(r"[\[\]]|%[^/]*", "", text), strict=False)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}", strict=False)
    return found


_PORTS = {"http": 80, "https": 443}
_PORT = re.compile(r":([0-9]{1,5})\Z")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#\[\]@\\]+)(:[0-9]{1,5})?/?")

"""
Where a hook may send to: which addresses are meant by a URL, and which of them are allowed.

Whoever can set a hook has the service send requests. They must not reach what only the service can
reach: other programs of this machine, its network, the metadata of its cloud. So a URL is read
strictly, the addresses of its name are looked up for each message, and the connection goes to one
that was looked at: a name that means another address a moment later gets nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_URI

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORM = "https://HOST/…, or http:// to this machine, in ASCII, without name, password and fragment"
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
URL = re.compile(
    rf"(?P<scheme>https?)://(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>{LABEL}(?:\.{LABEL})*))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)",
    re.IGNORECASE | re.ASCII,  # without the latter, the sign of Kelvin is a k
)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)
PORTS = {"https": 443, "http": 80}
LONGEST_NAME = 253
"""Characters of the name of a host."""
FIRST_FREE = 1024
"""Ports from here on may be used, and those of the web: others belong to other protocols."""

SPECIAL = [
    ip_network(text)
    for text in (
        # the registries of special addresses: https://www.iana.org/assignments/
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # public, and in Azure the machine's own host
        # protocols and tunnels (Teredo, 6to4), and documentation
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
]
GLOBAL_V6 = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """Host and port, as the header ``Host`` says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def address(self) -> Address | None:
        """The address that the host is, None of a name."""
        return ip_address(self.host) if _is_address(self.host) else None

    def at(self, address: Address) -> str:
        """Return the URL with an address in place of the host."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse(url: str, field: str = "url") -> Target:
    """
    Return what a URL means.

    Raises:
        Invalid: It is not written as `FORM` says, or has a port of another protocol.

    """
    found = URL.fullmatch(url) if len(url) <= MAX_URI else None
    if found is None:
        _refuse(field, f"is no such URL: {FORM}", None, FORM)
    scheme = found["scheme"].lower()
    host = (found["v6"] or found["host"]).lower()
    if len(host) > LONGEST_NAME:
        bound = f"<= {LONGEST_NAME} characters"
        _refuse(field, f"has a host of {len(host)} characters", len(host), bound)
    port = int(found["port"] or PORTS[scheme])
    if found["v6"] and not _is_address(host):
        _refuse(field, f"has no address in its brackets: {host}", host, "an IPv6 address")
    if not found["v6"] and NUMBER.fullmatch(host.rpartition(".")[2]) and not _is_address(host):
        # a resolver takes `127.1`, `0x7f000001` and `2130706433` for addresses
        _refuse(field, f"has an address in another form: {host}", host, "such as 192.0.2.1")
    if port not in PORTS.values() and not FIRST_FREE <= port < 65_536:
        bound = f"80, 443, or {FIRST_FREE} to 65535"
        _refuse(field, f"has port {port}, which belongs to another protocol", port, bound)
    target = Target(scheme, host, port, found["path"] or "/")
    if scheme == "http" and not _is_local(target):
        _refuse(field, "must be https://: http:// is for this machine alone", scheme, "https")
    return target


def require_reachable(target: Target, networks: Networks, field: str = "url") -> None:
    """
    Raise `Invalid` if a URL names an address that is not allowed.

    What a name means is looked at when something is sent.
    """
    address = target.address
    if address is None and target.host == "localhost":
        address = ip_address("127.0.0.1")
    if address is not None and not networks.allow(address):
        _refuse(field, f"leads to {target.host}: {REACHABLE}", target.host, "a public address")


REACHABLE = "hooks reach public addresses, and those that RHEOSTAT_HOOK_NETWORKS lists"


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that hooks may reach beside public addresses."""

    listed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """Return those of some texts, such as ``10.1.0.0/16`` or ``::1``; raise `ValueError`."""
        return cls(tuple(map(ip_network, texts)))

    def allow(self, address: Address) -> bool:
        """Whether a connection may go to an address."""
        meant = _meant(address)
        return is_public(meant) or any(meant in network for network in self.listed)


def is_public(address: Address) -> bool:
    """Whether anybody can reach an address, as far as its registry says."""
    address = _meant(address)
    if isinstance(address, IPv6Address):
        if address in NAT64:  # a gateway hands it on to this one
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in GLOBAL_V6:
            return False
    return not any(address in network for network in SPECIAL)


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine's own."""
    return any(_meant(address) in network for network in LOOPBACK)


def _meant(address: Address) -> Address:
    """Return the IPv4 address that is written as one of IPv6, or else the address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(target: Target) -> bool:
    address = target.address
    return target.host == "localhost" if address is None else is_loopback(address)


def _refuse(field: str, why: str, value: object, bound: str) -> NoReturn:
    message = f"{field} {why}"
    raise Invalid("The hook is refused.", errors=[FieldError(field, message, value, bound)])

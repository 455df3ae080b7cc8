"""What a client is told once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal

import httpx

from rheostat import __version__, token_file
from rheostat.client import environment
from rheostat.client.answers import public_address
from rheostat.client.calls import Call, invalid
from rheostat.client.environment import Proxy
from rheostat.client.retry import QUIET, Patience
from rheostat.errors import FieldError, Invalid
from rheostat.limits import WORKER
from rheostat.saying import log
from rheostat.token_file import TokenFile

SECRETS = {"token": None, "headers": None, "cert": None}
"""What is in no pickle, which may end up in a checkpoint, and what a copy has instead."""
NEAR = (".local", ".internal", ".lan", ".svc", ".cluster.local", ".home.arpa", ".localhost")
"""Ends of names that no public site has."""

_warned: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `Client` and `AsyncClient`; raises `Invalid` where one is out of bounds."""

    base_url: str | None = None
    token: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    deadline: float = 600.0
    pause_deadline: float | None = None
    gate_deadline: float | None = None
    retries: int = 4
    lookahead: float = 2.0
    pace: float | None = None
    author: str | None = None
    proof: Literal["applied"] | None = "applied"
    worker: str | None = None
    beats: bool = True
    read: Literal["direct", "node"] | None = None
    verify: Any = True
    cert: Any = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    transport: Any = None
    address: str = field(default="", init=False)
    """Where the service is: the address given, or the environment's."""
    way: Proxy | None = field(default=None, init=False)
    """The proxy that is asked, if any: the one given, or the environment's."""

    def __post_init__(self) -> None:
        given: dict[str, Any] = {name: getattr(self, name) for name in ("retries", "author")}
        for name in ("timeout", "deadline", "lookahead"):
            value = getattr(self, name)
            _check(name, value, _is_positive(value), "above 0 seconds")
            object.__setattr__(self, name, float(value))  # waiting takes no other number
        for name in ("pause_deadline", "gate_deadline"):
            value = getattr(self, name)
            _check(name, value, value is None or _is_positive(value), "above 0 seconds, or None")
        pace = self.pace
        _check("pace", pace, pace is None or _is_positive(pace), "above 0 steps a second, or None")
        retries, author = given["retries"], given["author"]
        whole = isinstance(retries, int) and retries >= 0
        _check("retries", retries, whole, "an integer, at least 0")
        address = environment.address() if self.base_url is None else self.base_url
        _check_url(address)
        object.__setattr__(self, "address", address)
        one_line = author is None or (isinstance(author, str) and author.isprintable())
        _check("author", author, one_line, "printable characters on one line")
        _check("proof", self.proof, self.proof in (None, "applied"), "'applied', or None")
        worker, bound = self.worker, "1 to 128 of A-Z a-z 0-9 . _ : -, or None"
        _check("worker", worker, worker is None or is_worker(worker), bound)
        _check("beats", self.beats, isinstance(self.beats, bool), "True or False")
        _check(
            "read", self.read, self.read in (None, *environment.WAYS), "'direct', 'node', or None"
        )
        environment.read()
        _check_headers(self.headers)
        verify = self.verify
        names = isinstance(verify, bool | str | os.PathLike) or hasattr(verify, "wrap_socket")
        _check("verify", verify, names, "a file, a folder, an ssl.SSLContext, True or False")
        if not _is_cert(self.cert):
            _refuse_secret("cert", "a file, or (file, key, password)")
        object.__setattr__(self, "way", self._way())

    def __getstate__(self) -> dict[str, Any]:
        left_out = {*SECRETS, "way", "address"}
        state = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        state["base_url"] = self.address  # a copy may be in another environment
        if self.proxy is not None and "@" in self.proxy:
            state["proxy"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a checkpoint may be of another version, which has options more, or less
        kept = {own.name: state.get(own.name, own.default) for own in fields(self)}
        for name, value in {**kept, **SECRETS, "address": kept["base_url"], "way": None}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "way", self._way())

    @property
    def url(self) -> httpx.URL:
        """The service's address."""
        return httpx.URL(self.address)

    @property
    def reads_by_node(self) -> bool:
        """Whether the processes of a host have the blocks that they read in common."""
        return (self.read or environment.read()) == "node"

    def all_headers(self) -> dict[str, str | bytes]:
        """Return what every request says; a name beyond ASCII goes as UTF-8."""
        headers: dict[str, str | bytes] = {"User-Agent": f"rheostat/{__version__}"}
        token = self.token or os.environ.get(token_file.TOKEN)
        if token and not self._says_who:
            _check_token(token)
            self._warn_of_listeners()
            headers["Authorization"] = f"Bearer {token}"
        if self.author:
            headers["Rheostat-Author"] = self.author.encode()
        headers |= {name: text.encode() for name, text in (self.headers or {}).items()}
        # Blocks are never compressed, and what is announced as long as it is can be bounded.
        return headers | {"Accept-Encoding": "identity"}

    def token_file(self) -> TokenFile | None:
        """Return what signs requests with the token of a file, if that is where it is."""
        file = None if self.token or self._says_who else token_file.of_environment()
        if file is not None:
            self._warn_of_listeners()
        return file

    @property
    def _says_who(self) -> bool:
        return "authorization" in {name.lower() for name in self.headers or ()}

    def for_operator(self, call: Call) -> Patience:
        """Return the patience of a call that somebody sits and waits for."""
        return Patience(self._about(call), retries=self.retries, waits=False)

    def for_many(self, call: Call) -> Patience:
        """Return the patience of a call about many runs, of which each attempt does some."""
        return Patience(self._about(call), deadline=self.deadline, waits=False)

    def for_worker(self, call: Call, since: float | None = None, *, begun: bool = True) -> Patience:
        """Return the patience of a call that a training cannot go on without, and waits for."""
        about, quiet = self._about(call), QUIET + call.holds
        return Patience(about, deadline=self.deadline, since=since, begun=begun, quiet=quiet)

    def _about(self, call: Call) -> str:
        url = httpx.URL(self.address.rstrip("/") + call.path, params=call.params)
        through = "" if self.way is None else f" through {self.way}"
        return f"{call.method} {url}{through}"

    def _way(self) -> Proxy | None:
        if self.proxy is not None:
            return environment.proxy(self.proxy, "proxy=")
        if self.transport is not None or not self.trust_env:
            return None
        return environment.proxy_for(self.url)

    def _warn_of_listeners(self) -> None:
        """Say once that whoever is on the way can read the token."""
        if self.url.scheme != "http" or self.transport is not None:
            return
        there = [self.url] if self.way is None else [self.url, httpx.URL(self.way.url)]
        far = next((url for url in there if not _is_near(url.host)), None)
        if far is not None and far.host not in _warned:
            _warned.add(far.host)
            log.warning(
                "the token goes to %s as readable text: whoever is on the way can take it. "
                "Use https:// there",
                far.host,
            )


def _is_near(host: str) -> bool:
    """Whether a host is this machine, or in a network that is nobody else's, as far as one sees."""
    from ipaddress import ip_address  # noqa: PLC0415 - only where there is a token

    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(NEAR)
    return address.is_private or address.is_loopback or address.is_link_local


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and float(value) > 0


def is_worker(text: Any) -> bool:
    """Whether a worker, or a job, may be named so."""
    return isinstance(text, str) and re.fullmatch(WORKER, text) is not None


def _check_url(url: Any) -> None:
    shown = public_address(url) if isinstance(url, str) else url
    try:
        parsed = httpx.URL(url)
        host, port = parsed.host, 80 if parsed.port is None else parsed.port
    except (httpx.InvalidURL, TypeError, ValueError):  # of a name that is no IDNA, too
        raise invalid("base_url", shown, "http://… or https://…") from None
    if parsed.userinfo:
        bound = "without a name or password: give `token=`, or `headers=`"
        raise invalid("base_url", shown, bound)
    holds = parsed.scheme in {"http", "https"} and bool(host)
    _check("base_url", shown, holds and 0 < port < 2**16, "http://… or https://…")
    _check("base_url", shown, not parsed.query and not parsed.fragment, "without a query")


def _check(field: str, value: Any, holds: bool, bound: str) -> None:  # noqa: FBT001
    if not holds:
        raise invalid(field, value, bound)


def _check_token(token: Any) -> None:
    if not (isinstance(token, str) and token.isascii() and token.isprintable()):
        _refuse_secret("token", "printable ASCII characters on one line")


def _check_headers(headers: Any) -> None:
    if headers is None:
        return
    sound = isinstance(headers, Mapping) and all(
        isinstance(name, str)
        and isinstance(text, str)
        and name.isascii()
        and name.replace("-", "").replace("_", "").isalnum()
        and text.isprintable()
        for name, text in headers.items()
    )
    if not sound:
        _refuse_secret("headers", "names and texts of one printable line each")


def _is_cert(cert: Any) -> bool:
    parts = cert if isinstance(cert, tuple) and 0 < len(cert) <= 3 else (cert,)
    return cert is None or all(isinstance(part, str) for part in parts)


def _refuse_secret(field: str, bound: str) -> None:
    wrong = FieldError(field, f"must be {bound}", bound=bound)  # without the secret
    raise Invalid(f"the {field} must be {bound}", errors=[wrong])

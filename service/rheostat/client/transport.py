"""
How the httpx clients of a link are made, and how an answer is read: at most what was asked for,
and no longer than it may take.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from rheostat.client.answers import Answer, Broken
from rheostat.client.calls import MIB, Call
from rheostat.client.settings import Settings
from rheostat.errors import Closed, FieldError, Invalid

if TYPE_CHECKING:
    import ssl

SHORTEST_ATTEMPT = 1.0
"""Seconds that every attempt has, even the last one before a deadline."""
LEAST_RATE = MIB
"""Bytes a second at which an answer that may be long has to come."""
LONGEST_REFUSAL = MIB
"""Bytes of the longest answer that is no success."""
EXCERPT_BYTES = 1024
"""Bytes that are kept of an answer that is longer than it may be, to show it."""


def seconds_of(call: Call, timeout: float) -> float:
    """Return how long an attempt may take in all: ``timeout``, and more for a long answer."""
    longest = min(timeout + call.most / LEAST_RATE, max(call.seconds, SHORTEST_ATTEMPT))
    return longest + call.holds


def request(
    http: httpx.Client | httpx.AsyncClient, call: Call, timeout: float, **extensions: Any
) -> httpx.Request:
    """Return the request of a call."""
    seconds = min(timeout, max(call.seconds, SHORTEST_ATTEMPT))
    return http.build_request(
        call.method,
        call.path,
        params=call.params,
        headers={**call.headers, "Prefer": f"wait={call.holds:.0f}"}
        if call.holds
        else call.headers,
        content=call.content,
        timeout=httpx.Timeout(seconds, read=call.silence or seconds + call.holds),
        extensions=extensions,
    )


def late(seconds: float) -> httpx.ReadTimeout:
    """Return the error of an attempt whose time is over, whatever it was waiting for."""
    return httpx.ReadTimeout(f"the answer was not whole after {seconds:.1f} s")


class Body:
    """The body of an answer, as far as it came."""

    def __init__(self, response: httpx.Response, call: Call, seconds: float) -> None:
        self._response = response
        self._most = call.most if response.is_success else LONGEST_REFUSAL
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self._unpacked = response.is_stream_consumed  # by a transport of tests
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> bool:
        """Take the next piece; return whether there may be more."""
        if time.monotonic() > self._until:
            raise late(self._seconds)
        self._pieces.append(piece)
        self._size += len(piece)
        return self._size <= self._most

    def answer(self) -> Answer:
        """Return the answer with this body."""
        response, body = self._response, b"".join(self._pieces)
        coded = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coded not in {"", "identity"} and not self._unpacked:
            raise Broken(
                f"an answer in {coded!r:.40}, which was not asked for", response.status_code
            )
        over = self._size > self._most
        kept = body[:EXCERPT_BYTES] if over else body
        return Answer(response.status_code, response.headers, kept, over)


def head(response: httpx.Response) -> Answer:
    """Return an answer whose body is still to come."""
    return Answer(response.status_code, response.headers)


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of an httpx client, but for its transport."""
    return {
        "base_url": settings.address,
        "headers": settings.all_headers(),
        "auth": settings.token_file(),
        "trust_env": False,
    }


def transport_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of an httpx transport; raise `Invalid` if one cannot be meant."""
    verify: Any = tls_context(settings) if _needs_tls(settings) else False
    proxy = None
    if settings.way is not None:
        _require_socksio(settings)
        over_tls = settings.way.url.startswith("https://")
        proxy = httpx.Proxy(settings.way.url, ssl_context=verify if over_tls else None)
    return {"verify": verify, "proxy": proxy, "trust_env": False}


def pool_limits(connections: int | None) -> httpx.Limits:
    """Return the limits of a pool of so many connections, which are all kept for a while."""
    return httpx.Limits(max_connections=connections, max_keepalive_connections=connections)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return what decides on certificates; raise `Invalid` for files that are none."""
    import os  # noqa: PLC0415
    import ssl  # noqa: PLC0415 - it takes milliseconds, and http:// needs none

    verify: Any = settings.verify
    if isinstance(verify, ssl.SSLContext):
        return verify
    field = "verify"
    try:
        if isinstance(verify, str | os.PathLike):
            where = os.fspath(verify)
            cafile, capath = (None, where) if os.path.isdir(where) else (where, None)  # noqa: PTH112
            context = ssl.create_default_context(cafile=cafile, capath=capath)
        else:
            sources = ("SSL_CERT_FILE", "SSL_CERT_DIR") if settings.trust_env and verify else ()
            field = next((name for name in sources if os.environ.get(name)), field)
            context = httpx.create_ssl_context(bool(verify), trust_env=settings.trust_env)
    except (OSError, ValueError, TypeError) as error:
        value = os.environ.get(field, verify)
        raise _no_file(field, value, "a file or folder of certificates", error) from error
    if settings.cert is not None:
        _load_own(context, settings.cert)
    return context


def _load_own(context: ssl.SSLContext, cert: Any) -> None:
    try:
        parts = (cert,) if isinstance(cert, str) else tuple(cert)
        context.load_cert_chain(*parts)
    except (OSError, ValueError, TypeError) as error:
        shown = cert if isinstance(cert, str) else cert[0]  # without the key's password
        raise _no_file("cert", shown, "a certificate with its key, in PEM", error) from error


def closed() -> Closed:
    """Return the error of those who use a client that was closed."""
    return Closed("the client was closed")


def is_expected(error: Exception) -> bool:
    """Whether an error is the network's; all others are of what was asked, and do not pass."""
    return isinstance(error, httpx.RequestError | Broken | OSError | MemoryError)


def failure(error: Exception) -> Exception:
    """Return an error of sending as one that the flows judge."""
    if is_expected(error):
        return error
    wrong = httpx.LocalProtocolError(f"{type(error).__name__}: {error}")
    wrong.__cause__ = error
    return wrong


def _needs_tls(settings: Settings) -> bool:
    way = settings.way
    return settings.url.scheme == "https" or (way is not None and way.url.startswith("https://"))


def _require_socksio(settings: Settings) -> None:
    from importlib.util import find_spec  # noqa: PLC0415

    way = settings.way
    if way is not None and way.url.startswith("socks5") and find_spec("socksio") is None:
        bound = "http://… or https://…, or install httpx[socks]"
        wrong = FieldError(way.source, f"must be {bound}", bound=bound)
        raise Invalid(
            f"{way} needs the package socksio: pip install 'httpx[socks]'", errors=[wrong]
        )


def _no_file(field: str, value: Any, bound: str, error: Exception) -> Invalid:
    wrong = FieldError(field, f"must be {bound}", str(value), bound)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Invalid(f"{field} is {str(value)!r}, and must be {bound}: {reason}", errors=[wrong])

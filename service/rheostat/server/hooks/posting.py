"""
One message to one hook: its name is looked up, an address is chosen, and it is sent there.

The connection goes to the address that was looked at, whatever the name means by then; the
certificate has to be of the name. No redirect is followed, no proxy of the environment is asked,
and of the answer only the status and ``Retry-After`` are read: what an address answers that only
the service can reach is nobody's business.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat import __version__
from rheostat.server.hooks import messages, signing
from rheostat.server.hooks.targets import REACHABLE, Address, Networks, Target, is_loopback

if TYPE_CHECKING:
    import httpx

    from rheostat import wire
    from rheostat.server.hooks.hook import Hook

TIMEOUT = 10.0
"""Seconds for one attempt in all, and for its answer to begin."""

CONNECT = 4.0
"""Seconds for one connection; then another address of the name is tried."""

ADDRESSES = 3
"""Addresses of a name that are tried."""

USER_AGENT = f"rheostat/{__version__}"

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a name, for a port; raises `OSError` if it has none."""


class Posted(NamedTuple):
    """What came of one attempt."""

    status: int | None
    """What was answered; None if nothing was."""
    error: str | None
    """Why it failed; None if it was taken."""
    seconds: float
    retry_after: float | None = None
    """After how many seconds the receiver wants to be asked again, if it said so."""

    @property
    def delivered(self) -> bool:
        """Whether it was taken."""
        return self.error is None

    def to_json(self) -> wire.HookTrial:
        """Return the wire form, of a trial."""
        return {
            "delivered": self.delivered,
            "status": self.status,
            "seconds": self.seconds,
            "error": self.error,
        }

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more messages, ever."""
        return self.status == 410


class Poster:
    """Sends messages; ``resolve`` looks names up, in a thread."""

    def __init__(self, networks: Networks, resolve: Resolve | None = None) -> None:
        self._networks = networks
        self._resolve = resolve or _addresses
        self._client: httpx.AsyncClient | None = None

    async def post(self, hook: Hook, message_id: str, content: wire.HookMessage) -> Posted:
        """Send a message to a hook, once, and return what came of it."""
        body = messages.body(content, hook.format)
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        if hook.format == "standard":
            headers |= _signed(hook.secrets, message_id, body)
        began = time.monotonic()
        status, retry_after = None, None
        try:
            async with asyncio.timeout(TIMEOUT):
                status, retry_after = await self._send(hook.target, headers, body)
            error = None if 200 <= status < 300 else _refused(status)
        except TimeoutError:
            error = f"no answer within {TIMEOUT:g} s"
        except Unsent as unsent:
            error = str(unsent)
        return Posted(status, error, time.monotonic() - began, retry_after)

    async def trial(self, hook: Hook, at: str, address: str = "") -> Posted:
        """Send a hook a message for a trial."""
        content = messages.linked(messages.trial(hook.name, at), address)
        return await self.post(hook, f"msg_{secrets.token_hex(16)}", content)

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def _send(
        self, target: Target, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, float | None]:
        addresses = await self._reachable(target)
        import httpx  # noqa: PLC0415 - a service without hooks does not load it

        client = await self._opened()
        failure: httpx.HTTPError | None = None
        for address in addresses[:ADDRESSES]:
            request = client.build_request(
                "POST",
                target.at(address),
                content=body,
                headers={"Host": target.authority, "Connection": "close", **headers},
                extensions={"sni_hostname": target.host},
            )
            try:
                response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, OSError, ValueError) as error:
                raise Unsent(_reason(error)) from error
            else:
                with suppress(httpx.HTTPError):
                    await response.aclose()
                return response.status_code, _seconds(response.headers.get("Retry-After"))
        raise Unsent(_reason(failure))

    async def _reachable(self, target: Target) -> list[Address]:
        """Return the addresses of a host that may be used."""
        literal = target.address
        if literal is not None:
            found = [literal]
        else:
            try:
                texts = await _in_a_thread(self._resolve, target.host, target.port)
            except (OSError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise Unsent(f"{target.host} has no address: {reason}") from error
            found = [ip_address(text) for text in dict.fromkeys(texts)]
        allowed = [
            each
            for each in found
            if self._networks.allow(each) and (target.scheme == "https" or is_loopback(each))
        ]
        if not allowed:
            shown = ", ".join(map(str, found[:ADDRESSES])) or "nothing"
            raise Unsent(f"{target.host} leads to {shown}: {REACHABLE}")
        return allowed

    async def _opened(self) -> httpx.AsyncClient:
        if self._client is None:  # certificates take a while to read
            self._client = await _in_a_thread(_client)
        return self._client


class Unsent(Exception):
    """Nothing was sent, or nothing was answered; the text says why, without the URL's path."""


def _client() -> httpx.AsyncClient:
    import httpx  # noqa: PLC0415 - as above

    for name in ("httpx", "httpcore"):  # they log URLs, whose paths may be secrets
        logging.getLogger(name).setLevel(logging.WARNING)
    # a connection is of one name: a second one at the same address has another certificate
    limits = httpx.Limits(max_keepalive_connections=0)
    timeout = httpx.Timeout(TIMEOUT, connect=CONNECT)
    context = httpx.create_ssl_context()
    return httpx.AsyncClient(verify=context, trust_env=False, limits=limits, timeout=timeout)


def _signed(known: Sequence[str], message_id: str, body: bytes) -> dict[str, str]:
    timestamp = int(time.time())
    keys = map(signing.key_of, known)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.signature(keys, message_id, timestamp, body),
    }


def _refused(status: int) -> str:
    if status == 410:
        return "answered 410: it wants no more messages"
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed, so set the new URL"
    return f"answered {status}"


def _reason(error: Exception | None) -> str:
    """Return why there was no answer: the words of the system, which know nothing of the URL."""
    import httpx  # noqa: PLC0415 - as above

    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT:g} s"
    what = "no connection" if isinstance(error, httpx.ConnectError) else "no answer"
    said = " ".join(str(error).split())[:200]
    return f"{what}: {said}" if said else f"{what}: {type(error).__name__}"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a receiver asks for; a date, which few send, is none."""
    if retry_after is None or not retry_after.isascii() or not retry_after.isdecimal():
        return None
    return float(retry_after[:9])


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


async def _in_a_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """
    Run something in a thread of its own, which nobody waits for at the end.

    A name server that does not answer keeps it for half a minute: in a pool it would keep others
    from their turn, and the process from its end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def tell(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work(*arguments)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name="rheostat-hook", daemon=True).start()
    return await done

"""The calls of operators and viewers about the service, written once for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

import httpx

from rheostat.client import wire
from rheostat.client.asks import Asks, Many, Nothing, Number, One, Stream, Watches
from rheostat.client.control import Control
from rheostat.client.settings import Settings

if TYPE_CHECKING:
    from os import PathLike
    from ssl import SSLContext

Definition = Mapping[str, Any]


class ServiceCalls(Generic[One, Many, Nothing, Stream, Number]):
    """What a client is told, and what it can ask of the service as a whole."""

    def __init__(  # noqa: PLR0913
        self,
        base_url: str,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        deadline: float = 600.0,
        retries: int = 4,
        lookahead: float = 2.0,
        pace: float | None = None,
        author: str | None = None,
        verify: bool | str | PathLike[str] | SSLContext = True,
        cert: str | tuple[str, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """
        Set up a client. It connects when it is first used.

        Args:
            base_url: Such as ``http://rheostat:8000``, without a name or password.
            token: Who is asking; by default the environment variable ``RHEOSTAT_TOKEN``, if set.
            timeout: Seconds for each phase of one attempt, to connect, to send, to receive, and for
                all of them together; an answer that may be long has a second more for each MiB.
            deadline: Seconds that a worker waits for an unreachable service before `Unreachable`.
                Only a refusal of the service itself, and a redirect, is raised before; and, when it
                joins, a certificate that is not trusted.
            retries: How often other calls than a worker's are repeated before `Unreachable`.
            lookahead: Seconds that a worker's blocks should last: a change reaches it within about
                two of these, or two steps, whichever is longer.
            pace: How many steps (or tokens, or whatever the run counts) a training goes on in a
                second, if that is known: then even its first blocks last for the look-ahead.
                Otherwise a worker holds two cells until it has seen how fast it reads, and waits
                if they are shorter than a request.
            author: Who makes changes, for the history.
            verify: The authorities of certificates, as a file, a folder or an `ssl.SSLContext`;
                False trusts anybody. By default the usual ones, or those of ``SSL_CERT_FILE``.
            cert: This side's certificate, as a file, or as (file, key, password).
            headers: What every request says besides, as a gateway on the way may want it.
            proxy: What to send requests through, ``http://…`` or ``https://…`` (``socks5://…`` with
                httpx[socks]); by default what ``HTTP_PROXY`` and its like say.
            trust_env: False leaves the environment's proxies and certificates alone.
            transport: What sends the requests, for tests.

        Raises `Invalid` for an argument, or a proxy of the environment, that cannot be meant.

        """
        settings = Settings(
            base_url=base_url,
            token=token,
            timeout=timeout,
            deadline=deadline,
            retries=retries,
            lookahead=lookahead,
            pace=pace,
            author=author,
            verify=verify,
            cert=cert,
            headers=headers,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
        )
        self.__setstate__(settings)

    def _open(self, settings: Settings) -> Watches[One, Many, Nothing, Stream, Number]:
        raise NotImplementedError

    def __getstate__(self) -> Settings:
        return self.settings

    def __setstate__(self, settings: Settings) -> None:
        self.settings = settings
        self._ask = self._open(settings)

    @property
    def schedules(self) -> Schedules[One, Many, Nothing]:
        """The library of named, versioned definitions."""
        return Schedules(self._ask)

    def control(self, run: str) -> Control[One, Many, Nothing, Stream, Number]:
        """Return the operators' calls of a run, by name or id, without joining it."""
        return Control(self._ask, wire.require_name(run, "run"))

    @property
    def tokens(self) -> Tokens[One, Many, Nothing]:
        """Who may use the service, for admins."""
        return Tokens(self._ask)

    def runs(self, *, label: str | None = None) -> Many:
        """Return all runs, or those with the label ``key=value``."""
        return self._ask.many(wire.get(wire.path("runs"), label=label))

    def create_run(
        self,
        name: str,
        parameters: Mapping[str, Definition],
        *,
        exist_ok: bool = False,
        **options: Any,
    ) -> One:
        """
        Create a run; raise `NameTaken` if there is one of this name.

        With ``exist_ok`` that is raised only if it was created otherwise than now. ``options``:
        ``axis``, ``resolution``, ``total``, ``steps_per_epoch``, ``max_block``, ``max_jump``,
        ``guards``, ``labels``.
        """
        body = {"parameters": parameters, **options}
        if exist_ok:
            where = wire.path("runs", wire.require_name(name))
            return self._ask.one(wire.put(where, body))
        return self._ask.one(wire.post(wire.path("runs"), {"name": name, **body}))

    def evaluate(
        self,
        definition: Definition,
        steps: int | range | Sequence[int],
        *,
        total: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> One:
        """Return ``{"value": …}`` of one step, or ``{"values": […]}`` of many."""
        context = {"total": total, "steps_per_epoch": steps_per_epoch}
        given = {key: value for key, value in context.items() if value is not None}
        body = {"definition": definition, **_steps(steps), **given}
        return self._ask.one(wire.post(wire.path("evaluate"), body))

    def kinds(self) -> Many:
        """Return every kind of definition: formula, fields with bounds, example, schema."""
        return self._ask.many(wire.get(wire.path("kinds")))

    def kind(self, name: str) -> One:
        """Return one kind of definition."""
        return self._ask.one(wire.get(wire.path("kinds", name)))


class Schedules(Generic[One, Many, Nothing]):
    """The library: definitions under a name, whose versions never change."""

    def __init__(self, link: Asks[One, Many, Nothing]) -> None:
        self._ask = link

    def list(self) -> Many:
        """Return the schedules, each with its newest version."""
        return self._ask.many(wire.get(wire.path("schedules")))

    def get(self, name: str, *, version: int | None = None) -> One:
        """Return a schedule, in its newest version or the one asked for."""
        return self._ask.one(wire.get(wire.path("schedules", name), version=version))

    def put(self, name: str, definition: Definition) -> One:
        """Store a new version, and return it."""
        return self._ask.one(wire.put(wire.path("schedules", name), {"definition": definition}))

    def delete(self, name: str) -> Nothing:
        """Remove a schedule. Runs that were made with it keep their copy."""
        return self._ask.nothing(wire.delete(wire.path("schedules", name)))

    def values(
        self,
        name: str,
        *,
        start: int | None = None,
        stop: int | None = None,
        stride: int | None = None,
        version: int | None = None,
    ) -> One:
        """Return the curve from ``start`` to ``stop``, exclusive."""
        where = wire.path("schedules", name, "values")
        return self._ask.one(
            wire.get(where, start=start, stop=stop, stride=stride, version=version)
        )

    def value(self, name: str, step: int, *, version: int | None = None) -> One:
        """Return the value at one step."""
        return self._ask.one(
            wire.get(wire.path("schedules", name, "values", step), version=version)
        )


class Tokens(Generic[One, Many, Nothing]):
    """Tokens: each has a name and a role, viewer, worker, operator or admin."""

    def __init__(self, link: Asks[One, Many, Nothing]) -> None:
        self._ask = link

    def list(self) -> Many:
        """Return the tokens without their secrets, those that were revoked among them."""
        return self._ask.many(wire.get(wire.path("tokens")))

    def create(self, name: str, role: str, *, expires_at: str | None = None) -> One:
        """Make a token, and return it with its secret, ``token``, which nobody is told again."""
        body = {"name": name, "role": role, "expires_at": expires_at}
        return self._ask.one(wire.post(wire.path("tokens"), body))

    def revoke(self, name: str) -> Nothing:
        """Make a token useless: within seconds, every process of the service refuses it."""
        return self._ask.nothing(wire.delete(wire.path("tokens", name)))


def _steps(steps: int | range | Sequence[int]) -> dict[str, Any]:
    if isinstance(steps, int):
        return {"step": steps}
    if isinstance(steps, range) and steps.step > 0:
        return {"start": steps.start, "stop": steps.stop, "stride": steps.step}
    return {"steps": list(steps)}

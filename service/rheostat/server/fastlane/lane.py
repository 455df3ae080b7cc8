"""
The door: workers' reads of blocks that are settled and in memory, answered before all else.

What FastAPI and a task of its own do for a request costs many times what sending a block does, and
comes to the same for the same request each time. So a settling read takes the long way once, and
its answer is noted under the request's `Address`: the method aside, that is all of a request that
decides which block it gets, and how it is written. The next request from this address is answered
here, and so are those that arrive while the first one is on its way: they wait for it. Whatever
else the long way asks of a request is asked here too, by the same functions: its host, its token,
its role, its sender's pace. Where the least thing is missing, and for whatever a browser sends, a
request takes the long way, and is refused there: the door has no errors of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from starlette.types import ASGIApp, Receive, Scope, Send

from rheostat.errors import Forbidden
from rheostat.server.fastlane.cache import Address, Answer, Answers, Form, address_of
from rheostat.server.fastlane.singleflight import Flights
from rheostat.server.http.access import Access, settles
from rheostat.server.http.access_log import Journal
from rheostat.server.http.browsers import HOST, turn_away
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.middleware import identify
from rheostat.server.http.rates import Rates
from rheostat.server.store.sightings import Sightings

ROUTE = "/v1/runs/{run}/values"
"""Template of the paths that are answered here."""


BROWSERS = frozenset({b"origin", b"sec-fetch-site", b"sec-fetch-mode"})
"""Headers of requests that take the long way: it is for people."""

PROXIES = frozenset({b"x-forwarded-for"})
"""Headers of requests that do where it matters who sends them: uvicorn reads these later."""

HOSTS = 64
"""Values of ``Host`` about which it is remembered whether they are this service's own."""


class Door:
    """Answers the settling reads whose answers are known, and leaves all else to the long way."""

    def __init__(
        self,
        answers: Answers,
        metrics: Metrics,
        journal: Journal,
        access: Access,
        rates: Rates,
        flights: Flights,
        answers_for: Callable[[str], bool],
        sightings: Sightings,
    ) -> None:
        self._answers = answers
        self._sightings = sightings
        self._flights = flights
        self._tallies = {status: metrics.tally(ROUTE, "GET", status) for status in (200, 304)}
        self._journal = journal
        self._access = access
        self._rates = rates
        self._odd = BROWSERS | PROXIES if rates.limited else BROWSERS
        self._is_own = lru_cache(HOSTS)(partial(_is_own, answers_for))

    def reply(self, scope: Scope) -> tuple[Form, bytes] | None:
        """Return the answer to a request and its id, or None if it has to take the long way."""
        began = time.perf_counter()
        headers = dict(scope["headers"])
        answer = self._find(scope, headers)
        if answer is None or not self._lets_in(scope, headers):
            return None
        request_id = identify(headers.get(b"x-request-id"))
        form = answer.to(headers.get(b"if-none-match"))
        seconds = time.perf_counter() - began
        self._tallies[form.status].add(seconds)
        self._journal.note(scope, form.status, seconds, request_id)
        self._sightings.note(*answer.cells)
        return form, request_id

    def fly(self, scope: Scope, app: ASGIApp, again: Callable[[], None]) -> ASGIApp | None:
        """
        Return what answers a request the long way, or None if it waits.

        ``again`` is called once the request that it waits for has its answer.
        """
        address = self._settling(scope)
        if address is None:
            return app
        if self._flights.lead(address):
            return partial(self._lead, address, app)
        self._flights.wait(address, again)
        return None

    async def _lead(
        self, address: Address, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            await app(scope, receive, send)
        finally:
            self._flights.land(address)

    def _settling(self, scope: Scope) -> Address | None:
        """Return a request's address if it looks like a settling read."""
        headers = dict(scope["headers"])
        asks = scope["method"] == "GET" and scope["path"].endswith("/values")
        if not asks or b"generation=" not in scope["query_string"]:
            return None
        return address_of(scope, headers) if BROWSERS.isdisjoint(headers) else None

    def _find(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Answer | None:
        if scope["method"] != "GET":
            return None
        address = address_of(scope, headers)
        return None if address is None else self._answers.at(address)

    def _lets_in(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        if not self._odd.isdisjoint(headers) or not self._is_own(headers.get(b"host")):
            return False
        caller = self._access.remembered(headers.get(b"authorization", b""))
        return caller is not None and settles(caller, None) and self._rates.allow(scope)


def _is_own(answers_for: Callable[[str], bool], host: bytes | None) -> bool:
    if not host or not HOST.fullmatch(host):
        return False
    try:
        turn_away({b"host": host}, "GET", answers_for)
    except Forbidden:
        return False
    return True

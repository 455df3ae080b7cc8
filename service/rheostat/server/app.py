"""The composition root: what a server is made of, and the order in which it starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from rheostat import __version__
from rheostat.limits import REPORTS_PER_SECOND, SIGN_INS_PER_SECOND
from rheostat.schedules.evaluation import CACHE
from rheostat.server.fastlane import add_fast_lane
from rheostat.server.hooks.posting import Poster
from rheostat.server.http.access import Authenticator
from rheostat.server.http.access_log import AccessLog
from rheostat.server.http.blocks import BlockCache
from rheostat.server.http.body import READ_AT_ONCE
from rheostat.server.http.browsers import OriginFilter, names
from rheostat.server.http.budgets import SMALL, Budget
from rheostat.server.http.connections import Connections, connections_for
from rheostat.server.http.feeds import Feeds
from rheostat.server.http.holds import Holds
from rheostat.server.http.hook_sender import HookSender
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.middleware import BodyLimit, Observer
from rheostat.server.http.presence import keep_writing, write_all
from rheostat.server.http.problems import HANDLERS
from rheostat.server.http.proofs import Proofs
from rheostat.server.http.protocol import CONNECTIONS, ON_SHUTDOWN
from rheostat.server.http.rates import RateLimit, Rates
from rheostat.server.http.recent import RecentAnswers
from rheostat.server.http.refused import RefusedTokens
from rheostat.server.http.replicas import keep_saying, leave
from rheostat.server.http.route import StrictRoute
from rheostat.server.http.sampling import Sampler
from rheostat.server.http.traffic import Traffic
from rheostat.server.http.turns import Turns
from rheostat.server.local import LocalService
from rheostat.server.openapi import describe
from rheostat.server.routes.agents import agents
from rheostat.server.routes.approving import propose_instead, protection
from rheostat.server.routes.audit import audit
from rheostat.server.routes.bulk import bulk
from rheostat.server.routes.checkpoints import checkpoints
from rheostat.server.routes.controller_kinds import controller_kinds
from rheostat.server.routes.controllers import controllers
from rheostat.server.routes.convert import conversion
from rheostat.server.routes.evaluate import evaluation
from rheostat.server.routes.events import events
from rheostat.server.routes.history import history
from rheostat.server.routes.hooks import hooks
from rheostat.server.routes.imports import imports
from rheostat.server.routes.kinds import kinds
from rheostat.server.routes.local import local
from rheostat.server.routes.mismatches import mismatches
from rheostat.server.routes.operations import operations
from rheostat.server.routes.outcomes import outcomes
from rheostat.server.routes.page import page
from rheostat.server.routes.proposals import proposals
from rheostat.server.routes.reports import reports
from rheostat.server.routes.revisions import revisions
from rheostat.server.routes.rewinds import rewinds
from rheostat.server.routes.runs import runs
from rheostat.server.routes.schedules import schedules
from rheostat.server.routes.session import sessions
from rheostat.server.routes.signals import signals
from rheostat.server.routes.simulate import simulation
from rheostat.server.routes.stops import stops
from rheostat.server.routes.swagger import swagger
from rheostat.server.routes.tokens import tokens
from rheostat.server.routes.total import totals
from rheostat.server.routes.values import values
from rheostat.server.routes.workers import workers
from rheostat.server.runs.presence import Roster
from rheostat.server.settings import Settings
from rheostat.server.store.replicas import Replica
from rheostat.server.store.store import Store

ROUTERS = (
    operations,
    page,
    evaluation,
    conversion,
    simulation,
    kinds,
    schedules,
    imports,
    runs,
    values,
    history,
    revisions,
    rewinds,
    totals,
    stops,
    signals,
    outcomes,
    workers,
    checkpoints,
    proposals,
    protection,
    bulk,
    reports,
    controllers,
    controller_kinds,
    agents,
    mismatches,
    events,
    tokens,
    audit,
    sessions,
    hooks,
    local,
)

CURVES_AT_ONCE = 4
"""Large curves and pictures that one process computes at a time; others wait."""

CONVERSIONS_AT_ONCE = 1
"""Other libraries' schedulers that one process converts at a time; others wait."""


SLOW_BODY, SLOW_ANSWER = 1.0, 5.0
"""Seconds after which a large body, or a large answer, has to make room for others if need be."""

SMALL_BODIES = 1024 * SMALL
"""Bytes of small bodies, and of requests that wait for their turn, that a process holds."""


class Rheostat(FastAPI):
    """The application, with its own OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_app(
    settings: Settings, *, fast_lane: bool = True, service: LocalService | None = None
) -> FastAPI:
    """
    Return the application of these settings.

    Nothing is opened before it starts, and two of them can live in one process. Without the fast
    lane it gives the same answers, and settled blocks more slowly. Of a local server, ``service``
    knows how long it stays, and the token that its own user has.
    """
    routers = (*ROUTERS, swagger) if settings.docs else ROUTERS
    app = Rheostat(
        title="Rheostat",
        version=__version__,
        routes=[route for router in routers for route in router.routes],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.local = service
    app.state.metrics = Metrics()
    app.state.block_cache = BlockCache(settings.answer_cache_bytes)
    app.state.access_log = AccessLog(
        _parameters(), as_json=settings.log_format == "json", share=settings.log_sample
    )
    app.state.rates = Rates(settings.rate_limit)
    app.state.roster = Roster()
    app.state.report_rates = Rates(REPORTS_PER_SECOND)
    app.state.recent_answers = RecentAnswers(settings.recent_answers_bytes)
    app.state.sign_in_rates = Rates(SIGN_INS_PER_SECOND)
    app.state.answers_for = names(settings)
    app.state.propose = propose_instead
    app.state.receiving = Budget(settings.max_receiving_bytes, "large bodies", SLOW_BODY)
    app.state.sending = Budget(settings.max_sending_bytes, "large answers", SLOW_ANSWER)
    turns = Turns(settings.max_body_bytes)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Traffic, turns=turns, sending=app.state.sending)
    app.add_middleware(OriginFilter, answers_for=app.state.answers_for)
    if settings.rate_limit:
        app.add_middleware(RateLimit, rates=app.state.rates)
    app.add_middleware(Observer, metrics=app.state.metrics, access_log=app.state.access_log)
    if fast_lane:
        add_fast_lane(app)
    return app


def _parameters() -> set[str]:
    """Return the names of all query parameters that any route takes."""
    return {
        field.alias
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, StrictRoute)
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, Query)
    }


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    settings: Settings = app.state.settings
    store = Store(settings.database, settings.limits, caches=settings.caches)
    app.state.store = store
    store.watcher = app.state.metrics
    app.state.access = _authenticator(app, store)
    app.state.feeds = _feeds(app)
    app.state.holds = Holds(
        store, app.state.block_cache, app.state.settings.max_held_reads, app.state.metrics
    )
    app.state.proofs = Proofs(store, app.state.roster, app.state.metrics)
    app.state.poster = Poster(app.state.settings.networks)
    app.state.hook_sender = HookSender(
        store, app.state.poster, app.state.metrics, app.state.settings.public_url
    )
    app.state.refused = RefusedTokens(store)
    app.state.curve_limiter = anyio.CapacityLimiter(CURVES_AT_ONCE)
    app.state.conversion_limiter = anyio.CapacityLimiter(CONVERSIONS_AT_ONCE)
    app.state.reading_limiter = anyio.CapacityLimiter(READ_AT_ONCE)
    CACHE.resize(app.state.settings.chunk_cache_bytes)
    await anyio.to_thread.run_sync(partial(store.start, anyway=True))
    connections = app.state.connections = _connections(app)
    app.state.sampler = Sampler(app.state, counts=app.state.local is None)
    sampling = asyncio.create_task(app.state.sampler.run())
    looking = asyncio.create_task(connections.keep_looking())
    writing = asyncio.create_task(keep_writing(app.state.roster, store))
    replica = Replica()
    saying = asyncio.create_task(keep_saying(store, replica))
    sending = asyncio.create_task(app.state.hook_sender.keep_sending())
    try:
        yield {ON_SHUTDOWN: partial(_let_go, app), CONNECTIONS: connections}
    finally:
        _let_go(app)
        sampling.cancel()
        looking.cancel()
        writing.cancel()
        saying.cancel()
        await leave(store, replica)
        sending.cancel()
        await app.state.hook_sender.close()
        await app.state.refused.close()
        await write_all(app.state.roster, store)
        app.state.access_log.write()
        await anyio.to_thread.run_sync(store.close)


def _authenticator(app: FastAPI, store: Store) -> Authenticator:
    service: LocalService | None = app.state.local
    own = None if service is None else service.token
    return Authenticator(store if app.state.settings.tokens_required else None, own)


def _let_go(app: FastAPI) -> None:
    """End what would never end by itself, or not for long."""
    app.state.feeds.close()
    app.state.holds.close()


def _feeds(app: FastAPI) -> Feeds:
    settings: Settings = app.state.settings
    share = settings.max_event_streams_per_caller
    return Feeds(app.state.store, settings.max_event_streams, share, app.state.metrics)


def _connections(app: FastAPI) -> Connections:
    state = app.state
    return Connections(
        connections_for(state.settings.max_connections),
        state.receiving,
        Budget(SMALL_BODIES, "small bodies", SLOW_BODY),
        state.sending,
        state.metrics,
    )

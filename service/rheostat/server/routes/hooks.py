"""``/v1/hooks``: who is told of events of runs, and what came of it; for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import Conflict, Forbidden, Invalid, UnknownDelivery, UnknownHook
from rheostat.limits import MAX_STEP, NAME
from rheostat.server.hooks import messages
from rheostat.server.hooks.hook import NewHook
from rheostat.server.hooks.targets import Networks
from rheostat.server.http.access import caller_of, needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.auditing import audited, unaudited
from rheostat.server.http.requests import (
    Cursor,
    Limit,
    SettingsDep,
    StoreDep,
    body_examples,
    cursor_of,
    number_of,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import deliveries
from rheostat.server.store.operations import hooks as operations
from rheostat.server.store.records import now
from rheostat.server.tokens import Role

hooks = router("hooks")

HOOK: wire.Hook = {
    "name": "alerts",
    "url": "https://hooks.slack.com/…",
    "events": ["stopped", "mismatch", "silent"],
    "selector": "team=nlp",
    "format": "slack",
    "secret_set": False,
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "created_by": "ann",
    "disabled_at": None,
    "disabled_why": None,
    "delivered_at": "2026-01-02T08:00:00.000000+00:00",
    "failing_since": None,
    "failures": 0,
    "waiting": 0,
    "dropped": 0,
}
MESSAGE: wire.HookMessage = {
    "type": "run.revised",
    "timestamp": "2026-01-02T08:00:00.000000+00:00",
    "data": {
        "event": "revised",
        "number": 18,
        "run": {"id": "run_1f0c9a3be5d24c77a8e1b20c94", "name": "gpt-7b", "labels": {}},
        "generation": 1,
        "revision": 2,
        "effective": 4096,
        "author": "ann",
        "message": "loss spike",
        "details": {"forced": False, "parameters": ["lr"]},
        "link": "https://rheostat.example.com/runs/run_1f0c9a3be5d24c77a8e1b20c94",
    },
}
DELIVERY: wire.Delivery = {
    "number": 7,
    "id": "msg_5e884898da28047151d0e56f8dc62927",
    "run": "run_1f0c9a3be5d24c77a8e1b20c94",
    "event": "revised",
    "state": "delivered",
    "attempts": 1,
    "created_at": "2026-01-02T08:00:00.000000+00:00",
    "next_at": None,
    "ended_at": "2026-01-02T08:00:00.000000+00:00",
    "status": 204,
    "error": None,
    "body": MESSAGE,
}
ONE = JsonAnswer(wire.Hook, HOOK)
SET = JsonAnswer(wire.SetHook, {**HOOK, "secret": None})
HOOKS = JsonAnswer(wire.HookPage, {"items": [HOOK], "next": None})
DELIVERED = JsonAnswer(wire.Delivery, DELIVERY)
DELIVERIES = JsonAnswer(wire.DeliveryPage, {"items": [DELIVERY], "next": None})
TRIAL = JsonAnswer(
    wire.HookTrial, {"delivered": True, "status": 204, "seconds": 0.12, "error": None}
)
HookName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the hook.", examples=["alerts"])
]
Message = Annotated[int, Path(ge=1, le=MAX_STEP, description="Number of the message.")]


def _networks(settings: SettingsDep) -> Networks:
    return settings.networks


@hooks.put(
    "/v1/hooks/{name}",
    summary="Set a hook",
    responses={
        200: SET.shown("It was there, and is set anew."),
        201: SET.shown("It is a new one."),
    },
    openapi_extra=body_examples(
        signed={"url": "https://example.com/rheostat", "events": ["revised", "finished"]},
        slack={
            "url": "https://hooks.slack.com/services/T0/B0/x",
            "events": ["stopped", "mismatch", "silent"],
            "selector": "team=nlp",
            "format": "slack",
        },
    ),
)
@needs(Role.ADMIN)
@audited("set-hook")
@refuses(Forbidden, Invalid)
async def set_hook(
    name: HookName,
    new: NewHook,
    store: StoreDep,
    networks: Annotated[Networks, Depends(_networks)],
    request: Request,
) -> Response:
    """
    Have somebody told of events of runs, from now on.

    Messages are POSTed, signed as Standard Webhooks 1.0 says, at least once each, and until they
    are answered 2xx within 10 seconds; 410 disables the hook, until it is set again. If a secret is
    made, this answer alone has it.
    """
    made, is_new = await store.write(
        operations.put, name, new.checked(networks), caller_of(request).name
    )
    request.app.state.hook_sender.wake()
    return SET.send(made, 201 if is_new else 200)


@hooks.get("/v1/hooks", summary="List the hooks", responses={200: HOOKS.shown()})
@needs(Role.ADMIN)
@refuses(Forbidden)
async def list_hooks(store: StoreDep, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Return the hooks, by name, and how each does."""
    items, after = await store.read(operations.page, place_of(cursor), limit)
    return HOOKS.send({"items": items, "next": None if after is None else cursor_of(after)})


@hooks.get("/v1/hooks/{name}", summary="Show a hook", responses={200: ONE.shown()})
@needs(Role.ADMIN)
@refuses(Forbidden, UnknownHook)
async def read_hook(name: HookName, store: StoreDep) -> Response:
    """Return a hook, and how it does; never its secret."""
    return ONE.send(await store.read(operations.get, name))


@hooks.delete("/v1/hooks/{name}", summary="Remove a hook", status_code=204)
@needs(Role.ADMIN)
@audited("remove-hook")
@refuses(Forbidden, UnknownHook)
async def remove_hook(name: HookName, store: StoreDep) -> Response:
    """Remove a hook, and all messages to it: what waits is not sent any more."""
    await store.write(operations.remove, name)
    return Response(status_code=204)


@hooks.post("/v1/hooks/{name}/test", summary="Try a hook out", responses={200: TRIAL.shown()})
@needs(Role.ADMIN)
@unaudited("a message is sent, and nothing is written")
@refuses(Forbidden, UnknownHook)
async def try_hook(name: HookName, store: StoreDep, request: Request) -> Response:
    """
    Send a hook a message of the type `hook.test`, once and at once, and say what came of it.

    It is sent to a disabled hook, too, and changes nothing: it is among no deliveries.
    """
    hook = await store.read(operations.require, name)
    address = request.app.state.settings.public_url
    posted = await request.app.state.poster.trial(hook, now(), address)
    return TRIAL.send(posted.to_json())


@hooks.get(
    "/v1/hooks/{name}/deliveries",
    summary="List messages to a hook",
    responses={200: DELIVERIES.shown()},
)
@needs(Role.ADMIN)
@refuses(Forbidden, UnknownHook)
async def list_deliveries(
    name: HookName,
    store: StoreDep,
    settings: SettingsDep,
    state: Annotated[
        wire.DeliveryState | None, Query(description="Only those of which this became.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """
    Return the messages to a hook, the newest first, and what became of each.

    Those that wait are all there, of the others the newest 1,000, for a week.
    """
    items, before = await store.read(deliveries.page, name, state, number_of(cursor), limit)
    shown = [_linked(item, settings.public_url) for item in items]
    following = None if before is None else cursor_of(str(before))
    return DELIVERIES.send({"items": shown, "next": following})


@hooks.post(
    "/v1/hooks/{name}/deliveries/{number}/retry",
    summary="Send a message again",
    responses={200: DELIVERED.shown()},
)
@needs(Role.ADMIN)
@audited("retry-delivery")
@refuses(Forbidden, UnknownHook, UnknownDelivery, Conflict)
async def retry_delivery(
    name: HookName, number: Message, store: StoreDep, settings: SettingsDep, request: Request
) -> Response:
    """Send a message again, at once and under the same id, whatever became of it."""
    found = await store.write(deliveries.retry, name, number)
    request.app.state.hook_sender.wake()
    return DELIVERED.send(_linked(found, settings.public_url))


def _linked(item: wire.Delivery, address: str) -> wire.Delivery:
    return {**item, "body": messages.linked(item["body"], address)}

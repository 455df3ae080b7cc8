"""Whatever JSON answers, nothing but an error of the tree comes out of a client."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.hostile import FACTS

from rheostat import AsyncClient, Client, Run, scale
from rheostat.client import Control, Schedules
from rheostat.client._sync.client import Tokens
from rheostat.client._sync.hooks import Hooks
from rheostat.errors import RheostatError

LINE = {"kind": "constant", "value": 1.0}
TRAPS: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(0, -1, 10**30, 2**53, 1e308, "", "x", "../x", "\ud800", "\x1b[2J", None, True, [], {}),
        *([[]] * 3, {"a": {}}, [None], "2020-01-01T00:00:00Z", "urn:rheostat:problem:finished"),
    ]
)
WORDS = [
    *("items", "next", "segments", "id", "name", "revision", "revisions", "generations", "pending"),
    *("generation", "number", "kind", "event", "settled_until", "parameters", "changes", "type"),
    *("effective", "cancelled", "from", "parent", "status", "detail", "errors", "end", "step"),
    *("created_at", "definition", "values", "steps", "author", "message", "version", "token"),
]
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    TRAPS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=12,
)
FACTS_CHANGED = st.dictionaries(st.sampled_from(sorted(FACTS)), ANYTHING, max_size=2).map(
    lambda changed: {**FACTS, **changed}
)
PAGES = st.lists(st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6), max_size=3).map(
    lambda items: {"items": items, "segments": items}
)
DOCUMENTS = st.one_of(ANYTHING, FACTS_CHANGED, PAGES)
PROBLEMS = st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6).map(
    lambda members: {"type": "urn:rheostat:problem:finished", **members}
)
KINDS = ("application/json", "application/problem+json", "application/octet-stream", "text/html")


@st.composite
def bodies(draw: st.DrawFn) -> tuple[int, bytes, str]:
    """Draw an answer: its status, its body, and the type that it claims."""
    status = draw(st.sampled_from([200, 201, 204, 400, 404, 409, 422, 500, 503]))
    found = draw(DOCUMENTS if status < 300 else st.one_of(PROBLEMS, DOCUMENTS))
    body = json.dumps(found).encode()
    if draw(st.booleans()):
        body = draw(
            st.sampled_from(
                [
                    b"",
                    b"[" * 100_000,
                    b"1" * 5000,
                    b'{"a":NaN}',
                    b"\xff\xfe",
                    b"{" * 3000,
                    body[:-1],
                ]
            )
        )
    return status, body, draw(st.sampled_from(KINDS))


CALLS: dict[str, Callable[[Any], Any]] = {
    "run": lambda c: c.run("gpt"),
    "run, created": lambda c: c.run("gpt", create={"parameters": {"lr": LINE}}),
    "runs": lambda c: c.runs(),
    "create_run": lambda c: c.create_run("gpt", {"lr": LINE}),
    "evaluate": lambda c: c.evaluate(LINE, 3),
    "kinds": lambda c: c.kinds(),
    "kind": lambda c: c.kind("cosine"),
    "schedules.list": lambda c: c.schedules.list(),
    "schedules.get": lambda c: c.schedules.get("s"),
    "schedules.put": lambda c: c.schedules.put("s", LINE),
    "schedules.delete": lambda c: c.schedules.delete("s"),
    "schedules.values": lambda c: c.schedules.values("s"),
    "schedules.value": lambda c: c.schedules.value("s", 3),
    "tokens.list": lambda c: c.tokens.list(),
    "tokens.create": lambda c: c.tokens.create("ann", "viewer"),
    "tokens.revoke": lambda c: c.tokens.revoke("ann"),
    "hooks.list": lambda c: c.hooks.list(),
    "hooks.get": lambda c: c.hooks.get("a"),
    "hooks.set": lambda c: c.hooks.set("a", "https://example.com/x", ["revised"]),
    "hooks.remove": lambda c: c.hooks.remove("a"),
    "hooks.test": lambda c: c.hooks.test("a"),
    "hooks.deliveries": lambda c: c.hooks.deliveries("a"),
    "hooks.retry": lambda c: c.hooks.retry("a", 1),
    "control.show": lambda c: c.control("gpt").show(),
    "control.change": lambda c: c.control("gpt").change({"lr": scale(0.5)}),
    "control.history": lambda c: c.control("gpt").history(),
    "control.revision": lambda c: c.control("gpt").revision(2),
    "control.advance": lambda c: c.control("gpt").advance(200),
    "control.extend_total": lambda c: c.control("gpt").extend_total(2000),
    "control.cancel": lambda c: c.control("gpt").cancel(2),
    "control.undo": lambda c: c.control("gpt").undo(),
    "control.rewind": lambda c: c.control("gpt").rewind(3),
    "control.checkpoints": lambda c: c.control("gpt").checkpoints(),
    "control.fork": lambda c: c.control("gpt").fork("b"),
    "control.events": lambda c: c.control("gpt").events(),
    "control.plan": lambda c: c.control("gpt").plan(),
    "control.plot": lambda c: c.control("gpt").plot(),
    "control.export": lambda c: c.control("gpt").export(os.devnull),
    "import_run": lambda c: c.import_run({}, name="gpt"),
    "control.explain": lambda c: c.control("gpt").explain(3),
    "control.preview": lambda c: c.control("gpt").preview(3, 1),
    "control.value_at": lambda c: c.control("gpt").value_at("lr", 3),
    "control.values_at": lambda c: c.control("gpt").values_at(3),
    "control.ledger": lambda c: c.control("gpt").ledger(),
    "control.workers": lambda c: c.control("gpt").workers(),
    "control.mismatches": lambda c: c.control("gpt").mismatches(),
    "control.finish": lambda c: c.control("gpt").finish(),
    "control.delete": lambda c: c.control("gpt").delete(),
    "simulate": lambda c: c.simulate({"kind": "stop", "metric": "loss"}, [(0, 1.0)]),
    "control.stop": lambda c: c.control("gpt").stop(),
    "control.pause": lambda c: c.control("gpt").pause(),
    "control.resume": lambda c: c.control("gpt").resume(),
    "control.signal": lambda c: c.control("gpt").signal("checkpoint"),
    "control.note": lambda c: c.control("gpt").note("hm"),
    "control.surface": lambda c: c.control("gpt").surface(),
    "control.outcomes": lambda c: c.control("gpt").outcomes(2),
    "control.wait": lambda c: c.control("gpt").wait(2, timeout=0),
    "control.controllers": lambda c: c.control("gpt").controllers(),
    "control.controller": lambda c: c.control("gpt").controller("p"),
    "control.arm": lambda c: c.control("gpt").arm("p", {"kind": "stop", "metric": "loss"}),
    "control.disarm": lambda c: c.control("gpt").disarm("p"),
    "control.reset": lambda c: c.control("gpt").reset("p"),
    "control.decisions": lambda c: c.control("gpt").decisions("p"),
    "control.brief": lambda c: c.control("gpt").brief(),
    "control.allowances": lambda c: c.control("gpt").allowances(),
    "control.wait_until": lambda c: c.control("gpt").wait_until("end", timeout=0),
    "access": lambda c: c.access(),
    "audit": lambda c: c.audit(),
    "purge": lambda c: c.purge("runs", "90d"),
    "change_runs": lambda c: c.change_runs("team=nlp", {"lr": scale(0.5)}),
    "controller_kinds": lambda c: c.controller_kinds(),
    "control.protect": lambda c: c.control("gpt").protect([]),
    "control.unprotect": lambda c: c.control("gpt").unprotect(),
    "control.reports": lambda c: c.control("gpt").reports("loss"),
    "control.proposals": lambda c: c.control("gpt").proposals(),
    "control.propose": lambda c: c.control("gpt").propose("stop", {}),
    "control.accept": lambda c: c.control("gpt").accept(1),
    "control.decline": lambda c: c.control("gpt").decline(1),
}
OPTIONS = {"deadline": 0.02, "timeout": 1.0, "retries": 0}
often = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))


def every_call() -> set[str]:
    """Return the names of the calls that a client has."""
    parts = {"": Client, "schedules.": Schedules, "tokens.": Tokens, "control.": Control}
    parts |= {"hooks.": Hooks}
    return {
        prefix + name
        for prefix, cls in parts.items()
        for name, _ in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_call_is_tried() -> None:
    """A call that is added is tried with random answers, too."""
    assert every_call() - {"control", "close"} <= set(CALLS)


def answering(answer: tuple[int, bytes, str]) -> httpx.MockTransport:
    """Return a transport that answers everything alike."""
    status, body, kind = answer
    headers = {"Content-Type": kind}
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, content=body))


@pytest.mark.parametrize("name", CALLS)
@given(answer=bodies())
@often
def test_nothing_but_our_errors(name: str, answer: tuple[int, bytes, str]) -> None:
    """P10: whatever is answered to whichever call, it returns or raises an error of the tree."""
    client = Client("http://test", transport=answering(answer), **OPTIONS)  # type: ignore[arg-type]
    with client, contextlib.suppress(RheostatError):
        found = CALLS[name](client)
        if isinstance(found, Iterator):
            list(found)
        if isinstance(found, Run):
            found.value("lr", 0)


@pytest.mark.parametrize("name", CALLS)
@given(answer=bodies())
@often
def test_nothing_but_our_errors_with_asyncio(name: str, answer: tuple[int, bytes, str]) -> None:
    """P10: the same for the other client."""

    async def main() -> None:
        transport = answering(answer)
        async with AsyncClient("http://test", transport=transport, **OPTIONS) as client:  # type: ignore[arg-type]
            with contextlib.suppress(RheostatError):
                found = CALLS[name](client)
                if isinstance(found, AsyncIterator):
                    async for _ in found:
                        pass
                elif isinstance(found, Awaitable):
                    await found

    asyncio.run(main())


@given(data=st.lists(ANYTHING, max_size=4))
@often
def test_nothing_but_our_errors_of_a_stream(data: list[Any]) -> None:
    """P10: events may hold whatever JSON can say."""
    body = "".join(f"event: revised\ndata: {json.dumps(item)}\n\n" for item in data).encode()
    answer = (200, body, "text/event-stream")
    client = Client("http://test", transport=answering(answer), **OPTIONS)  # type: ignore[arg-type]
    with client, contextlib.suppress(RheostatError):
        list(client.control("gpt").events())

"""Each caller has a share: of event streams, of what is remembered, and of what is stored."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import open_tokens
from tests.hostile.conftest import ENDED, Inside, Start, until
from tests.hostile.test_connections import GET

from rheostat.errors import Unauthenticated, Unavailable
from rheostat.server.http import access
from rheostat.server.http.access import Authenticator
from rheostat.server.settings import Settings
from rheostat.server.store import Store

RUN = {"parameters": {"lr": {"kind": "constant", "value": 1}}}


def secrets_of(folder: Path, **roles: str) -> dict[str, str]:
    """Make tokens by their names and roles."""
    with open_tokens(f"sqlite:///{folder / 'x.db'}") as tokens:
        return {name: tokens.create(name, role)["token"] for name, role in roles.items()}


def follow(server: Inside, secret: str | None) -> bytes:
    """Return the request for the events of a run."""
    line = b"" if secret is None else f"Authorization: Bearer {secret}\r\n".encode()
    return GET.replace(b"/livez", b"/v1/runs/a/events") + line + b"\r\n"


def test_one_token_has_a_share_of_the_streams(start: Start, tmp_path: Path) -> None:
    """P13: whoever takes all streams that one may have is told so, and others get theirs."""
    secrets = secrets_of(tmp_path, ann="viewer", bob="operator")
    server = start(auth=True, max_event_streams_per_caller=3)
    bob = {"Authorization": f"Bearer {secrets['bob']}"}
    assert server.ask("PUT", "/v1/runs/a", RUN, **bob).status == 201
    with ExitStack() as stack:
        for _ in range(3):
            stream = stack.enter_context(server.connect(follow(server, secrets["ann"])))
            assert stream.recv(100).startswith(b"HTTP/1.1 200")
        refused = server.ask("GET", "/v1/runs/a/events", Authorization=f"Bearer {secrets['ann']}")
        assert (refused.status, refused.problem["limit"]) == (429, 3)
        assert "the token ann" in refused.problem["detail"]
        other = stack.enter_context(server.connect(follow(server, secrets["bob"])))
        assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_one_address_has_a_share_where_there_are_no_tokens(start: Start) -> None:
    """P13: without tokens, streams of one address are counted together, and come back."""
    server = start(max_event_streams_per_caller=2)
    assert server.ask("PUT", "/v1/runs/a", RUN).status == 201
    with ExitStack() as stack:
        for _ in range(2):
            stream = stack.enter_context(server.connect(follow(server, None)))
            assert stream.recv(100).startswith(b"HTTP/1.1 200")
        refused = server.ask("GET", "/v1/runs/a/events")
        assert (refused.status, refused.problem["limit"]) == (429, 2)
        assert "the address 127.0.0.1" in refused.problem["detail"]
    for _ in range(100):
        with server.connect(follow(server, None)) as stream:
            if stream.recv(100).startswith(b"HTTP/1.1 200"):
                return
    pytest.fail("the places were not given back")


def test_a_worker_stores_no_more_than_its_share(start: Start, tmp_path: Path) -> None:
    """P13: runs of one worker's token have bounded bytes; a deletion makes room; others go on."""
    secrets = secrets_of(tmp_path, ann="worker", eve="worker", bob="operator")
    server = start(auth=True, max_stored_bytes=200_000)
    heads = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
    long = {"parameters": {"lr": {"kind": "table", "values": [0.5 + i for i in range(5_000)]}}}
    created = 0
    while (answer := server.ask("PUT", f"/v1/runs/r{created}", long, **heads["ann"])).status == 201:
        created += 1
        assert created < 10
    assert 1 <= created <= 3
    assert answer.status == 422
    (wrong,) = answer.problem["errors"]
    assert (wrong["field"], wrong["bound"]) == ("parameters", "<= 200000 bytes")
    assert wrong["value"] > 200_000
    assert server.ask("PUT", "/v1/runs/r0", long, **heads["ann"]).status == 200  # it is there
    assert server.ask("PUT", "/v1/runs/small", RUN, **heads["ann"]).status == 201
    assert server.ask("PUT", "/v1/runs/eves", long, **heads["eve"]).status == 201
    for number in range(5):
        assert server.ask("PUT", f"/v1/runs/bobs{number}", long, **heads["bob"]).status == 201
    assert server.ask("DELETE", "/v1/runs/r0", **heads["bob"]).status == 204
    assert server.ask("PUT", "/v1/runs/again", long, **heads["ann"]).status == 201


def test_a_worker_has_no_more_runs_under_way_than_its_share(start: Start, tmp_path: Path) -> None:
    """P13: as many runs of one token are not finished as may be; finishing one makes room."""
    secrets = secrets_of(tmp_path, ann="worker", eve="worker", bob="operator")
    server = start(auth=True, max_live_runs=2)
    heads = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
    for number in range(2):
        assert server.ask("PUT", f"/v1/runs/r{number}", RUN, **heads["ann"]).status == 201
    refused = server.ask("PUT", "/v1/runs/r2", RUN, **heads["ann"])
    assert (refused.status, refused.problem["limit"]) == (409, 2)
    assert refused.problem["errors"][0]["bound"] == "<= 2 runs"
    assert server.ask("PUT", "/v1/runs/r1", RUN, **heads["ann"]).status == 200  # it is there
    assert server.ask("PUT", "/v1/runs/eves", RUN, **heads["eve"]).status == 201
    assert server.ask("POST", "/v1/runs/r0/finish", {}, **heads["bob"]).status == 200
    assert server.ask("PUT", "/v1/runs/r2", RUN, **heads["ann"]).status == 201


class Counting(Store):
    """A store that counts what it is asked, and can be held up."""

    reads = 0
    away = False

    async def quick_read(self, *args: Any, **kwargs: Any) -> Any:
        """Count, wait a little, and read."""
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.away:
            raise Unavailable("away")
        return await super().quick_read(*args, **kwargs)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Return a store that counts."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'x.db'}")
    opened = Counting(settings.database, settings.limits)
    opened.start()
    yield opened
    opened.close()


def scope(header: str) -> dict[str, Any]:
    """Return a request with an Authorization header."""
    return {"headers": [(b"authorization", header.encode())]}


def unknown(number: int) -> dict[str, Any]:
    """Return a request with a token that nobody has."""
    return scope(f"Bearer rheo_{number:040x}")


def test_a_token_is_one_entry_however_it_is_written(store: Counting, tmp_path: Path) -> None:
    """P13: spaces and capitals in a header make no further entry, and none that is larger."""
    secret = secrets_of(tmp_path, ann="viewer")["ann"]
    asked = Authenticator(store)

    async def ask() -> None:
        for spaces in range(1, 200):
            for word in ("Bearer", "bearer", "BEARER"):
                header = f"{word}{' ' * spaces}{secret}{' ' * (spaces % 3)}"
                assert (await asked.caller(scope(header))).name == "ann"

    asyncio.run(ask())
    assert list(asked._known) == [f"Bearer {secret}".encode()]
    assert store.reads == 1


def test_unknown_tokens_are_one_question_at_a_time(store: Counting, tmp_path: Path) -> None:
    """P13: a thousand unknown tokens are few questions, and who has one waits for two at most."""
    secret = secrets_of(tmp_path, ann="viewer")["ann"]
    asked = Authenticator(store)

    async def ask() -> list[Any]:
        guesses = [asyncio.create_task(asked.caller(unknown(n))) for n in range(1000)]
        await asyncio.sleep(0)
        assert (await asked.caller(scope(f"Bearer {secret}"))).name == "ann"
        return await asyncio.gather(*guesses, return_exceptions=True)

    found = asyncio.run(ask())
    assert {type(each) for each in found} == {Unauthenticated}
    assert store.reads <= 10
    assert list(asked._known) == [f"Bearer {secret}".encode()]


def test_a_question_that_fails_is_asked_again(store: Counting, tmp_path: Path) -> None:
    """P9: all whose tokens were asked about learn that the database is away, and may return."""
    secret = secrets_of(tmp_path, ann="viewer")["ann"]
    asked = Authenticator(store)

    async def ask() -> list[Any]:
        tasks = [asked.caller(scope(f"Bearer {secret}")), asked.caller(unknown(1))]
        return await asyncio.gather(*tasks, return_exceptions=True)

    store.away = True
    assert {type(each) for each in asyncio.run(ask())} == {Unavailable}
    store.away = False
    ann, nobody = asyncio.run(ask())
    assert ann.name == "ann"
    assert type(nobody) is Unauthenticated


def test_tokens_that_are_no_longer_believed_are_dropped(
    store: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: what is remembered is what was used of late, and never more than the limit."""
    secrets = secrets_of(tmp_path, **{f"t{number}": "viewer" for number in range(8)})
    monkeypatch.setattr(access, "MOST", 4)
    asked = Authenticator(store)

    async def ask(names: list[str]) -> None:
        for name in names:
            await asked.caller(scope(f"Bearer {secrets[name]}"))

    asyncio.run(ask(sorted(secrets)))
    assert [known.caller.name for known in asked._known.values()] == ["t4", "t5", "t6", "t7"]
    monkeypatch.setattr(access, "TRUSTED", -1.0)
    asked = Authenticator(store)
    asyncio.run(ask(sorted(secrets)))
    assert len(asked._known) == 1


def test_the_streams_that_one_has_are_a_setting() -> None:
    """A deployment whose readers share one address can raise the share, up to all streams."""
    assert Settings().max_event_streams_per_caller < Settings().max_event_streams
    assert Settings(max_event_streams_per_caller=1000).max_event_streams_per_caller == 1000


def test_a_stream_that_is_not_read_is_cut_off(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: events that a listener does not take are not kept for it: its stream ends."""
    monkeypatch.setattr("rheostat.server.http.connections.GRACE", 0.5)
    monkeypatch.setattr("rheostat.server.http.connections.LOOK_EVERY", 0.1)
    server = start()
    assert server.ask("PUT", "/v1/runs/a", RUN).status == 201
    for number in range(2, 102):
        change = {"changes": {"lr": {"kind": "constant", "value": number}}, "message": "x" * 4000}
        assert server.ask("POST", "/v1/runs/a/revisions", change).status == 201
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(server.connect(follow(server, None), SO_RCVBUF=4096))
        until(lambda: server.figure(ENDED % "an answer was not taken") == 5)
    until(lambda: server.figure("rheostat_event_streams") == 0)

"""Clients with tokens, against a real server that requires them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rheostat import AsyncClient, Client
from rheostat.errors import Forbidden, Invalid, NameTaken, Unauthenticated, UnknownToken

SPEC = {"parameters": {"lr": {"kind": "linear", "start": 1, "end": 0, "steps": 8}}}


def test_a_worker_trains_with_its_token(guarded: Any, new_name: Callable[[], str]) -> None:
    """A worker's token makes a run and reads it; a viewer's is refused at once, without retries."""
    name = new_name()
    with Client(guarded.url, token=guarded.secrets["worker"]) as client:
        run = client.run(name, create=SPEC)
        assert [run.value("lr", step) for step in (0, 2, 4)] == [1.0, 0.75, 0.5]
        with pytest.raises(Forbidden) as refusal:
            client.control(name).change({"lr": {"edit": "scale", "factor": 0.5}})
    assert refusal.value.members["role"] == "operator"
    with (
        Client(guarded.url, token=guarded.secrets["viewer"]) as client,
        pytest.raises(Forbidden, match="worker"),
    ):
        client.run(name)


def test_the_token_may_come_from_the_environment(
    guarded: Any, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`RHEOSTAT_TOKEN` is used where no token is given, by both clients."""
    monkeypatch.setenv("RHEOSTAT_TOKEN", guarded.secrets["worker"])
    name = new_name()

    async def read() -> float:
        async with AsyncClient(guarded.url) as client:
            run = await client.run(name, create=SPEC)
            return float(await run.value("lr", 4))

    assert asyncio.run(read()) == 0.5
    with Client(guarded.url) as client:
        assert client.run(name).value("lr", 4) == 0.5
    with Client(guarded.url, token=guarded.secrets["admin"]) as client:
        assert client.tokens.list()  # the argument goes before the environment


def test_without_a_token_both_clients_raise(guarded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 401 is raised, not repeated: waiting makes no token good."""
    monkeypatch.delenv("RHEOSTAT_TOKEN", raising=False)

    async def read() -> None:
        async with AsyncClient(guarded.url) as client:
            await client.run("gpt")

    with pytest.raises(Unauthenticated):
        asyncio.run(read())
    with Client(guarded.url) as client, pytest.raises(Unauthenticated):
        client.run("gpt")


def test_admins_manage_tokens(guarded: Any, new_name: Callable[[], str]) -> None:
    """What is made works, what is revoked is gone, and a name is in use once."""
    name = new_name()
    with Client(guarded.url, token=guarded.secrets["admin"]) as client:
        made = client.tokens.create(name, "viewer", expires_at="2999-01-01T00:00:00Z")
        with Client(guarded.url, token=made["token"]) as viewer:
            assert isinstance(viewer.runs(), list)
        with pytest.raises(NameTaken):
            client.tokens.create(name, "viewer")
        client.tokens.revoke(name)
        with pytest.raises(UnknownToken):
            client.tokens.revoke(name)
        (item,) = [item for item in client.tokens.list() if item["name"] == name]
    assert item["revoked_at"]


@pytest.mark.parametrize("token", ["rheo_x\n", "rheo_\x00", "schlüssel", b"rheo_x", 5])
def test_a_token_that_no_header_can_carry_is_refused(token: Any) -> None:
    """P10: a token with a line break, as files have at their end, is named before it is sent."""
    with (
        Client("http://127.0.0.1:1", token=token, retries=0) as client,
        pytest.raises(Invalid) as refusal,
    ):
        client.kinds()
    (error,) = refusal.value.errors
    assert (error.field, error.value) == ("token", None)


def test_a_client_does_not_show_its_token() -> None:
    """What is logged of a client has no secret in it."""
    with Client("http://127.0.0.1:1", token="rheo_hidden") as client:  # noqa: S106
        assert "rheo_hidden" not in repr(client.settings)

"""The blocking client is the asynchronous one, but for what waits."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from rheostat.client import unasync
from rheostat.client._async import network as awaiting
from rheostat.client._sync import network as blocking


def test_the_blocking_client_is_up_to_date() -> None:
    """`python service/rheostat/client/unasync.py` would write nothing that is not there."""
    folder = unasync.HERE / "_sync"
    found = {path: path.read_text() for path in folder.glob("*.py")}
    by_hand = found.pop(folder / unasync.BY_HAND)

    assert "async" not in by_hand.replace("asyncio", "").replace("Async", "").replace("_async", "")
    made = unasync.made()
    stale = [path.name for path in sorted({*found, *made}) if found.get(path) != made.get(path)]
    assert not stale, f"client/_sync: {stale} are not made of client/_async; run `make format`"


def test_what_cannot_be_made_blocking_is_refused() -> None:
    """A word of asyncio that nothing replaces is an error, and no file."""
    with pytest.raises(ValueError, match="'await'"):
        unasync.blocking("run.py", "x = [await\n it for it in them]\n")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (blocking.Network, awaiting.AsyncNetwork),
        (blocking.Stream, awaiting.AsyncStream),
        (blocking.Background, awaiting.AsyncBackground),
    ],
)
def test_both_clients_wait_with_the_same_methods(ours: type[Any], theirs: type[Any]) -> None:
    """What the calls use of the network is there for both, with the same arguments."""
    for name in USED[ours]:
        other = {"close": "aclose"}.get(name, name) if ours is blocking.Stream else name
        assert arguments(ours, name) == arguments(theirs, other), name


USED: dict[type[Any], tuple[str, ...]] = {
    blocking.Network: ("send", "sleep", "stream", "lock", "background", "close"),
    blocking.Stream: ("open", "more", "close"),
    blocking.Background: ("do",),
}


def arguments(cls: type[Any], name: str) -> list[str]:
    return list(inspect.signature(getattr(cls, name)).parameters)

"""Runs with much to do: nobody else waits for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import event

from rheostat.errors import Invalid, UnknownRevision
from rheostat.server.runs import folding
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import explain, fork, revise, rewind
from rheostat.server.store.store import READERS

MANY = [f"p{index}" for index in range(200)]
ALL = {name: [{"edit": "scale", "factor": 0.5}] * 6 for name in MANY}
BODY = {
    "name": "gpt",
    "parameters": {name: {"kind": "constant", "value": 64} for name in MANY},
    "guards": {"p0": {"min": 0.5}},
}


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the threads that fold from now on."""
    names: list[str] = []
    apply = folding._apply

    def noted(*arguments: Any) -> Any:
        names.append(threading.current_thread().name)
        return apply(*arguments)

    monkeypatch.setattr(folding, "_apply", noted)
    return names


def test_explaining_many_revisions_asks_no_more_than_explaining_one(desk: Any) -> None:
    """P13: the statements of an explanation do not grow with the revisions behind its values."""
    counts = []
    desk.create(**BODY)
    statements: list[str] = []
    event.listen(
        desk.store._database.engine,
        "before_cursor_execute",
        lambda *execution: statements.append(execution[2]),
    )

    def explained() -> tuple[int, Any]:
        statements.clear()
        found = desk.read(explain.explain, "gpt", 5)["parameters"]
        return len(statements), found

    for changed in (MANY[:1], MANY[1:9]):
        for name in changed:
            desk.revise({name: {"edit": "scale", "factor": 0.5}}, 0)
        explained()  # what it follows is in the caches then
        # the least of three: the store asks things of its own meanwhile
        least, found = min((explained() for _ in range(3)), key=lambda each: each[0])
        counts.append(least)
    assert [found[name]["revision"] for name in MANY[:10]] == [*range(2, 11), 1]
    assert counts[0] == counts[1]


def test_large_changes_are_folded_outside_of_the_writer(desk: Any, folders: list[str]) -> None:
    """P5, P13: no run waits while hundreds of changes are folded, pending ones among them."""
    desk.create(**BODY)
    first = desk.revise(ALL, 10)
    desk.revise({"p1": {"edit": "scale", "factor": 0.5}})  # folds the pending one again
    desk.write(revise.cancel, "gpt", first["revision"] + 1, None, Note())
    desk.write(rewind.rewind, "gpt", rewind.RewindRequest(0, changes=ALL))
    desk.write(
        fork.fork, {"name": "decay", "from": {"run": "gpt"}, "changes": ALL, "force": True}, Note()
    )
    assert folders
    assert not [name for name in folders if name.startswith("rheostat-writer")]
    values = {
        run: desk.read(explain.explain, run, 10)["parameters"]["p1"]["value"]
        for run in ("gpt", "decay")
    }
    assert values == {"gpt": 1.0, "decay": 1 / 64}


def test_large_changes_are_refused_and_reverted_as_small_ones_are(desk: Any) -> None:
    """P10: a guard that one of many changes breaks is named, and what revert brings back is old."""
    desk.create(**BODY)
    desk.revise(ALL, 10)  # to 1
    with pytest.raises(Invalid) as refusal:
        desk.revise(ALL, 20)  # to 1 / 64
    assert "p0" in refusal.value.errors[0].field
    desk.revise({name: {"edit": "revert", "to": 1} for name in MANY}, 20)
    found = desk.read(explain.explain, "gpt", 20)["parameters"]
    assert {item["value"] for item in found.values()} == {64.0}
    with pytest.raises(UnknownRevision) as unknown:
        desk.revise({**ALL, "p3": {"edit": "revert", "to": 99}}, 30)
    assert "99" in str(unknown.value)


def test_a_glance_does_not_wait_behind_long_reads(desk: Any) -> None:
    """P13: tokens are looked up while every thread that reads is busy."""
    go = threading.Event()

    async def all_busy() -> int:
        long = [
            asyncio.ensure_future(desk.store.read(lambda _: go.wait(30))) for _ in range(READERS)
        ]
        try:
            return await asyncio.wait_for(desk.store.quick_read(lambda _: 1), 10)
        finally:
            go.set()
            await asyncio.gather(*long)

    assert asyncio.run(all_busy()) == 1

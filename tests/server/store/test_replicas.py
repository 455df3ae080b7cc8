"""Two releases on one database: neither is confronted with what it does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from rheostat.errors import Unavailable
from rheostat.server.app import create_app
from rheostat.server.runs import revision
from rheostat.server.runs.revision import FIRST, SINCE, Note, RevisionKind
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.settings import Settings
from rheostat.server.store import migrate, replicas
from rheostat.server.store.operations import (
    events,
    fork,
    note,
    overviews,
    served,
    show,
    stop,
    values,
)
from rheostat.server.store.operations.note import NoteRequest
from rheostat.server.store.operations.stop import StopRequest
from rheostat.server.store.replicas import Replica
from rheostat.server.store.run_lists import WantedRuns

NEXT = "9000"
LEFT = NoteRequest(Note("ann", "seen"))


@pytest.fixture
def next_release(
    desk: Any,  # of a database that this release has made
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[pytest.MonkeyPatch]:
    """Make this the next release, which brings notes."""
    with monkeypatch.context() as patch:
        patch.setitem(SINCE, RevisionKind.NOTE, NEXT)
        patch.setattr(migrate, "HEAD", NEXT)
        yield patch


def seen(desk: Any) -> list[tuple[str, str]]:
    """Return which replicas are written down."""

    def read(records: Any) -> list[tuple[str, str]]:
        rows = records.connection.execute(text("SELECT id, schema FROM replicas ORDER BY id"))
        return [tuple(row) for row in rows]

    return list(desk.read(read))


def aged(desk: Any, replica: Replica, when: str) -> None:
    """Have a replica been seen last at a time."""
    statement = text("UPDATE replicas SET seen_at = :when WHERE id = :id")
    where = {"when": when, "id": replica.id}
    desk.write(lambda records: records.connection.execute(statement, where))


def test_replicas_say_that_they_live_and_leave(desk: Any) -> None:
    """P9: each has one row, whatever it says; one that was killed is forgotten after a day."""
    one, two = Replica(id="one"), Replica(id="two")
    for replica in (one, two, one):
        desk.write(replicas.say, replica)
    assert seen(desk) == [("one", migrate.HEAD), ("two", migrate.HEAD)]
    desk.write(replicas.leave, two)
    aged(desk, one, "2000-01-01T00:00:00.000000+00:00")
    desk.write(replicas.say, Replica(id="three"))
    assert seen(desk) == [("three", migrate.HEAD)]


def test_every_kind_says_which_schema_brought_it() -> None:
    """P9: whoever adds a kind of revision says since when it is known."""
    assert SINCE.keys() == {*RevisionKind}
    assert all(FIRST <= since <= migrate.HEAD for since in SINCE.values())
    assert revision.FIRST == "0009"


@pytest.mark.usefixtures("next_release")
def test_a_new_kind_waits_until_no_older_release_serves(desk: Any) -> None:
    """P1, P9: an older release would settle past what it does not know, in silence."""
    desk.create()
    older = Replica(release="1.2.3", schema="0009", id="older")
    desk.write(replicas.say, older)
    desk.write(replicas.say, Replica(schema=NEXT))
    with pytest.raises(Unavailable, match=r"release 1\.2\.3 still serves .* knows no note") as no:
        desk.write(note.leave, "gpt", LEFT)
    assert no.value.members["reason"] == "schema"
    assert desk.read(show.show, "gpt")["revision"] == 1
    desk.revise({"lr": {"edit": "scale", "factor": 0.5}})  # what all of them know goes on

    aged(desk, older, "2000-01-01T00:00:00.000000+00:00")
    assert desk.write(note.leave, "gpt", LEFT)["revision"] == 3


def test_an_older_release_serves_what_is_settled_alone(
    desk: Any, next_release: pytest.MonkeyPatch
) -> None:
    """P1, P9: it says nothing of what lies ahead of a kind that it does not know."""
    run_id = desk.create()
    settled = desk.settle(run_id, 0, 8)
    desk.write(note.leave, "gpt", LEFT)
    desk.write(fork.fork, {"name": "branch", "from": {"run": "gpt", "step": 4}}, Note("ann"))
    next_release.undo()
    desk.restart()

    assert desk.settle(run_id, 0, 8) == settled
    assert desk.settle(run_id, 4, 4) == [column[4:] for column in settled]
    block = desk.read(values.preview, "gpt", BlockRequest(1, 0, 8))
    assert [list(column) for column in block.values] == settled
    assert desk.read(served.served, "gpt", None, 0, None)[0]["segments"]
    rows, _ = desk.read(overviews.overviews, WantedRuns(limit=10))
    assert [row["curve"] for row in rows] == [None, None]
    assert desk.read(events.news, {run_id: 0, desk_id(desk, "branch"): 0}) == {
        run_id: None,
        desk_id(desk, "branch"): [],
    }
    for ref in ("gpt", "branch"):
        run_id = desk_id(desk, ref)
        refused: list[Callable[[], Any]] = [
            partial(desk.settle, run_id, 4, 8),
            partial(desk.read, values.preview, ref, BlockRequest(1, 4, 8)),
            partial(desk.read, show.show, ref),
            partial(desk.write, stop.stop, ref, StopRequest()),
            partial(desk.join, ref),
        ]
        for asked in refused:
            with pytest.raises(Unavailable, match="a newer release") as refusal:
                asked()
            assert refusal.value.members["reason"] == "schema"


def desk_id(desk: Any, name: str) -> str:
    """Return the id of a run."""
    query = text("SELECT id FROM runs WHERE name = :name")
    return str(desk.read(lambda r: r.connection.execute(query, {"name": name}).scalar_one()))


def test_a_server_has_a_row_while_it_lives(database: str, desk_at: Any) -> None:
    """P9: from its start to its end, and whoever looks finds which release it is."""
    desk = desk_at(database)
    with TestClient(create_app(Settings(database=database))):
        while not (found := seen(desk)):
            pass  # it is written beside what is served
    assert [schema for _, schema in found] == [migrate.HEAD]
    assert seen(desk) == []
    desk.store.close()

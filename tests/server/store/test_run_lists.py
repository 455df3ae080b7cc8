"""Lists of runs: filtered, sorted, and read page by page while runs come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import update

from rheostat import wire
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import Selector
from rheostat.server.store import tables
from rheostat.server.store.acting import Acting
from rheostat.server.store.operations import create, workers
from rheostat.server.store.run_lists import WantedRuns

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

RUNS = {
    "b": ("2026-01-03", None, "ann"),
    "A": ("2026-01-01", "2026-02-02", "bob"),
    "c_1": ("2026-01-02", None, None),
    "d%1": ("2026-01-02", "2026-02-01", "ann"),
    "e": ("2026-01-02", "2026-02-01", "bob"),
}
"""Runs by name: when they were created and finished, and by whom."""


def make(desk: Desk, name: str, created: str, finished: str | None, author: str | None) -> None:
    """Make a run, as of some day."""
    spelt = name.replace("%", "-")
    body = {"name": spelt, "parameters": {"lr": 1}, "labels": {"of": author or "nobody"}}
    desk.write(create.create, body, Note(author))

    def dated(records: Any) -> None:
        values: dict[str, Any] = {"created_at": created, "finished_at": finished}
        where = tables.runs.c.name == spelt
        records.connection.execute(update(tables.runs).where(where).values(**values))

    desk.write(dated)


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """Return a database with the runs."""
    for name, row in RUNS.items():
        make(desk, name, *row)
    return desk


def listed(desk: Desk, **wanted: Any) -> list[str]:
    """Return the names of a whole list, two to a page."""
    names: list[str] = []
    after = ""
    while True:
        found, following = desk.read(workers.runs, WantedRuns(limit=2, after=after, **wanted))
        names += [item["name"] for item in found]
        if following is None:
            return names
        after = following


def key(sort: str, name: str) -> Any:
    """Return what a run is sorted by, and then by its name."""
    created, finished, author = RUNS[name]
    found = {"name": name, "created": created, "finished": finished or "", "author": author or ""}
    return found[sort], name.replace("%", "-")


@pytest.mark.parametrize("sort", get_args(wire.RunSort))
@pytest.mark.parametrize("descending", [False, True])
def test_a_list_is_sorted_whatever_its_pages(filled: Desk, sort: Any, *, descending: bool) -> None:
    """Pages of one order are one list, each run once: what is equal comes by name."""
    expected = sorted(RUNS, key=lambda name: key(sort, name), reverse=descending)
    found = listed(filled, sort=sort, descending=descending)
    assert sorted(found) == sorted(name.replace("%", "-") for name in RUNS)
    if sort != "name":  # how names are ordered is the database's own affair
        place = {name.replace("%", "-"): key(sort, name)[0] for name in RUNS}
        assert [place[name] for name in found] == [key(sort, name)[0] for name in expected]


def test_a_place_stays_while_runs_come_and_go(filled: Desk) -> None:
    """A page goes on after the run where the one before ended, though there are others by then."""
    wanted: dict[str, Any] = {"sort": "created", "limit": 2}
    first, after = filled.read(workers.runs, WantedRuns(**wanted))
    make(filled, "a-new-first", "2025-01-01", None, "ann")
    rest, _ = filled.read(workers.runs, WantedRuns(**wanted, after=after or ""))
    assert [item["name"] for item in first] == ["A", "c_1"]
    assert [item["name"] for item in rest] == ["d-1", "e"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"name": "_1"}, ["c_1"]),
        ({"name": "a"}, ["A"]),
        ({"name": "%"}, []),
        ({"prefix": "a"}, []),
        ({"author": "ann"}, ["b", "d-1"]),
        ({"author": "nobody"}, []),
        ({"created_after": "2026-01-02", "created_before": "2026-01-03"}, ["c_1", "d-1", "e"]),
        ({"selector": Selector.parse("of in (bob,nobody)"), "author": "bob"}, ["A", "e"]),
    ],
)
def test_a_list_is_narrowed(filled: Desk, wanted: dict[str, Any], found: list[str]) -> None:
    """Runs are listed of which all that is asked for holds; no sign stands for others."""
    assert sorted(listed(filled, **wanted)) == sorted(found)


@pytest.mark.parametrize("other", [{"sort": "author"}, {"descending": True}, {}])
def test_a_place_is_of_its_order(filled: Desk, other: dict[str, Any]) -> None:
    """P10: a place of one order is none in another, and what is none is no list."""
    _, after = filled.read(workers.runs, WantedRuns(sort="created", limit=1))
    wanted: dict[str, Any] = {"after": after}
    if other:
        wanted |= {"sort": "created", **other}
    with pytest.raises(ValueError, match="no place"):
        WantedRuns(**wanted).last()


def test_the_database_hides_what_a_token_cannot_know(filled: Desk) -> None:
    """P10: lists and names are looked for among the runs that the caller knows of."""

    def as_bob(records: Any) -> Any:
        records.acting = Acting(Selector.parse("of=bob"))
        return workers.runs(records, WantedRuns()), records._names_near("b")

    (items, _), near = filled.read(as_bob)
    assert sorted(item["name"] for item in items) == ["A", "e"]
    assert sorted(near) == ["A", "e"]

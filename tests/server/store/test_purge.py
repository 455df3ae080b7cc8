"""Retention: what ended long ago goes for good, a bounded number at a time, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from rheostat.durations import duration
from rheostat.errors import Invalid
from rheostat.server import housekeeping
from rheostat.server.housekeeping import Purge, StoredKeeper
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import Selector
from rheostat.server.store.operations import close, fork, purge, tokens
from rheostat.server.store.operations.tokens import NEW_TOKEN


def run(desk: Any, name: str, *, days: float | None = None, **fields: Any) -> str:
    """Make a run, which was finished so many days ago, if it was."""
    run_id = str(desk.create(name=name, **fields))
    desk.settle(run_id, 0, 8)
    if days is not None:
        finished(desk, name, days)
    return run_id


def finished(desk: Any, name: str, days: float) -> None:
    """Finish a run, so many days ago."""
    desk.write(close.finish, name, None, Note("ann"))
    age(desk, "UPDATE runs SET finished_at = :moment WHERE name = :name", name, days)


def branch(desk: Any, source: str, name: str) -> None:
    """Fork a run."""
    body = {"name": name, "from": {"run": source, "step": 4}}
    desk.write(fork.fork, body, Note("ann"))


def age(desk: Any, statement: str, name: str, days: float) -> None:
    moment = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    where = {"moment": moment, "name": name}
    desk.write(lambda records: records.connection.execute(text(statement), where))


def names(desk: Any) -> set[str]:
    """Return the names of the runs that are there."""
    found = desk.read(lambda r: list(r.connection.execute(text("SELECT name FROM runs")).scalars()))
    return {*found}


def purged(desk: Any, what: Any, older_than: str, **rest: Any) -> list[Any]:
    """Purge, as `rheostat purge --database` does, and return all steps."""
    keeper = StoredKeeper(desk.store, "ann@host")
    return list(
        keeper.purge(
            what, older_than, selector=rest.get("selector", ""), dry_run=rest.get("dry_run", False)
        )
    )


def deeds(desk: Any) -> list[Any]:
    """Return what the audit has of purges, the oldest first."""
    rows = StoredKeeper(desk.store, "").audit(
        run=None, who=None, action=["purge"], since=None, until=None, limit=1000
    )
    return [*reversed(rows)]


def test_finished_runs_of_long_ago_go(desk: Any) -> None:
    """What trains, or was finished lately, stays; a rehearsal removes nothing."""
    gone = run(desk, "old", days=91)
    run(desk, "new", days=89)
    run(desk, "live")
    [rehearsed] = purged(desk, "runs", "90d", dry_run=True)
    assert [(item["name"], item["kept"]) for item in rehearsed["items"]] == [("old", None)]
    assert (rehearsed["deleted"], names(desk)) == (1, {"old", "new", "live"})
    assert deeds(desk) == []

    [step] = purged(desk, "runs", "90d")
    assert (step["deleted"], step["items"]) == (1, rehearsed["items"])
    assert names(desk) == {"new", "live"}
    [row] = deeds(desk)
    assert (row["run_id"], row["run_name"], row["who"]) == (gone, "old", "ann@host")
    assert purged(desk, "runs", "90d")[0]["deleted"] == 0


def test_a_selector_means_some_of_them(desk: Any) -> None:
    """Runs of other teams, and those that are to be kept, stay."""
    run(desk, "mine", days=91, labels={"team": "nlp"})
    run(desk, "kept", days=91, labels={"team": "nlp", "keep": ""})
    run(desk, "theirs", days=91, labels={"team": "vision"})
    purged(desk, "runs", "90d", selector="team=nlp,!keep")
    assert names(desk) == {"kept", "theirs"}


def test_what_forks_need_stays_as_long_as_they_do(desk: Any) -> None:
    """P3: a fork never loses its past; forks that go as well take it along, in one purge."""
    run(desk, "source")
    branch(desk, "source", "fork")
    branch(desk, "fork", "of-fork")
    for name in ("source", "fork"):
        finished(desk, name, 91)
    for dry_run in (True, False):
        [step] = purged(desk, "runs", "90d", dry_run=dry_run)
        kept = {item["name"]: item["kept"] for item in step["items"]}
        assert kept == dict.fromkeys(("source", "fork"), purge.FORKED)
    assert deeds(desk) == []
    finished(desk, "of-fork", 91)
    [rehearsed] = purged(desk, "runs", "90d", dry_run=True)
    assert rehearsed["deleted"] == 3
    purged(desk, "runs", "90d")
    assert names(desk) == set()


def test_many_go_step_by_step(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: one request removes no more than it says, and the next one goes on."""
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    for number in range(5):
        run(desk, f"run-{number}", days=2)
    steps = purged(desk, "runs", "1d")
    assert [step["deleted"] for step in steps] == [2, 2, 1]
    assert names(desk) == set()
    assert len(deeds(desk)) == 5


def test_a_run_that_changed_meanwhile_stays(desk: Any) -> None:
    """What is listed is looked at again when it goes: others may have been there in between."""
    run_id = run(desk, "gpt-2", days=2, labels={"team": "nlp"})
    old = purge.OldRuns(datetime.now(UTC) - timedelta(days=3))
    assert desk.write(purge.remove_run, run_id, old) == "it is not finished any more"
    old = purge.OldRuns(datetime.now(UTC), Selector.parse("team=vision"))
    assert "selector" in str(desk.write(purge.remove_run, run_id, old))
    assert names(desk) == {"gpt-2"}
    assert desk.write(purge.remove_run, "run_" + "0" * 26, old) is None


def test_tokens_of_no_use_go(desk: Any) -> None:
    """Those that were revoked or expired long ago; one that is in use never."""
    for name in ("used", "revoked", "expired", "lately"):
        new = NEW_TOKEN.validate_python({"name": name, "role": "viewer"})
        desk.write(tokens.create, new, "ann")
    for name, days in (("revoked", 91), ("lately", 1)):
        age(desk, "UPDATE tokens SET revoked_at = :moment WHERE name = :name", name, days)
    age(desk, "UPDATE tokens SET expires_at = :moment WHERE name = :name", "expired", 91)
    assert purged(desk, "tokens", "90d", dry_run=True)[0]["deleted"] == 2
    [step] = purged(desk, "tokens", "90d")
    assert {item["name"] for item in step["items"]} == {"revoked", "expired"}
    left, _ = desk.read(tokens.page, 0, 10)
    assert {token.name for token in left} == {"used", "lately"}
    assert [row["outcome"] for row in deeds(desk)] == [{"what": "tokens", "count": 2}]


def test_the_audit_goes_but_for_the_last_day(desk: Any) -> None:
    """P10: whoever purges the audit stands in it, and cannot purge that."""
    run(desk, "old", days=91)
    purged(desk, "runs", "90d")
    age(desk, "UPDATE audit SET at = :moment WHERE run_name = :name", "old", 400)
    assert purged(desk, "audit", "52w", dry_run=True)[0]["deleted"] == 1
    assert purged(desk, "audit", "52w")[0]["deleted"] == 1
    assert [row["outcome"] for row in deeds(desk)] == [{"what": "audit", "count": 1}]
    with pytest.raises(Invalid, match="at least a day"):
        purged(desk, "audit", "23h")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0h", timedelta()),
        ("36h", timedelta(hours=36)),
        ("90d", timedelta(days=90)),
        ("52w", timedelta(weeks=52)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    """Hours, days and weeks."""
    assert duration(text, "age") == expected


@pytest.mark.parametrize(
    "text", ["", "90", "d", "3m", "1y", "-1d", "1.5d", "90 d", "٣d", "36501d", "9999999w", "1d2h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """P10: by its name, value and bound; `m` could be minutes or months, and is neither."""
    with pytest.raises(Invalid) as refusal:
        duration(text, "older_than")
    [wrong] = refusal.value.errors
    assert (wrong.field, wrong.value) == ("older_than", text)
    assert "90d" in str(wrong.bound)


def test_a_selector_of_no_runs_is_refused(desk: Any) -> None:
    """P10: it would seem to mean something."""
    with pytest.raises(Invalid, match="selector"):
        asyncio.run(housekeeping.purge(desk.store, Purge("tokens", "1d", "team=nlp")))

"""A run in at most 4 KB: true to plan, ledger and reports, however large the run is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import insert, select, update
from tests.server.store.test_workers import beat, hear

from rheostat import wire
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.runs.token_limit import TokenLimit
from rheostat.server.store import tables
from rheostat.server.store.acting import Acting, acting
from rheostat.server.store.operations import (
    brief,
    close,
    limiting,
    plan,
    propose,
    rewind,
    signal,
)
from rheostat.server.store.operations.limiting import Refusal
from rheostat.server.store.operations.propose import ProposalRequest
from rheostat.server.store.operations.rewind import RewindRequest
from rheostat.server.store.operations.signal import SignalRequest

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

    from rheostat.server.store.records import Records

MOST = 4096
HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
MAY = ["propose", "note"]


def briefed(desk: Desk, may: list[str] = MAY, roster: Roster | None = None) -> wire.Brief:
    """Return the brief of the run ``gpt``, which is never longer than 4 KB."""
    found = desk.read(brief.brief, "gpt", roster or Roster(), may)
    assert len(orjson.dumps(found)) <= MOST
    return found


@contextmanager
def limited(text: str, name: str = "tuner") -> Iterator[None]:
    """Act with a token that has a limit."""
    before = acting.set(Acting(token=name, limit=TokenLimit.parse(text), act="change"))
    yield
    acting.reset(before)


def test_it_says_what_plan_and_ledger_say(desk: Desk) -> None:
    """Values where it is settled to, and ahead, are those of the plan, to four digits."""
    run = desk.create(total=100, about="a try", goal={"metric": "loss", "direction": "min"})
    desk.settle(run, 0, 10)
    desk.revise(HALVE, 40, note=Note("ann", "slower"))
    found = briefed(desk)
    whole: Any = desk.read(plan.plan, "gpt", 0, 128, 1000, 10**6)
    lr = dict(zip(whole["steps"].tolist(), whole["parameters"]["lr"].tolist(), strict=True))
    assert (found["settled_until"], found["revision"], found["generation"]) == (10, 2, 1)
    assert (found["about"], found["goal"], found["total"]) == ("a try", found["goal"], 100)
    assert found["ahead"][0] == 10
    assert len(found["ahead"]) == 5
    first, second = found["parameters"]
    assert (first["name"], first["value"], second["value"]) == ("lr", 90.0, 0.5)
    assert first["ahead"] == [float(f"{lr[step]:.4g}") for step in found["ahead"]]
    assert second["ahead"] == [0.5] * 5
    assert first["guard"] == {"min": None, "max": None, "max_ratio": None}
    assert found["more_parameters"] == 0
    assert (found["may"], found["allowance"]) == (MAY, None)


def test_each_change_has_the_metric_before_and_after(desk: Desk) -> None:
    """The last report at or before a change's step, and the last one before the next change."""
    run = desk.create(total=100, goal={"metric": "loss"})
    for start, changes in ((0, None), (20, HALVE), (40, {"lr": 7.0})):
        if changes:
            desk.revise(changes, start, note=Note("ann", "why"))
        desk.settle(run, start, 20)
    points = ((10, 4.0), (20, 3.0), (21, 5.0), (40, 2.0), (55, float("nan")))
    desk.report(run, *points)
    desk.report(run, *((step, 0.25) for step in range(40, 57)), metric="accuracy")
    found = briefed(desk)
    told = [(each["revision"], each["before"], each["after"]) for each in found["changes"]]
    assert told == [(3, 2.0, "NaN"), (2, 3.0, 2.0), (1, None, 3.0)]
    assert (found["metric"], found["newest"]) == ("loss", "NaN")
    second = found["changes"][1]
    assert (second["kind"], second["effective"], second["state"]) == ("change", 20, "settled")
    assert (second["author"], second["message"]) == ("ann", "why")
    assert second["changes"] == {"lr": [{"edit": "scale", "factor": 0.5}]}


def test_reports_of_a_line_that_was_left_count_for_nobody(desk: Desk) -> None:
    """After a rewind the metric beside a change is that of the present line."""
    run = desk.create(total=100, goal={"metric": "loss"})
    desk.settle(run, 0, 20)
    desk.revise(HALVE, 20)
    desk.settle(run, 20, 20)
    desk.report(run, (10, 4.0), (30, 9.0))
    desk.write(rewind.rewind, "gpt", RewindRequest(to=16, note=Note("ann")))
    found = briefed(desk)
    told = {
        each["revision"]: (each["state"], each["before"], each["after"])
        for each in found["changes"]
    }
    assert told[2] == ("dropped", None, None)
    assert (found["newest"], found["generation"], found["settled_until"]) == (4.0, 2, 16)


def test_without_a_goal_it_tells_what_a_controller_reads_or_what_there_is(desk: Desk) -> None:
    """The metric is the goal's, else a controller's, else the one with the most reports."""
    run = desk.create(total=100)
    desk.settle(run, 0, 20)
    assert briefed(desk)["metric"] is None
    desk.report(run, (1, 1.0), (2, 1.0), metric="train_loss")
    desk.report(run, (2, 0.5), metric="accuracy")
    assert (briefed(desk)["metric"], briefed(desk)["newest"]) == ("train_loss", 1.0)
    desk.arm("stop", kind="stop", metric="accuracy")
    assert (briefed(desk)["metric"], briefed(desk)["newest"]) == ("accuracy", 0.5)


def test_workers_and_proposals_are_counted(desk: Desk) -> None:
    """Who trains and where in a line; how many proposals wait; a signal is a change without one."""
    run, roster = desk.create(total=100), Roster()
    assert briefed(desk)["workers"] == "nobody says that it trains"
    hear(desk, roster, run, beat("0", step=50, pace=4.0))
    hear(desk, roster, run, beat("1", step=40, pace=2.0))
    hear(desk, roster, run, beat("2", step=4, pace=9.0), ago=3600)
    desk.write(propose.propose, "gpt", ProposalRequest("change", {"changes": HALVE}, Note("ann")))
    desk.write(signal.signal, "gpt", SignalRequest("checkpoint", note=Note("ann")))
    found = briefed(desk, roster=roster)
    assert found["workers"] == "2 alive, 1 silent; at step 40 to 50; 3 steps/s"
    assert found["proposals"] == 1
    assert (found["changes"][0]["kind"], found["changes"][0]["changes"]) == ("signal", None)


def test_a_finished_run_has_nothing_ahead(desk: Desk) -> None:
    """It has the values where it ended, and no plan."""
    run = desk.create(total=100)
    desk.settle(run, 0, 20)
    desk.write(close.finish, "gpt", None, Note("ann"))
    found = briefed(desk)
    assert (found["state"], found["end"], found["ahead"]) == ("finished", 20, [])
    assert found["parameters"][0]["ahead"] == []


def test_it_says_what_a_limit_leaves(desk: Desk) -> None:
    """Whoever asks with a limited token sees its own allowance, and nobody else does."""
    run = desk.create(total=2000)
    desk.settle(run, 0, 20)
    with limited("changes=2/day, gap=500, parameters=lr, edits=scale"):
        desk.revise(HALVE, note=Note("tuner", "flat"))
        found = briefed(desk)["allowance"]
    assert found is not None
    assert (found["left"], found["from_step"], found["made"]) == (1, 520, 1)
    assert (found["parameters"], found["edits"], found["ratio"]) == (["lr"], ["scale"], None)
    assert briefed(desk)["allowance"] is None


LONGEST = "p/" + "a" * 122
NASTY = ["\x01" * 4000, "😀" * 900, '"\\' * 2000]


@pytest.mark.parametrize("nasty", NASTY, ids=["control", "wide", "quotes"])
def test_the_worst_run_is_told_in_4_kb(desk: Desk, nasty: str) -> None:
    """256 parameters, names and texts as long as may be, a limit as long as may be: still short."""
    names = [f"{LONGEST}_{number:03}" for number in range(256)]
    about = nasty.encode()[:4096].decode(errors="ignore")
    body: Any = {
        "name": "gpt",
        "parameters": dict.fromkeys(names, -1.2345678901234567e-300),
        "guards": {
            name: {
                "min": -1.2345678901234567e-300,
                "max": 1.7976931348623157e308,
                "max_ratio": 1.7976931348623157e308,
            }
            for name in names[:16]
        },
        "describe": {name: {"text": nasty[:24]} for name in names[:40]},
        "goal": {"metric": "m" * 128, "direction": "max", "target": -1.2345678901234567e-300},
        "about": about,
        "total": 9**15,
        "labels": {"x" * 128: nasty[:1000]},
    }
    run = desk.create(**body)
    desk.settle(run, 0, 20)
    for number in range(3):
        changes = {names[number]: [{"edit": "scale", "factor": 1.0000000000000002}] * 2}
        desk.revise(changes, note=Note(f"{number}" + "ä" * 198, nasty[:4096]))
    desk.report(run, (20, -1.2345678901234567e-300), metric="m" * 128)
    limit = (
        f"changes=10000/week, gap={2**53 - 1}, parameters={'|'.join(names[:6])},"
        " edits=scale|hold|set|ramp|rewarm|extend|replace|revert, ratio=1.7976931348623157e+308"
    )
    token = "t" * 128
    desk.write(limiting.note_refused, Refusal(run, token, 2**31 - 1, nasty[:1024]))
    may = [*MAY, "change", "stop", "signal", "pause", "resume", "cancel"]
    with limited(limit, token):
        found = briefed(desk, may)
    assert found["parameters"]
    assert len(found["parameters"]) + found["more_parameters"] == 256
    assert found["changes"]
    assert found["changes"][0]["revision"] == 4
    assert found["allowance"] is not None
    assert found["allowance"]["limit"].startswith("changes=10000/week")


def test_a_run_of_ten_million_steps_and_ten_thousand_revisions_is_told_in_4_kb(
    desk: Desk,
) -> None:
    """P13: how long it has trained, and how often it was changed, makes its brief no longer."""
    total, many, apart = 10_000_000, 10_000, 1000
    run = desk.create(parameters={"lr": 0.5, "wd": 0.1}, total=total)
    for number in (2, 3):
        desk.revise({"lr": float(number)}, apart * (number - 1), note=Note("ann", "m" * 4096))

    def live_on(records: Records) -> None:
        """Change the run as often, in turn as those two, and settle it nearly to its end."""
        table = tables.revisions
        query = select(table).where(table.c.run_id == run, table.c.revision > 1)
        odd, even = (dict(row) for row in records.connection.execute(query).mappings())
        records.write()
        rows = [
            {
                **(even if number % 2 else odd),
                "revision": number,
                "effective": apart * (number - 1),
                "event": number,
            }
            for number in range(4, many + 1)
        ]
        records.connection.execute(insert(table), rows)
        newest = update(tables.runs).where(tables.runs.c.id == run)
        records.connection.execute(newest.values(revision=many))
        settled = update(tables.generations).where(tables.generations.c.run_id == run)
        records.connection.execute(settled.values(settled_until=total - 1))

    desk.write(live_on)
    found = briefed(desk)
    assert (found["settled_until"], found["revision"]) == (total - 1, many)
    assert [each["revision"] for each in found["changes"]] == [*range(many, many - 10, -1)]
    assert found["changes"][0]["effective"] == 9_999_000
    assert found["parameters"][0]["value"] == 2.0

"""Operations that share a transaction: each acts on what those before it did."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from rheostat.errors import StaleGeneration, StepJump, Unavailable, UnknownRun
from rheostat.server.runs.changes import parse_changes
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.spec import parse_run
from rheostat.server.runs.validation import Limits, Units
from rheostat.server.store.operations import close, create, revise, rewind, show, values
from rheostat.server.store.revisions import StoredChanges

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
NEW = {"name": "gpt", "parameters": {"lr": {"kind": "constant", "value": 1}}}
PARSED = {
    ("changes", "lr", "wd", None, None): parse_changes(HALVE, ["lr", "wd"], Units()),
    "run": (*parse_run(NEW, Units(), Limits()), StoredChanges(json.dumps(NEW["parameters"]))),
}
"""What operations have parsed outside of a transaction; here it is done before them all."""


def together(desk: Any, *calls: tuple[Any, ...]) -> list[Any]:
    """Run operations in one transaction, and return their results and refusals."""
    waits, go = threading.Event(), threading.Event()

    def hold(_records: Any) -> None:
        waits.set()
        go.wait(30)

    def parsed(records: Any, about: Any, operation: Any, *arguments: Any) -> Any:
        records.begin(PARSED)
        return operation(records, about, *arguments)

    async def gathered() -> list[Any]:
        first = asyncio.ensure_future(desk.store.write(hold))
        await asyncio.to_thread(waits.wait, 30)
        rest = [
            asyncio.ensure_future(desk.store.write(parsed, about, operation, *arguments))
            for operation, about, *arguments in calls
        ]
        await asyncio.sleep(0)  # each is queued now, behind the one that holds the writer
        go.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    return asyncio.run(gathered())


def test_each_sees_what_the_ones_before_it_did(desk: Any) -> None:
    """P7: settling, revising and rewinding in a group are as if executed one at a time."""
    run, other = desk.create(), desk.create(name="other")
    settled = (values.settle, run)
    answers = together(
        desk,
        (*settled, BlockRequest(1, 0, 4)),
        (values.settle, other, BlockRequest(1, 0, 2)),
        (revise.revise, run, revise.RevisionRequest(HALVE)),
        (*settled, BlockRequest(1, 2, 4)),
        (*settled, BlockRequest(1, 2, 4)),
        (rewind.rewind, run, rewind.RewindRequest(to=2)),
        (*settled, BlockRequest(2, 2, 4)),
        (*settled, BlockRequest(1, 6, 1)),
        (*settled, BlockRequest(1, 4, 2)),
    )
    first, others, revised, second, again, rewound, third, fenced, old = answers
    assert list(first.values[0]) == [100, 99, 98, 97]
    assert list(others.values[0]) == [100, 99]
    assert revised["effective"] == 4
    assert list(second.values[0]) == list(again.values[0]) == [98, 97, 48, 47.5]
    assert (rewound["ended"], second.revisions) == (6, [(2, 1), (4, 2)])
    assert list(third.values[0]) == [98, 97, 96, 95]
    assert isinstance(fenced, StaleGeneration)
    assert list(old.values[0]) == [48, 47.5]
    state = desk.read(show.show, run)
    ends = [(each["generation"], each["settled_until"]) for each in state["generations"]]
    assert ends == [(1, 6), (2, 6)]
    desk.restart()
    assert desk.settle(run, 2, 4, 2)[0] == [98, 97, 96, 95]
    assert desk.settle(run, 2, 4, 1)[0] == [98, 97, 48, 47.5]


def test_a_run_that_ends_in_the_group_has_ended(desk: Any) -> None:
    """P1: who asks after its deletion does not get the blocks of the run of the same name."""
    run, other = desk.create(), desk.create(name="other")
    answers = together(
        desk,
        (values.settle, run, BlockRequest(1, 0, 4)),
        (close.delete, run),
        (values.settle, run, BlockRequest(1, 0, 4)),
        (create.create, NEW, Note("b")),
        (values.settle, run, BlockRequest(1, 0, 4)),
        (values.settle, other, BlockRequest(1, 0, 1)),
    )
    assert [type(answer) for answer in (answers[2], answers[4])] == [UnknownRun, UnknownRun]
    assert list(answers[5].values[0]) == [100]


def test_a_refusal_leaves_nothing_behind(desk: Any) -> None:
    """P10: what is refused in a group changes nothing for the others of its run."""
    run = desk.create()
    refused, settled, revised = together(
        desk,
        (values.settle, run, BlockRequest(1, 100_000, 1)),
        (values.settle, run, BlockRequest(1, 0, 2)),
        (revise.revise, run, revise.RevisionRequest(HALVE)),
    )
    assert isinstance(refused, StepJump)
    assert (list(settled.values[0]), revised["effective"]) == ([100, 99], 2)


def test_what_is_refused_half_way_leaves_nothing(desk: Any) -> None:
    """P4: of an operation that had written when it was refused nothing lasts; others are done."""
    run, other = desk.create(), desk.create(name="other")

    def half(records: Any, ref: str) -> None:
        revise.revise(records, ref, revise.RevisionRequest(HALVE))
        raise Unavailable("a newer release made this")

    answers = together(
        desk,
        (values.settle, other, BlockRequest(1, 0, 2)),
        (half, run),
        (revise.revise, other, revise.RevisionRequest(HALVE)),
    )
    assert isinstance(answers[1], Unavailable)
    assert str(answers[1]) == "a newer release made this"
    assert (answers[0].settled_until, answers[2]["effective"]) == (2, 2)
    assert desk.read(show.show, run)["revision"] == 1
    assert desk.read(show.show, other)["revision"] == 2

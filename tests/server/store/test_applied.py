"""What workers applied, held against the ledger on both databases, and the mismatches kept."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from rheostat.errors import (
    Invalid,
    StaleGeneration,
    UnknownGeneration,
    UnknownRun,
    WentBack,
)
from rheostat.limits import MAX_MISMATCHES, MAX_WORKER_MISMATCHES
from rheostat.server.runs import presence
from rheostat.server.runs.applied import Mismatch, Stretch, Window, Wrong
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import advance, close, events, fork, mismatch, show
from rheostat.server.store.operations import applied as operations
from rheostat.server.store.operations import workers as operations_of_workers
from rheostat.server.store.operations.applied import Judged, judge
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.records import Records

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk


def window(
    cells: list[tuple[int, int, int]], *, values: Any = None, resolution: int = 1, **columns: Any
) -> Window:
    """Return a window in which these columns were applied; ``lr32`` is lr in a slot of float32."""
    steps = [start + i * stride * resolution for start, n, stride in cells for i in range(n)]
    digest = hashlib.blake2b(digest_size=16)
    slots: dict[str, Any] = {}
    for name in columns:
        slots[name.removesuffix("32")] = "f32" if name.endswith("32") else "f64"
    for place, step in enumerate(steps):
        row = [column[place] for _, column in sorted(columns.items())]
        digest.update(struct.pack(f"<Q{len(row)}d", step, *row))
    if values:
        values = {name.removesuffix("32"): list(column) for name, column in columns.items()}
    return Window([Stretch(*each) for each in cells], slots, digest.hexdigest(), values)


def judged(desk: Desk, run: str, *windows: Window, generation: int = 1, **more: Any) -> Judged:
    """Return what comes of the windows of one worker."""
    (found,) = all_judged(desk, run, [said("17", *windows, **more)], generation)
    return found


def all_judged(desk: Desk, run: str, workers: list[Said], generation: int = 1) -> list[Judged]:
    """Return what comes of what workers say."""

    def read(records: Records) -> list[Judged]:
        found = records.find(run)
        return judge(records, found, records.lineage(found), Beat(generation, tuple(workers)))

    return desk.read(read)


def said(worker: str, *windows: Window, wrong: Sequence[Wrong] = ()) -> Said:
    """Return what a worker says that it applied, and found by itself."""
    return Said(worker, "session", 64, applied=windows, wrong=tuple(wrong))


def line(*steps: int, until: int | None = None) -> list[float]:
    """Return the values of lr at steps, or from a step to another one: 100 - step."""
    return [100.0 - step for step in (range(steps[0], until) if until else steps)]


def bits(value: float) -> int:
    """Return the bits of a float64."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


@pytest.fixture
def run(desk: Desk) -> str:
    """Return the id of a run that is settled until 64, in blocks of 8."""
    run = desk.create()
    for start in range(0, 64, 8):
        desk.settle(run, start, 8)
    return run


def test_what_was_served_is_proven(desk: Desk, run: str) -> None:
    """P12: up to the end of the last window, whichever cells were skipped or leapt over."""
    first = window([(0, 3, 1), (5, 11, 1)], lr=line(0, 1, 2, *range(5, 16)), wd=14 * [0.5])
    strided = window([(16, 8, 4)], lr=line(*range(16, 48, 4)))
    assert judged(desk, run, first, strided) == Judged("17", 45, None, [], [])
    assert judged(desk, run, first) == Judged("17", 16, None, [], [])
    assert judged(desk, run) == Judged("17", None, None, [], [])


def test_a_window_that_differs_is_asked_for_and_then_named(desk: Desk, run: str) -> None:
    """P12: the first step of each parameter, with both values; what lies past it proves nothing."""
    applied, decay = line(0, until=16), 16 * [0.5]
    applied[9:] = 7 * [7.0]
    decay[11] = 0.25
    wrong = window([(0, 16, 1)], lr=applied, wd=decay)
    after = window([(16, 16, 1)], lr=line(16, until=32))
    assert judged(desk, run, wrong, after) == Judged("17", None, 0, [0], [])
    told = window([(0, 16, 1)], lr=applied, wd=decay, values=True)
    found = judged(desk, run, told, after)
    assert (found.until, found.doubt, found.compare) == (None, 9, [])
    assert list(found.found) == [
        Mismatch(9, "lr", bits(91.0), bits(7.0), "f64", "17", 1),
        Mismatch(11, "wd", bits(0.5), bits(0.25), "f64", "17", 1),
    ]
    before = window([(0, 8, 1)], lr=line(0, until=8))
    assert judged(desk, run, before, told).until == 8


def test_values_that_are_right_though_their_digest_is_not_are_an_error(
    desk: Desk, run: str
) -> None:
    """P10: the client's digest is wrong, and no worker: the refusal names the window."""
    right = window([(0, 8, 1)], lr=line(0, until=8), values=True)
    wrong = Window(right.cells, right.parameters, 32 * "0", right.values)
    with pytest.raises(Invalid) as refused:
        judged(desk, run, right, wrong)
    assert refused.value.errors[0].field == "workers[0].applied[1].digest"


def test_a_slot_of_float32_is_right_if_it_holds_what_fits(desk: Desk) -> None:
    """P12: 0.1 becomes the nearest float32, and its neighbour is wrong."""
    run = desk.create(parameters={"lr": {"kind": "constant", "value": 0.1}})
    desk.settle(run, 0, 8)
    (fits,) = struct.unpack("<f", struct.pack("<f", 0.1))
    (bits32,) = struct.unpack("<I", struct.pack("<f", 0.1))
    (neighbour,) = struct.unpack("<f", struct.pack("<I", bits32 + 1))
    assert judged(desk, run, window([(0, 8, 1)], lr32=8 * [fits])).until == 8
    assert judged(desk, run, window([(0, 8, 1)], lr=8 * [0.1])).until == 8
    assert judged(desk, run, window([(0, 8, 1)], lr=8 * [fits])).compare == [0]
    found = judged(desk, run, window([(0, 8, 1)], lr32=[*7 * [fits], neighbour], values=True))
    assert list(found.found) == [Mismatch(7, "lr", bits(fits), bits(neighbour), "f32", "17", 1)]


def test_what_a_worker_finds_itself_is_held_against_the_ledger(desk: Desk, run: str) -> None:
    """P12: it is a mismatch if it differs indeed, be it NaN; what is right is no mismatch."""
    wrong = [
        Wrong(20, "lr", 80.0),
        Wrong(21, "lr", 80.0),
        Wrong(21, "wd", float("nan"), "f32"),
    ]
    found = judged(desk, run, window([(0, 32, 1)], lr=line(0, until=32)), wrong=wrong)
    assert (found.until, found.doubt) == (None, 21)
    steps = [(each.step, each.parameter, each.expected) for each in found.found]
    assert steps == [(21, "lr", bits(79.0)), (21, "wd", bits(0.5))]


def test_the_past_of_a_rewind_is_its_parents(desk: Desk, run: str) -> None:
    """P12: a window across the branch is held against the line, each part against its owner's."""
    changes = {"lr": {"edit": "scale", "factor": 0.5}}
    desk.write(rewind, run, RewindRequest(to=40, changes=changes))
    desk.settle(run, 40, 16, generation=2)
    lower = [value / 2 for value in line(40, until=56)]
    across = window([(32, 24, 1)], lr=line(32, until=40) + lower)
    assert judged(desk, run, across, generation=2).until == 56
    kept = window([(32, 32, 1)], lr=line(32, until=64))
    assert judged(desk, run, kept, generation=1).until == 64
    assert judged(desk, run, across, generation=1).compare == [32]


def test_a_fork_is_held_against_the_run_that_it_left(desk: Desk, run: str) -> None:
    """P12: below the fork the ledger is the other run's."""
    body = {
        "name": "decay",
        "from": {"run": "gpt", "step": 8},
        "changes": {"lr": {"edit": "scale", "factor": 0.5}},
    }
    child = str(desk.write(fork.fork, body, Note("bob", ""))["id"])
    desk.settle(child, 8, 8)
    lower = [value / 2 for value in line(8, until=16)]
    across = window([(0, 16, 1)], lr=line(0, until=8) + lower)
    assert judged(desk, child, across).until == 16
    assert judged(desk, run, across).compare == [0]


def test_cells_are_named_by_their_first_coordinates(desk: Desk) -> None:
    """A stride is in cells, and a coordinate within a cell names none."""
    run = desk.create(resolution=4)
    desk.settle(run, 0, 16)
    strided = window([(0, 8, 2)], lr=line(*range(0, 64, 8)), resolution=4)
    assert judged(desk, run, strided).until == 60
    with pytest.raises(Invalid) as refused:
        judged(desk, run, wrong=[Wrong(6, "lr", 1.0)])
    assert refused.value.errors[0].field == "workers[0].wrong[0].step"


@pytest.mark.parametrize(
    "listed",
    [
        said("17", window([(56, 9, 1)], lr=line(56, until=65))),
        said("17", wrong=[Wrong(64, "lr", 1.0)]),
    ],
    ids=["a window", "a value"],
)
def test_a_value_that_was_never_given_means_that_the_service_went_back(
    desk: Desk, run: str, listed: Said
) -> None:
    """P1: in the current generation; a left one settles no more, so that is a worker fenced off."""
    right = said("16", window([(0, 8, 1)], lr=line(0, until=8)))
    with pytest.raises(WentBack) as refused:
        all_judged(desk, run, [right, listed])
    assert refused.value.members["settled_until"] == 64
    (told,) = desk.read(show.show, run)["attention"]
    assert (told["kind"], told["step"]) == ("went-back", 65)
    assert told["message"].startswith("worker 17 says that it is past step 65,")
    desk.write(rewind, run, RewindRequest(to=40))
    assert desk.read(show.show, run)["attention"] == []
    with pytest.raises(StaleGeneration):
        all_judged(desk, run, [right, listed])
    assert judged(desk, run, *right.applied, generation=1).until == 8


def test_a_settled_cell_that_nobody_was_given_is_none_to_apply(desk: Desk, run: str) -> None:
    """P1: the end was moved over it, so whoever applied it was given it in another life."""
    desk.write(advance.advance, run, advance.AdvanceRequest(to=96))
    desk.settle(run, 96, 8)
    assert judged(desk, run, window([(96, 4, 1)], lr=line(96, until=100))).until == 100
    with pytest.raises(WentBack, match="step 64"):
        judged(desk, run, window([(56, 16, 1)], lr=line(56, until=72)))


def test_a_failover_that_lost_settles_is_noticed_though_windows_are_known(
    desk: Desk, run: str
) -> None:
    """P1: the process goes on with a standby that lagged, and still knows digests of before."""
    known = window([(0, 64, 1)], lr=line(0, until=64))
    assert judged(desk, run, known).until == 64

    def lose(records: Records) -> None:
        ledger, generations = tables.ledger, tables.generations
        records.connection.execute(delete(ledger).where(ledger.c.start >= 32))
        records.connection.execute(update(generations).values(settled_until=32))

    desk.write(lose)
    with pytest.raises(WentBack) as refused:
        judged(desk, run, known)
    assert refused.value.members["settled_until"] == 32


def test_what_is_not_there_is_not_found(desk: Desk, run: str) -> None:
    """Neither the run nor the generation."""
    with pytest.raises(UnknownGeneration):
        judged(desk, run, generation=2)
    with pytest.raises(UnknownRun):
        judged(desk, "run_" + 26 * "0")


def test_one_beat_reads_so_much_of_the_ledger(
    desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: beyond, the window is named; what is known is not read again, so others come next."""
    monkeypatch.setattr(operations, "MAX_HELD_AGAINST", 5_000)
    halves = [
        window([(0, 32, 1)], lr=line(0, until=32)),
        window([(32, 32, 1)], lr=line(32, until=64)),
    ]
    with pytest.raises(Invalid) as refused:
        judged(desk, run, *halves)
    (error,) = refused.value.errors
    assert (error.field, error.bound) == (
        "workers[0].applied[1].cells",
        "<= 5000 values of the ledger",
    )
    assert judged(desk, run, *halves).until == 64


def test_what_takes_much_is_known_by_what_is_read(desk: Desk, run: str) -> None:
    """P13: few cells, each in a row of its own, take as much as all that is packed with them."""
    cells = [(step, 1, 1) for step in range(0, 16, 2)]
    few = [window([each], lr=line(each[0], until=each[0] + 1)) for each in cells]

    def asked(records: Records) -> Any:
        found = records.find(run)
        return judge(records, found, records.lineage(found), Beat(1, (said("17", *few),)), 10_000)

    with pytest.raises(operations.TakesMuch):
        desk.read(asked)
    assert judged(desk, run, *few).until == 15
    (again,) = desk.read(asked)  # what was read is remembered
    assert again.until == 15


def flip(desk: Desk, step: int) -> None:
    """Flip the last bit of lr at a step of the ledger, in the row of eight cells that holds it."""
    table = tables.ledger
    where = table.c.start == step - step % 8

    def write(records: Any) -> None:
        values = bytearray(
            records.connection.execute(select(table.c["values"]).where(where)).scalar_one()
        )
        values[8 * (step % 8)] ^= 1
        records.connection.execute(update(table).where(where).values({"values": bytes(values)}))

    desk.write(write)


def test_a_flipped_bit_of_the_ledger_is_seen_by_every_rank_once(desk: Desk, run: str) -> None:
    """P12: all ranks applied alike, and all are named: no vote could have told."""
    applied = window([(0, 64, 1)], lr=line(0, until=64), values=True)
    flip(desk, 21)
    ranks = [said(str(rank), applied) for rank in range(8)]
    for _ in range(2):
        found = [each for judged in all_judged(desk, run, ranks) for each in judged.found]
        desk.write(mismatch.keep, run, found)
    kept, after = desk.read(mismatch.page, run, 0, 100)
    assert after is None
    assert [(each["number"], each["worker"], each["step"]) for each in kept] == [
        (rank + 1, str(rank), 21) for rank in range(8)
    ]
    assert {(each["expected"], each["found"]) for each in kept} == {("79.00000000000001", "79.0")}


def found_at(step: int, worker: str = "17", **more: Any) -> Mismatch:
    """Return a mismatch."""
    given = {"parameter": "lr", "expected": bits(1.0), "found": bits(2.0), "dtype": "f64"}
    return Mismatch(step=step, worker=worker, generation=1, **{**given, **more})


def test_a_mismatch_is_kept_once_and_told_as_an_event(desk: Desk, run: str) -> None:
    """P11: whoever sends it again, with others that are new; numbers go on, and nobody waits."""
    before = desk.read(events.page, run, 0).events[-1]["number"]
    assert desk.write(mismatch.keep, run, [found_at(8), found_at(9)]) == 2
    assert desk.write(mismatch.keep, run, [found_at(9), found_at(8)]) == 0
    odd = found_at(9, "18", found=bits(float("nan")), dtype="f32")
    assert desk.write(mismatch.keep, run, [found_at(9), odd, odd]) == 1
    told = desk.read(events.page, run, before).events
    assert [event["number"] for event in told] == [before + 1, before + 2, before + 3]
    last: Any = told[-1]
    assert last["created_at"]
    assert {key: value for key, value in last.items() if key not in {"number", "created_at"}} == {
        "kind": "mismatch",
        "id": run,
        "generation": 1,
        "mismatch": 3,
        "worker": "18",
        "parameter": "lr",
        "step": 9,
        "expected": "1.0",
        "found": "NaN",
        "dtype": "f32",
    }
    (shown,) = desk.read(show.show, run)["attention"]
    assert (shown["kind"], shown["step"], shown["count"]) == ("mismatch", 8, 3)
    assert "worker 17 applied lr = 2 at step 8, where 1 was served" in shown["message"]
    page, after = desk.read(mismatch.page, "gpt", 0, 2)
    assert ([each["number"] for each in page], after) == ([1, 2], 2)
    page, after = desk.read(mismatch.page, "gpt", 2, 2)
    assert ([each["worker"] for each in page], after) == (["18"], None)


@pytest.mark.parametrize(
    ("found", "dtype", "written"),
    [
        (4e-5, "f64", "4e-5"),
        (float(np.float32(4e-5)), "f32", "4e-5"),
        (float(np.float32(0.1)), "f64", "0.10000000149011612"),
        (1e22, "f64", "1e22"),
        (float("-inf"), "f32", "-inf"),
    ],
)
def test_what_was_applied_is_written_as_in_tables(
    desk: Desk, run: str, found: float, dtype: Any, written: str
) -> None:
    """As short as it reads back in its slot, with the exponent that people write."""
    desk.write(mismatch.keep, run, [found_at(8, found=bits(found), dtype=dtype)])
    (shown,) = desk.read(show.show, run)["attention"]
    assert f"applied lr = {written} at step 8, where 1 was served" in shown["message"]


def test_a_finished_run_keeps_mismatches_and_tells_none(desk: Desk, run: str) -> None:
    """Its last event is its end."""
    desk.write(close.finish, run, 64, Note("ann"))
    before = desk.read(events.page, run, 0).events[-1]
    assert before["kind"] == "finished"
    assert desk.write(mismatch.keep, run, [found_at(8)]) == 1
    assert desk.read(events.page, run, before["number"]).over
    assert len(desk.read(mismatch.page, run, 0, 9)[0]) == 1


def test_who_is_wrong_again_is_told_to_be(desk: Desk, run: str) -> None:
    """P12: a mismatch is told again of a new session, and so is one for which there is no room."""

    def told_at() -> list[Any]:
        query = select(tables.mismatches).order_by(tables.mismatches.c.number)
        rows = desk.read(lambda records: records.connection.execute(query).all())
        return [(row.at, row.told_at) for row in rows]

    mine = [found_at(step) for step in range(MAX_WORKER_MISMATCHES)]
    desk.write(mismatch.keep, run, [*mine, found_at(0, "18")])
    before = told_at()
    assert all(at == told for at, told in before)
    assert desk.write(mismatch.keep, run, [mine[3], found_at(1000)]) == 0
    after = told_at()
    assert [at for at, _ in after] == [at for at, _ in before]
    later = [number for number, (at, told) in enumerate(after) if told > at]
    assert later == [3, MAX_WORKER_MISMATCHES - 1]


def test_when_one_was_wrong_is_by_the_databases_clock(
    desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its session's beginning is: a replica whose own is late would make it right again."""
    monkeypatch.setattr(clock, "read", lambda _: 4e9)
    desk.write(mismatch.keep, run, [found_at(3)])
    row = desk.read(lambda records: records.connection.execute(select(tables.mismatches)).one())
    assert (row.at, row.told_at) == ("2096-10-02T07:06:40.000000+00:00",) * 2


def test_a_replica_whose_clock_is_slow_tells_who_is_wrong(
    desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: by when a worker went wrong is told by the clock that tells when its session began."""
    monkeypatch.setattr(clock, "read", lambda _: time.time() + 3600)
    roster = Roster()
    roster.hear(run, Beat(1, (said("17"),)), presence.now())
    desk.write(mismatch.keep, run, [found_at(1)])
    assert desk.read(operations_of_workers.crowd, run, roster).counts["wrong"] == 1


def test_one_worker_does_not_fill_the_list(desk: Desk, run: str) -> None:
    """P13: so many are kept of each in a generation, and of all of it half of what is left."""
    mine = [found_at(step) for step in range(MAX_WORKER_MISMATCHES + 1)]
    assert desk.write(mismatch.keep, run, mine) == MAX_WORKER_MISMATCHES
    assert desk.write(mismatch.keep, run, mine[-1:]) == 0
    others = [found_at(8, f"rank-{rank}") for rank in range(MAX_MISMATCHES)]
    half = MAX_MISMATCHES // 2
    assert desk.write(mismatch.keep, run, others) == half - MAX_WORKER_MISMATCHES
    assert desk.write(mismatch.keep, run, others) == 0
    assert len(desk.read(mismatch.page, run, 0, 2 * MAX_MISMATCHES)[0]) == half


def test_loud_workers_leave_room_for_the_others(desk: Desk, run: str) -> None:
    """P13: where a hundred workers are wrong at every step, all are named, and some more."""
    loud = [found_at(step, f"rank-{rank}") for rank in range(100) for step in range(32)]
    kept = desk.write(mismatch.keep, run, loud)
    assert kept < MAX_MISMATCHES // 2
    named = {each["worker"] for each in desk.read(mismatch.page, run, 0, MAX_MISMATCHES)[0]}
    assert named == {f"rank-{rank}" for rank in range(100)}
    assert desk.write(mismatch.keep, run, [found_at(9, "another")]) == 1


def test_generations_leave_room_for_those_to_come(desk: Desk, run: str) -> None:
    """P12: after nine rewinds from trainings in which all was wrong a worker is named still."""
    total = 0
    for generation in range(1, 10):
        wrong = [
            found_at(8, f"rank-{rank}")._replace(generation=generation) for rank in range(1_000)
        ]
        kept = desk.write(mismatch.keep, run, wrong)
        assert kept >= 1
        total += kept
    assert total <= MAX_MISMATCHES

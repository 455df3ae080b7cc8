"""Stops, pauses and resumptions, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.store.conftest import BODY, Desk

from rheostat import wire
from rheostat.errors import (
    Finished,
    Invalid,
    NotPending,
    Paused,
    RevisionMismatch,
    StaleGeneration,
    Stopped,
    TooLate,
)
from rheostat.limits import MAX_STOPS
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, create, events, fork, revise, show
from rheostat.server.store.operations.advance import AdvanceRequest, advance
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.stop import ResumeRequest, StopRequest, resume, stop

ANN = Note("ann", "diverged")
SCALE = {"lr": {"edit": "scale", "factor": 0.5}}


def halt(desk: Desk, effective: Any = "next", *, hold: bool = False, **more: Any) -> wire.Halted:
    """Stop the run ``gpt``, or pause it."""
    return desk.write(stop, "gpt", StopRequest(effective, hold, note=ANN, **more))


def go_on(desk: Desk, until: int | None = None) -> wire.Resumed:
    """Resume the run ``gpt``."""
    return desk.write(resume, "gpt", ResumeRequest(until))


def take_back(desk: Desk, number: int) -> wire.Cancelled:
    """Cancel a revision of the run ``gpt``."""
    return desk.write(revise.cancel, "gpt", number, None, Note("bob"))


def kinds(desk: Desk) -> list[str]:
    """Return the kinds of what happened to the run, but for what was settled."""
    page = desk.read(events.page, "gpt", 0)
    return [event["kind"] for event in page.events if event["kind"] != "settled"]


def stops(desk: Desk) -> list[tuple[int, int, bool, bool]]:
    """Return the stops and pauses that the run shows."""
    state = desk.read(show.show, "gpt")
    return [(s["revision"], s["effective"], s["hold"], s["told"]) for s in state["stops"]]


def test_a_stop_is_met_by_all_at_one_step(desk: Desk) -> None:
    """P2: it lies past what anybody was given, is told with its reason, and is not finished."""
    run = desk.create()
    desk.settle(run, 0, 8)
    made = halt(desk)
    assert (made["revision"], made["effective"]) == (2, 8)
    assert desk.settle(run, 0, 8)
    with pytest.raises(Stopped) as refusal:
        desk.settle(run, 8, 1)
    told = {"end": 8, "revision": 2, "author": "ann", "message": "diverged", "best": None}
    assert {key: refusal.value.members[key] for key in told} == told
    assert desk.join()["stop"] == 8
    state = desk.read(show.show, "gpt")
    assert (state["end"], state["settled_until"], state["paused"]) == (None, 8, False)


def test_a_stop_is_told_by_who_begins_past_it(desk: Desk) -> None:
    """A read that crosses it tells nobody, since its worker reads on up to it; it is kept."""
    run = desk.create()
    halt(desk, 8)
    with pytest.raises(Stopped):
        desk.settle(run, 4, 8)
    assert stops(desk) == [(2, 8, False, False)]
    assert desk.settle(run, 4, 4)
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)
    desk.restart()
    assert stops(desk) == [(2, 8, False, True)]
    assert not desk.read(show.revision, "gpt", 2)["pending"]


def test_a_stop_is_taken_back_until_it_is_told(desk: Desk) -> None:
    """P2: otherwise one rank would end and another train on; a rewind lifts it, which is told."""
    run = desk.create()
    halt(desk, 8)
    assert desk.read(show.revision, "gpt", 2)["pending"]
    assert take_back(desk, 2)["cancelled"] == 2
    assert stops(desk) == []
    desk.settle(run, 0, 12)
    halt(desk)
    with pytest.raises(Stopped):
        desk.settle(run, 12, 4)
    with pytest.raises(NotPending) as refusal:
        take_back(desk, 4)
    assert refusal.value.members == {
        "state": "told",
        "rewind": {"to": 12, "from_generation": 1},
    }
    assert kinds(desk) == ["stopped", "cancelled", "stopped"]


def test_a_rewind_lifts_a_told_stop(desk: Desk) -> None:
    """P6: the new generation goes on; in the old one every rank still hears that it ended."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk)
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)
    changed = desk.revise(SCALE)
    assert changed["effective"] == 8
    with pytest.raises(NotPending) as refusal:
        go_on(desk)
    desk.write(rewind, "gpt", RewindRequest(**refusal.value.members["rewind"]))
    with pytest.raises(Stopped) as late:
        desk.settle(run, 8, 1, generation=1)
    assert (late.value.members["end"], late.value.members["author"]) == (8, "ann")
    assert desk.settle(run, 8, 1, generation=2)[0] == [46]  # half of 100 - 8
    assert desk.join()["stop"] is None


def test_an_untold_stop_drops_with_a_rewind(desk: Desk) -> None:
    """P6: whoever is a generation late is fenced, and does not end."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, 12)
    halt(desk, 20, hold=True)
    desk.write(rewind, "gpt", RewindRequest(4))
    assert stops(desk) == []
    with pytest.raises(StaleGeneration):
        desk.settle(run, 8, 16, generation=1)
    assert desk.settle(run, 4, 20, generation=2)


def test_a_stride_may_end_before_a_stop(desk: Desk) -> None:
    """What lifts a stop is possible: nobody has come to it, so a rewind goes to what is settled."""
    run = desk.create(axis="tokens")
    desk.settle(run, 0, 9)
    halt(desk, 10)
    with pytest.raises(Stopped):
        desk.settle(run, 12, 1)
    with pytest.raises(NotPending) as refusal:
        take_back(desk, 2)
    rewound = refusal.value.members["rewind"]
    assert rewound == {"to": 9, "from_generation": 1}
    assert desk.write(rewind, "gpt", RewindRequest(**rewound))["generation"] == 2


def test_the_nearest_stop_counts(desk: Desk) -> None:
    """A nearer one is met first, and the further one when that is taken back."""
    run = desk.create()
    halt(desk, 16)
    halt(desk, 8)
    with pytest.raises(Stopped) as refusal:
        desk.settle(run, 4, 16)
    assert refusal.value.members["revision"] == 3
    take_back(desk, 3)
    assert desk.settle(run, 4, 12)


def test_nothing_halts_past_a_told_stop(desk: Desk) -> None:
    """All ranks end where one has; only a pause may still come before."""
    run = desk.create()
    halt(desk, 8)
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)
    for effective, hold in (("next", False), (4, False), (8, True), (16, True)):
        with pytest.raises(Stopped) as refusal:
            halt(desk, effective, hold=hold)
        assert refusal.value.members["author"] == "ann"
    assert halt(desk, 4, hold=True)["effective"] == 4


def test_a_pause_is_always_taken_back(desk: Desk) -> None:
    """Nobody ends by it: reads go on where they held, and no generation is begun."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, hold=True)
    with pytest.raises(Paused) as refusal:
        desk.settle(run, 8, 1)
    assert refusal.value.members["end"] == 8
    assert desk.read(show.show, "gpt")["paused"]
    assert desk.read(show.revision, "gpt", 2)["pending"]
    assert take_back(desk, 2)["revision"] == 3
    assert desk.settle(run, 8, 1)
    assert kinds(desk) == ["paused", "resumed"]


def test_a_change_during_a_pause_holds_from_there(desk: Desk) -> None:
    """P2: what a pause is for: look, change, and go on, at one step for all."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, hold=True)
    assert desk.revise(SCALE)["effective"] == 8
    go_on(desk)
    assert desk.settle(run, 8, 1)[0] == [46]


def test_a_resumption_ends_every_pause_that_holds(desk: Desk) -> None:
    """Those further on stay; `until` holds the run again, in the same transaction."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, hold=True)
    halt(desk, 8, hold=True)
    halt(desk, 64, hold=True)
    answer = go_on(desk, until=16)
    assert answer == {"revision": 5, "pause": 6, "cancelled": [2, 3], "settled_until": 8}
    assert stops(desk) == [(6, 16, True, False), (4, 64, True, False)]
    assert desk.settle(run, 8, 8)
    with pytest.raises(Paused):
        desk.settle(run, 16, 1)
    assert kinds(desk) == ["paused", "paused", "paused", "resumed", "paused"]
    assert go_on(desk)["pause"] is None
    assert desk.read(show.revision, "gpt", 3)["cancelled"]


def test_what_is_not_held_is_not_resumed(desk: Desk) -> None:
    """The refusal says so, and a pause that lies ahead stays."""
    run = desk.create()
    with pytest.raises(NotPending):
        go_on(desk)
    halt(desk, 8, hold=True)
    with pytest.raises(NotPending, match="it will hold at 8"):
        go_on(desk)
    desk.settle(run, 0, 8)
    for until in (4, 8):
        with pytest.raises(TooLate) as refusal:
            go_on(desk, until=until)
        assert refusal.value.members == {"earliest": 9}
    go_on(desk)


def test_a_stop_during_a_pause_wins(desk: Desk) -> None:
    """Who waits ends there, and the run is not paused any more."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, hold=True)
    halt(desk)
    assert not desk.read(show.show, "gpt")["paused"]
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)


def test_a_run_is_created_paused(desk: Desk) -> None:
    """It waits to be looked at; whoever sends its body again finds it, resumed or not."""
    run = desk.create(paused=True)
    with pytest.raises(Paused) as refusal:
        desk.settle(run, 0, 1)
    assert refusal.value.members["end"] == 0
    assert desk.read(show.show, "gpt")["revision"] == 2
    assert kinds(desk) == ["paused"]
    go_on(desk)
    assert not desk.read(show.show, "gpt")["paused"]
    assert desk.settle(run, 0, 1)
    assert not desk.write(create.ensure, {**BODY, "paused": True}, Note())[1]


def test_a_fork_copies_no_stop(desk: Desk) -> None:
    """It trains on where its source has ended, or holds."""
    run = desk.create(paused=True)
    go_on(desk)
    desk.settle(run, 0, 8)
    halt(desk)
    halt(desk, 16, hold=True)
    body = {"name": "decay", "from": {"run": "gpt", "step": 8}}
    made = desk.write(fork.fork, body, Note())
    assert (made["stops"], made["paused"]) == ([], False)
    assert desk.settle(made["id"], 8, 16)


def test_finishing_takes_back_what_nobody_ended_by(desk: Desk) -> None:
    """The end is where it says: pending stops and pauses are cancelled by it."""
    run = desk.create()
    halt(desk, 8)
    halt(desk, 4, hold=True)
    finished = desk.write(close.finish, "gpt", 16, ANN)
    assert (finished["end"], finished["stops"]) == (16, [])
    assert desk.read(show.revision, "gpt", 2)["cancelled"]
    assert desk.settle(run, 0, 16)
    with pytest.raises(Finished) as refusal:
        desk.settle(run, 16, 1)
    assert not isinstance(refusal.value, Stopped)


def test_a_run_is_not_finished_past_a_told_stop(desk: Desk) -> None:
    """P2: the ranks that are still on their way end where the first one did."""
    run = desk.create()
    desk.settle(run, 0, 4)
    halt(desk, 8)
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)
    with pytest.raises(Stopped) as refusal:
        desk.write(close.finish, "gpt", 9, ANN)
    assert refusal.value.members["end"] == 8
    desk.write(close.finish, "gpt", 8, ANN)
    assert desk.settle(run, 4, 4)
    with pytest.raises(Stopped):
        desk.settle(run, 8, 1)
    for refused in (halt, go_on):
        with pytest.raises(Finished):
            refused(desk)


def test_the_settled_end_does_not_move_past_a_stop(desk: Desk) -> None:
    """P2: an advance goes up to it; a training that begins further is refused."""
    desk.create()
    halt(desk, 1000)
    with pytest.raises(Stopped) as refusal:
        desk.write(advance, "gpt", AdvanceRequest(1001))
    assert refusal.value.members["message"] == "diverged"
    assert desk.join(start=1000)["begins"] == 1000


def test_a_signal_comes_with_a_stop_as_one_revision(desk: Desk) -> None:
    """It is kept with it, told by events, and taken back with it."""
    desk.create()
    assert halt(desk, 8, signal="checkpoint")["revision"] == 2
    kept = desk.read(show.revision, "gpt", 2)
    assert kept["data"] == {"signal": "checkpoint", "arguments": {}}
    (event,) = desk.read(events.page, "gpt", 0).events
    assert (event["kind"], event["data"]) == ("stopped", kept["data"])  # type: ignore[typeddict-item]
    with pytest.raises(Invalid) as refusal:
        halt(desk, signal="Not a word")
    assert refusal.value.errors[0].field == "signal.signal"


def test_bad_stops_change_nothing(desk: Desk) -> None:
    """P10: each is refused by what is wrong, and the history is as it was."""
    run = desk.create(resolution=4)
    desk.settle(run, 0, 4)
    with pytest.raises(TooLate) as late:
        halt(desk, 12)
    assert late.value.members == {"earliest": 16}
    with pytest.raises(Invalid, match="multiple of the resolution 4"):
        halt(desk, 18)
    with pytest.raises(RevisionMismatch):
        halt(desk, expected_revision=2)
    assert desk.read(show.show, "gpt")["revision"] == 1


def test_there_are_few_stops(desk: Desk) -> None:
    """P13: each read looks at all of them, so their number is bounded."""
    desk.create()
    for step in range(MAX_STOPS):
        halt(desk, step, hold=True)
    with pytest.raises(Invalid) as refusal:
        halt(desk)
    assert refusal.value.errors[0].bound == f"<= {MAX_STOPS}"

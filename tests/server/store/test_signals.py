"""Signals in the store, on both databases: where they land, who is told, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    Finished,
    Invalid,
    NotPending,
    RevisionMismatch,
    Stopped,
    TooLate,
)
from rheostat.limits import MAX_PENDING_SIGNALS
from rheostat.server.runs import spec
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import Block, BlockRequest
from rheostat.server.store.operations import (
    close,
    fork,
    plan,
    revise,
    rewind,
    room,
    show,
    stop,
    values,
)
from rheostat.server.store.operations.refusals import Refusal, signals_at
from rheostat.server.store.operations.rewind import RewindRequest
from rheostat.server.store.operations.room import WITHIN_BLOCK, crowded
from rheostat.server.store.operations.signal import SignalRequest, signal
from rheostat.server.store.operations.stop import ResumeRequest, StopRequest
from rheostat.server.store.records import Records

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def send(desk: Desk, word: str, effective: Any = "next", **rest: Any) -> wire.Signalled:
    """Send a signal to the run ``gpt``."""
    return desk.write(signal, "gpt", SignalRequest(word, effective=effective, **rest))


def told(desk: Desk, run: str, start: int, count: int, generation: int = 1) -> list[Any]:
    """Settle a block, and return what it tells: step, word and revision of each signal."""
    block = desk.write(values.settle, run, BlockRequest(generation, start, count))
    assert isinstance(block, Block)
    return [(each.at, each.word, each.revision) for each in block.signals]


def test_next_is_the_first_open_step(desk: Desk) -> None:
    """P2: a signal is told at a step that no worker had been given, to whoever reads it."""
    run = desk.create()
    assert told(desk, run, 0, 4) == []
    sent = send(desk, "checkpoint")
    assert (sent["revision"], sent["effective"], sent["beyond"]) == (2, 4, 4)
    assert told(desk, run, 4, 4) == [(4, "checkpoint", 2)]


def test_a_block_tells_those_in_its_cells_and_in_the_gap_before(desk: Desk) -> None:
    """A worker that reads one cell in `max_gap` misses none, and hears of none to come."""
    run = desk.create()
    for step in (0, 100, 299, 300):
        send(desk, "evaluate", step)
    desk.settle(run, 0, 100)
    assert told(desk, run, 299, 1) == [(100, "evaluate", 3), (299, "evaluate", 4)]
    assert told(desk, run, 256, 4) == [(0, "evaluate", 2), (100, "evaluate", 3)]
    assert told(desk, run, 257, 44)[0] == (100, "evaluate", 3)
    assert told(desk, run, 257, 44)[-1] == (300, "evaluate", 5)


def test_a_block_tells_the_same_for_ever(desk: Desk) -> None:
    """P1: of settled cells the signals never change: across restarts, later signals and rewinds."""
    run = desk.create()
    send(desk, "checkpoint", 3)
    send(desk, "evaluate", 9)
    first = {shape: told(desk, run, *shape) for shape in ((0, 8), (3, 1), (2, 6))}
    desk.write(revise.cancel, "gpt", 3, None, Note())
    send(desk, "late")
    told(desk, run, 8, 8)
    desk.restart()
    assert {shape: told(desk, run, *shape) for shape in first} == first
    desk.write(rewind.rewind, "gpt", RewindRequest(1))
    assert {shape: told(desk, run, *shape) for shape in first} == first
    assert told(desk, run, 0, 2, generation=2) == []


def test_what_is_remembered_is_what_is_stored(desk: Desk) -> None:
    """P1: a block that a process makes from memory tells what a fresh process tells."""
    run = desk.create()
    kept = {}
    for step in range(0, 48, 4):
        send(desk, "checkpoint", step + step % 3)
        kept[step] = told(desk, run, step, 4)
    desk.restart()
    assert {step: told(desk, run, step, 4) for step in kept} == kept


def test_what_was_not_committed_is_not_remembered(desk: Desk) -> None:
    """P7: a number that a failed transaction gives back is another signal's."""
    run = desk.create()

    def undone(records: Records) -> None:
        signal(records, "gpt", SignalRequest("lost", effective=2))
        values.settle(records, run, BlockRequest(1, 0, 1))
        raise MemoryError

    with pytest.raises(MemoryError):
        desk.write(undone)
    assert send(desk, "checkpoint", 3)["revision"] == 2
    assert told(desk, run, 0, 8) == [(3, "checkpoint", 2)]


def test_ancestors_signals_are_told_below_a_branch_alone(desk: Desk) -> None:
    """A rewind, and a fork, inherit the signals below where they branch, and none from there on."""
    run = desk.create()
    for step in (2, 6, 8):
        send(desk, "checkpoint", step)
    told(desk, run, 0, 10)
    desk.write(rewind.rewind, "gpt", RewindRequest(6))
    assert told(desk, run, 6, 4, generation=2) == [(2, "checkpoint", 2)]
    origin = {"run": "gpt", "generation": 1, "step": 7}
    made = desk.write(fork.fork, {"name": "decay", "from": origin}, Note())
    assert told(desk, made["id"], 7, 4) == [(2, "checkpoint", 2), (6, "checkpoint", 3)]


@pytest.mark.parametrize(("to", "kept"), [(5, []), (6, [])])
def test_a_rewind_to_or_before_it_drops_a_pending_signal(
    desk: Desk, to: int, kept: list[Any]
) -> None:
    """A signal at or past where a rewind goes is told to nobody of the new generation."""
    run = desk.create()
    desk.settle(run, 0, 6)
    send(desk, "checkpoint", 6)
    desk.write(rewind.rewind, "gpt", RewindRequest(to))
    assert told(desk, run, to, 8, generation=2) == kept
    assert desk.read(show.show, "gpt")["pending"] == []


def test_a_pending_signal_is_shown_and_can_be_cancelled(desk: Desk) -> None:
    """What waits is listed with its step and data; taken back, it is told to nobody."""
    run = desk.create()
    desk.revise(HALVE, 8)
    send(desk, "checkpoint", 6, note=Note("ann", "before the decay"))
    shown = desk.read(show.show, "gpt")["pending"]
    assert [(each["revision"], each["effective"]) for each in shown] == [(3, 6), (2, 8)]
    assert shown[0]["data"] == {"signal": "checkpoint", "arguments": {}}
    assert shown[0]["pending"]
    cancelled = desk.write(revise.cancel, "gpt", 3, None, Note())
    assert [each["revision"] for each in cancelled["pending"]] == [2]
    assert told(desk, run, 0, 16) == []
    assert desk.settle(run, 0, 10)[0][7:] == [93, 46, 45.5]


def test_a_settled_signal_cannot_be_cancelled(desk: Desk) -> None:
    """P1: what a block may have told stays told."""
    run = desk.create()
    send(desk, "checkpoint", 3)
    desk.settle(run, 0, 4)
    with pytest.raises(NotPending):
        desk.write(revise.cancel, "gpt", 2, None, Note())


def test_it_changes_no_value(desk: Desk) -> None:
    """A signal between changes leaves what they fold to as it was."""
    run = desk.create()
    desk.revise(HALVE, 4)
    send(desk, "checkpoint", 4)
    desk.revise(HALVE, 4)
    assert desk.settle(run, 2, 4)[0] == [98, 97, 24, 23.75]


def test_a_plan_shows_signals_with_their_steps(desk: Desk) -> None:
    """Past and future ones of the line are there, by rising step."""
    run = desk.create()
    send(desk, "checkpoint", 3)
    desk.settle(run, 0, 5)
    send(desk, "evaluate", 50)
    found = desk.read(plan.plan, "gpt", 0, 100, 10, 1000)
    assert found["signals"] == [
        {"at": 3, "signal": "checkpoint", "revision": 2},
        {"at": 50, "signal": "evaluate", "revision": 3},
    ]


def test_what_is_refused_changes_nothing(desk: Desk) -> None:
    """P10: too late, off the grid, an old revision, a finished run: each by its own error."""
    run = desk.create(resolution=2)
    desk.settle(run, 0, 4)
    refusals: list[tuple[type[Exception], dict[str, Any]]] = [
        (TooLate, {"effective": 6}),
        (Invalid, {"effective": 9}),
        (RevisionMismatch, {"expected_revision": 7}),
        (Invalid, {"arguments": {"tag": "x"}}),
        (Invalid, {"note": Note("ann", 5000 * "x")}),
    ]
    for error, request in refusals:
        with pytest.raises(error):
            send(desk, "checkpoint", **request)
    desk.write(close.finish, "gpt", 100, Note())
    with pytest.raises(Finished):
        send(desk, "checkpoint")
    assert desk.read(show.show, "gpt")["revision"] == 2


@pytest.mark.parametrize("effective", ["next", 8, 12])
def test_at_or_past_a_told_stop_it_is_refused(desk: Desk, effective: Any) -> None:
    """Nobody comes to a step past a stop by which a worker ended; before it, words are taken."""
    run = desk.create()
    desk.settle(run, 0, 8)
    halt(desk, 8, hold=False)
    refused(desk, run, 8, 4)
    with pytest.raises(Stopped) as refusal:
        send(desk, "checkpoint", effective)
    assert refusal.value.members["end"] == 8


def test_a_stop_that_was_not_told_lets_words_past_it(desk: Desk) -> None:
    """It can still be taken back, so what is said past it may be told one day."""
    desk.create()
    halt(desk, 8, hold=False)
    assert send(desk, "checkpoint", 12)["effective"] == 12


def at(records: Records, step: int) -> list[str]:
    """Return the words at a step of the run ``gpt``."""
    run = records.find("gpt")
    return [each.word for each in signals_at(records, run, records.lineage(run), step)]


def test_the_signals_at_an_end_are_known(desk: Desk) -> None:
    """A refusal tells those at its step, in their order, and no other."""
    desk.create()
    for word, step in (("b", 8), ("a", 8), ("c", 9), ("d", 7)):
        send(desk, word, step)
    assert desk.read(at, 8) == ["b", "a"]


def halt(desk: Desk, step: int, *, hold: bool, word: str | None = None) -> int:
    """Stop or pause the run ``gpt``, maybe with a word, and return the revision."""
    return desk.write(stop.stop, "gpt", StopRequest(step, hold, signal=word))["revision"]


def refused(desk: Desk, run: str, start: int, count: int, generation: int = 1) -> Refusal:
    """Read past where the run ends or holds."""
    found = desk.write(values.settle, run, BlockRequest(generation, start, count))
    assert isinstance(found, Refusal)
    return found


def words(refusal: Refusal) -> list[Any]:
    """Return what a refusal tells: step, word and revision of each signal."""
    told = refusal.error.members["signals"]
    return [(each["at"], each["signal"], each["revision"]) for each in told]


@pytest.mark.parametrize("hold", [True, False])
def test_a_refusal_tells_the_signals_at_its_step(desk: Desk, hold: bool) -> None:  # noqa: FBT001
    """All ranks that come to a stop or a pause hear the same, its own word among them."""
    run = desk.create()
    halt(desk, 8, hold=hold, word="checkpoint")
    send(desk, "evaluate", 8)
    send(desk, "late", 9)
    assert told(desk, run, 0, 8) == []
    for _ in range(3):
        assert words(refused(desk, run, 8, 4)) == [(8, "checkpoint", 2), (8, "evaluate", 3)]
    desk.write(rewind.rewind, "gpt", RewindRequest(8))
    assert told(desk, run, 8, 4, generation=2) == []
    if not hold:
        left = refused(desk, run, 8, 4)
        assert words(left) == [(8, "checkpoint", 2), (8, "evaluate", 3)]


@pytest.mark.parametrize("heard", [True, False])
def test_what_a_rank_has_heard_at_a_pause_all_hear(desk: Desk, heard: bool) -> None:  # noqa: FBT001
    """P2: a pause that is resumed leaves a word that one rank has acted on, and else takes it."""
    run = desk.create()
    halt(desk, 8, hold=True, word="checkpoint")
    send(desk, "evaluate", 8)
    desk.settle(run, 0, 8)
    crossing = refused(desk, run, 4, 8)
    assert crossing.untold == (2, 3)
    if heard:
        assert refused(desk, run, 8, 4).untold == refused(desk, run, 8, 4).untold == ()
        assert refused(desk, run, 4, 8).untold == ()
        with pytest.raises(NotPending):
            desk.write(revise.cancel, "gpt", 3, None, Note())
    else:
        desk.write(revise.cancel, "gpt", 3, None, Note())
    desk.write(stop.resume, "gpt", ResumeRequest())
    after = told(desk, run, 8, 4)
    assert after == ([(8, "checkpoint", 2), (8, "evaluate", 3)] if heard else [])
    desk.restart()
    assert told(desk, run, 8, 4) == after
    assert desk.read(show.show, "gpt")["pending"] == []


def test_the_words_of_stops_count_with_the_others(desk: Desk) -> None:
    """P10: a stop's word is understood, and said once at a step, as a signal's is."""
    desk.create(signals={"checkpoint": {}})
    halt(desk, 8, hold=True, word="checkpoint")
    with pytest.raises(Invalid, match="already"):
        send(desk, "checkpoint", 8)
    with pytest.raises(Invalid) as refusal:
        halt(desk, 9, hold=False, word="save")
    assert refusal.value.errors[0].field == "signal.signal"


def test_a_finished_run_tells_the_words_at_its_end(desk: Desk) -> None:
    """Who comes to the end hears what was sent for it."""
    run = desk.create()
    send(desk, "checkpoint", 8)
    desk.write(close.finish, "gpt", 8, Note())
    assert words(refused(desk, run, 8, 4)) == [(8, "checkpoint", 2)]


def test_a_word_is_said_once_at_a_step(desk: Desk) -> None:
    """P10: a second one of the same step is refused, and names the first."""
    desk.create()
    send(desk, "checkpoint", 8)
    send(desk, "evaluate", 8)
    send(desk, "checkpoint", 9)
    with pytest.raises(Invalid, match="revision 2 says checkpoint at step 8") as refusal:
        send(desk, "checkpoint", 8)
    (wrong,) = refusal.value.errors
    assert wrong.field == "signal"


def test_few_signals_wait(desk: Desk) -> None:
    """P10: one more than the bound is refused, until one is taken back or told."""
    desk.create()
    for step in range(MAX_PENDING_SIGNALS):
        send(desk, "checkpoint", step)
    with pytest.raises(Invalid) as refusal:
        send(desk, "checkpoint", 90)
    assert refusal.value.errors[0].bound == f"<= {MAX_PENDING_SIGNALS}"
    desk.write(revise.cancel, "gpt", 2, None, Note())
    send(desk, "checkpoint", 90)


@pytest.mark.parametrize("last", ["signal", "change"])
def test_few_revisions_take_effect_within_a_block(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """P10: changes and signals count together, and those further away do not."""
    monkeypatch.setattr(room, "WITHIN_BLOCK", 6)
    desk.create(max_block=16, max_jump=16)
    for step in (16, 20, 31):
        desk.revise(HALVE, step)
        send(desk, "checkpoint", step)
    more: Callable[[int], Any] = (
        (lambda step: send(desk, "evaluate", step))
        if last == "signal"
        else (lambda step: desk.revise(HALVE, step))
    )
    with pytest.raises(Invalid) as refusal:
        more(20)
    assert refusal.value.errors[0].field == "effective"
    more(47)


def test_every_window_that_holds_a_step_counts() -> None:
    """Steps on both sides are too many only if they lie within one width."""
    left, right = [10] * (WITHIN_BLOCK // 2), [24] * (WITHIN_BLOCK // 2)
    assert crowded([*left, *right], 17, 15)
    assert not crowded([*left, *right], 17, 14)
    assert not crowded([*left, *right[1:]], 17, 15)


class Model:
    """The signals of a run, as a list: what a block has to tell follows from it alone."""

    def __init__(self) -> None:
        self.generations = {1: (0, 0)}
        """By number: the parent, and where it branches."""
        self.settled = {1: 0}
        self.revision = 1
        self.sent: dict[int, tuple[int, int]] = {}
        """By revision: the generation and the step."""

    @property
    def current(self) -> int:
        """The newest generation."""
        return max(self.generations)

    def tells(self, generation: int, start: int, stop: int) -> list[tuple[int, int]]:
        """Return step and revision of the signals of a line from ``start`` to ``stop``."""
        found: list[tuple[int, int]] = []
        while generation:
            parent, begins = self.generations[generation]
            found += [
                (step, revision)
                for revision, (owner, step) in self.sent.items()
                if owner == generation and max(start, begins) <= step < stop
            ]
            generation, stop = parent, min(stop, begins)
        return sorted(found)


GAP = 8


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_tell_what_was_sent(  # noqa: C901 - each branch is one operation
    desk: Desk, desk_at: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """P1, P2: every block tells what was sent for it, and the same for ever, on two replicas."""
    monkeypatch.setattr(spec, "MAX_GAP", GAP)
    chance, model, run = Random(seed), Model(), desk.create()
    desks = [desk, desk_at(desk.url)]
    kept: dict[tuple[int, int, int], list[tuple[int, int]]] = {}

    def read(generation: int, start: int, count: int) -> None:
        asked = BlockRequest(generation, start, count)
        block = chance.choice(desks).write(values.settle, run, asked)
        assert isinstance(block, Block)
        here = [(each.at, each.revision) for each in block.signals]
        assert here == model.tells(generation, start - GAP, start + count)
        assert kept.setdefault((generation, start, count), here) == here
        model.settled[generation] = max(model.settled[generation], start + count)

    for _ in range(120):
        settled, someone = model.settled[model.current], chance.choice(desks)
        match chance.choice("sssssaacr" + "o" * bool(kept)):
            case "s":
                read(model.current, settled + chance.randrange(GAP // 2), chance.randint(1, 6))
            case "o":
                read(*chance.choice([*kept]))
            case "a":
                step = settled + chance.randrange(12)
                try:
                    sent = someone.write(signal, "gpt", SignalRequest("x", effective=step))
                except Invalid:
                    continue
                model.revision += 1
                assert sent["revision"] == model.revision
                model.sent[model.revision] = (model.current, step)
            case "c":
                owner = model.current
                open_ = [r for r, (g, step) in model.sent.items() if (g, step) >= (owner, settled)]
                if open_:
                    gone = chance.choice(open_)
                    someone.write(revise.cancel, "gpt", gone, None, Note())
                    del model.sent[gone]
                    model.revision += 1
            case "r" if chance.random() < 0.3:
                source = chance.choice([*model.generations])
                to = chance.randint(0, model.settled[source])
                someone.write(rewind.rewind, "gpt", RewindRequest(to, source))
                model.revision += 1
                new = model.current + 1
                model.generations[new], model.settled[new] = (source, to), to
    desks.pop().store.close()
    desk.restart()
    for shape in kept:
        read(*shape)

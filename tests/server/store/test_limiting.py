"""Limits of tokens in the store, on both databases: what counts, what is free, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.server.store.conftest import LINE, Desk

from rheostat import wire
from rheostat.errors import (
    Forbidden,
    GuardViolated,
    Invalid,
    LimitReached,
    RateLimited,
    UnknownRun,
)
from rheostat.limits import MAX_NOTES, MAX_NOTES_LIMITED, MAX_PAUSES_LIMITED
from rheostat.server.routes.measures import read
from rheostat.server.runs.revision import Note
from rheostat.server.runs.token_limit import FREE, PERIODS, TokenLimit
from rheostat.server.store import clock, tables
from rheostat.server.store.acting import Acting, acting
from rheostat.server.store.operations import close, fork, limiting, propose, revise, show, tokens
from rheostat.server.store.operations.limiting import Refusal
from rheostat.server.store.operations.note import NoteRequest, leave
from rheostat.server.store.operations.propose import Decision, ProposalRequest
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.signal import SignalRequest, signal
from rheostat.server.store.operations.stop import ResumeRequest, StopRequest, resume, stop
from rheostat.server.store.operations.tokens import NewToken
from rheostat.server.store.records import Records

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
DOUBLE = {"lr": {"edit": "scale", "factor": 2.0}}
HOLD = {"lr": {"edit": "hold"}}
SECOND = timedelta(seconds=1)


@dataclass
class Agent:
    """Whoever has a token with a limit, as an operation is told of them."""

    desk: Desk
    limit: str
    name: str = "tuner"

    @contextmanager
    def act(self, act: wire.ProposalKind | None) -> Iterator[None]:
        """Do what is inside on behalf of the token."""
        limit = TokenLimit.parse(self.limit)
        before = acting.set(Acting(act=act, token=self.name, limit=limit))
        try:
            yield
        finally:
            acting.reset(before)

    def why(self, message: str = "a spike") -> Note:
        """Return who it is, and why."""
        return Note(self.name, message)

    def change(self, changes: Any = HALVE, effective: Any = "next", **rest: Any) -> wire.Revised:
        """Change the run ``gpt``."""
        asked = RevisionRequest(changes, effective, note=rest.pop("note", self.why()), **rest)
        with self.act("change"):
            return self.desk.write(revise.revise, "gpt", asked)

    def revert(self, to: int, *names: str, effective: Any = "next") -> wire.Revised:
        """Bring back what a revision had in force, of lr unless other parameters are named."""
        changes = {name: {"edit": "revert", "to": to} for name in names or ("lr",)}
        return self.change(changes, effective)

    def made(self, changes: Any = HALVE) -> int:
        """Change the run, train with that for a step, and return the revision."""
        number = self.change(changes)["revision"]
        self.train()
        return number

    def train(self) -> list[float]:
        """Train a step, and return the values there."""
        state = self.desk.read(show.show, "gpt")
        return [each[0] for each in self.desk.settle(state["id"], state["settled_until"], 1)]

    def cancel(self, number: int) -> wire.Cancelled:
        """Take a revision of the run ``gpt`` back."""
        with self.act("cancel"):
            return self.desk.write(revise.cancel, "gpt", number, None, Note(self.name))

    def stop(self, effective: Any = "next", **rest: Any) -> wire.Halted:
        """Stop the run ``gpt``."""
        with self.act("stop"):
            return self.desk.write(stop, "gpt", StopRequest(effective, note=self.why(), **rest))

    def pause(self, effective: Any = "next", **rest: Any) -> wire.Halted:
        """Pause the run ``gpt``."""
        asked = StopRequest(effective, hold=True, note=Note(self.name), **rest)
        with self.act("pause"):
            return self.desk.write(stop, "gpt", asked)

    def resume(self) -> wire.Resumed:
        """Have the run ``gpt`` go on."""
        with self.act("resume"):
            return self.desk.write(resume, "gpt", ResumeRequest(note=Note(self.name)))

    def signal(self, word: str = "checkpoint", effective: Any = "next") -> wire.Signalled:
        """Send a signal to the run ``gpt``."""
        with self.act("signal"):
            return self.desk.write(
                signal, "gpt", SignalRequest(word, {}, effective, None, self.why())
            )

    def has(self) -> wire.Allowance:
        """Return what is left to it."""

        def use(records: Records) -> wire.Allowance:
            run = records.find("gpt")
            found = limiting.use_of(records, run, records.lineage(run))
            assert found is not None
            return found.to_json()

        with self.act("change"):
            return self.desk.read(use)

    @property
    def left(self) -> int | None:
        """How many changes it may still make."""
        return self.has()["left"]


MakeAgent = Callable[..., Agent]


@pytest.fixture
def agent(desk: Desk) -> MakeAgent:
    """Return what makes a run, unless it is there, and somebody with a limit."""

    def make(limit: str, name: str = "tuner", **fields: Any) -> Agent:
        try:
            desk.read(show.show, "gpt")
        except UnknownRun:
            desk.create(**fields)
        return Agent(desk, limit, name)

    return make


def age(desk: Desk, number: int, by: timedelta) -> None:
    """Write down that a revision was made so much earlier."""

    def write(records: Records) -> None:
        table = tables.revisions
        made = select(table.c.created_at).where(table.c.revision == number)
        at = datetime.fromisoformat(str(records.connection.execute(made).scalar_one()))
        older = update(table).where(table.c.revision == number)
        records.connection.execute(older.values(created_at=clock.stored(at - by)))

    desk.write(write)


def accepted(desk: Desk, kind: wire.ProposalKind, body: Any, by: str = "tuner") -> int:
    """Propose something, have ann accept it, and return the revision that it made."""
    note = Note(by, "an idea")
    made = desk.write(
        propose.propose, "gpt", ProposalRequest(kind, body, note), read(kind, body, note)
    )
    decision = Decision(Note("ann", "yes"), None)
    done = desk.write(propose.accept, "gpt", made["proposal"], decision, read)
    assert done["revision"] is not None
    return done["revision"]


def step_back(desk: Desk, to: int) -> None:
    """Rewind the run, as ann does."""
    desk.write(rewind, "gpt", RewindRequest(to, note=Note("ann")))


# --- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", PERIODS)
def test_so_many_changes_in_the_last_stretch_of_time(agent: MakeAgent, period: str) -> None:
    """The third of two is refused until the first is an hour, a day or a week ago, exactly."""
    tuner = agent(f"changes=2/{period}")
    assert [tuner.left, tuner.change()["revision"]] == [2, 2]
    assert [tuner.left, tuner.change()["revision"]] == [1, 3]
    with pytest.raises(LimitReached, match=f"2 changes of this run in one {period}") as refusal:
        tuner.change()
    (error,) = refusal.value.errors
    assert (error.field, error.value, error.bound) == ("changes", 3, "<= 2")
    left = refusal.value.members["left"]
    assert (left["left"], refusal.value.members["limit"]) == (0, f"changes=2/{period}")
    first = tuner.desk.read(show.revision, "gpt", 2)["created_at"]
    again = datetime.fromisoformat(first) + PERIODS[period]
    assert left["again_at"] == clock.stored(again)
    age(tuner.desk, 2, PERIODS[period] - SECOND * 60)
    assert tuner.left == 0
    age(tuner.desk, 2, SECOND * 60)
    assert tuner.left == 1
    tuner.change()
    assert tuner.left == 0


def test_stops_and_signals_count_and_pauses_do_not(agent: MakeAgent) -> None:
    """Three of three: a change, a signal and a stop, with a pause and its end between them."""
    tuner = agent("changes=3/day")
    tuner.change()
    tuner.signal()
    tuner.pause()
    tuner.resume()
    tuner.stop(100)
    assert tuner.left == 0
    for act in (tuner.change, tuner.signal, tuner.stop):
        with pytest.raises(LimitReached):
            act()
    tuner.pause()
    tuner.resume()


def test_what_was_cancelled_counts_and_needs_no_distance(agent: MakeAgent) -> None:
    """A change that was taken back before it took effect was one: else there is no end."""
    tuner = agent("changes=2/day, gap=50")
    number = tuner.change(effective=40)["revision"]
    with pytest.raises(LimitReached, match="one of them is at 40"):
        tuner.change()
    tuner.cancel(number)
    assert (tuner.left, tuner.has()["from_step"]) == (1, 0)
    tuner.change(effective=39)
    assert tuner.left == 0


def test_each_run_has_its_own_count(agent: MakeAgent) -> None:
    """A limit is of a token and a run; a fork is a run of its own, and not for them to make."""
    tuner = agent("changes=1/day")
    tuner.change()
    body = {"name": "other", "from": {"run": "gpt"}}
    tuner.desk.write(fork.fork, body, Note("ann"))
    asked = RevisionRequest(HALVE, note=tuner.why())
    with tuner.act("change"):
        assert tuner.desk.write(revise.revise, "other", asked)["revision"] == 2
        with pytest.raises(LimitReached):
            tuner.desk.write(revise.revise, "other", asked)


def test_two_tokens_do_not_share(agent: MakeAgent) -> None:
    """What one has done takes nothing from another one, nor what people do from either."""
    first, second = agent("changes=1/day"), agent("changes=1/day", "other")
    first.change()
    first.desk.revise(HALVE)
    second.change()
    assert (first.left, second.left) == (0, 0)


def test_a_name_goes_on_with_what_was_done_under_it(agent: MakeAgent) -> None:
    """Whoever gets a new token with the name of one that was revoked has no new count."""
    tuner = agent("changes=1/day")
    desk, new = tuner.desk, NewToken(name="tuner", role="operator", limit=tuner.limit)
    desk.write(tokens.create, new, "ann")
    tuner.change()
    desk.write(tokens.revoke, "tuner")
    desk.write(tokens.create, new, "ann")
    (allowance,) = desk.read(limiting.allowances, "gpt")["items"]
    assert (allowance["left"], allowance["made"]) == (0, 1)


def test_a_clock_that_was_set_back_brings_no_changes(agent: MakeAgent) -> None:
    """What was done in the future, by the clock, counts until that and the period are over."""
    tuner = agent("changes=1/hour")
    tuner.change()
    age(tuner.desk, 2, timedelta(hours=-30))
    assert tuner.left == 0
    again = datetime.fromisoformat(str(tuner.has()["again_at"]))
    made = datetime.fromisoformat(tuner.desk.read(show.revision, "gpt", 2)["created_at"])
    assert again - made == PERIODS["hour"]


# --- how far apart --------------------------------------------------------------------------------


def test_changes_are_so_many_steps_apart(agent: MakeAgent) -> None:
    """The next one may take effect exactly the gap later; the refusal says where, and `next` is."""
    tuner = agent("gap=16")
    run = tuner.desk.read(show.show, "gpt")["id"]
    tuner.desk.settle(run, 0, 8)
    assert tuner.change()["effective"] == 8
    tuner.desk.settle(run, 8, 15)
    with pytest.raises(LimitReached, match="24 is far enough") as refusal:
        tuner.change()
    (error,) = refusal.value.errors
    assert (error.field, error.value, error.bound) == ("effective", 23, ">= 24")
    assert refusal.value.members["left"]["from_step"] == 24
    assert tuner.change(effective=24)["effective"] == 24


@pytest.mark.parametrize(("step", "passes"), [(20, True), (21, False), (59, False), (60, True)])
def test_the_distance_is_kept_from_what_waits(agent: MakeAgent, step: int, *, passes: bool) -> None:
    """One that is pending at 40 is 20 steps from 20 and 60, and nearer to what lies between."""
    tuner = agent("gap=20")
    tuner.change(effective=40)
    assert tuner.has()["from_step"] == 60
    if passes:
        assert tuner.change(effective=step)["effective"] == step
    else:
        with pytest.raises(LimitReached):
            tuner.change(effective=step)


def test_the_first_step_is_one_of_the_grid(agent: MakeAgent) -> None:
    """Where cells are 10 wide, the step that is told can be asked for."""
    tuner = agent("gap=15", resolution=10)
    tuner.change(effective=20)
    assert tuner.has()["from_step"] == 40
    with pytest.raises(LimitReached, match="40 is far enough"):
        tuner.change(effective=30)
    tuner.change(effective=40)


def test_stops_and_signals_need_no_distance(agent: MakeAgent) -> None:
    """The gap is from one change to the next: what is learnt of one has to show first."""
    tuner = agent("gap=100")
    tuner.change()
    tuner.signal()
    tuner.stop(10)


@pytest.mark.parametrize(("to", "from_step"), [(4, 4), (8, 58), (12, 58)])
def test_a_rewind_drops_places_and_no_counts(agent: MakeAgent, to: int, from_step: int) -> None:
    """A change at 8 that a rewind leaves behind is not near anything any more, but was made."""
    tuner = agent("gap=50, changes=2/day")
    run = tuner.desk.read(show.show, "gpt")["id"]
    tuner.desk.settle(run, 0, 8)
    tuner.change()
    tuner.desk.settle(run, 8, 12)
    step_back(tuner.desk, to)
    assert (tuner.left, tuner.has()["from_step"]) == (1, from_step)


# --- of what, and by which edits ------------------------------------------------------------------

GROUPS = {"lr": LINE, "lr/head": LINE, "wd": 0.5}


@pytest.mark.parametrize(
    ("words", "named", "passes"),
    [
        ("lr", "lr", True),
        ("lr", "lr/head", False),
        ("lr", "lr/*", False),
        ("lr/*", "lr/*", True),
        ("lr/*", "lr/head", True),
        ("lr/*", "wd", False),
        ("lr/head|wd", "wd", True),
        ("momentum", "lr", False),
    ],
)
def test_only_these_parameters(agent: MakeAgent, words: str, named: str, *, passes: bool) -> None:
    """Groups are meant as in changes; what is not among them is refused by its name."""
    guards = {"lr": {"min": None}, "lr/head": {"min": None}}
    tuner = agent(f"parameters={words}", parameters=GROUPS, guards=guards)
    changes = {named: {"edit": "scale", "factor": 0.5}}
    if passes:
        tuner.change(changes)
        return
    with pytest.raises(LimitReached, match=rf"it may change {words.replace('|', '.')}") as refusal:
        tuner.change(changes)
    (error,) = refusal.value.errors
    assert (error.field, error.bound) == (f"changes.{error.value}", words)
    assert error.value in {named, "lr/head"}


def test_what_follows_a_parameter_moves_with_it(agent: MakeAgent) -> None:
    """The run was made so that wd follows lr: `parameters=lr` lets lr change, and not wd itself."""
    follow = {"kind": "follow", "parameter": "lr", "scale": 0.01}
    tuner = agent(
        "parameters=lr",
        parameters={"lr": LINE, "wd": follow},
        guards={"lr": {"min": None}, "wd": {"min": None}},
    )
    tuner.change(HALVE)
    run = tuner.desk.read(show.show, "gpt")["id"]
    assert tuner.desk.settle(run, 0, 1) == [[50], [0.5]]
    with pytest.raises(LimitReached):
        tuner.change({"wd": {"edit": "scale", "factor": 0.5}})


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"edit": "scale", "factor": 0.5}, None),
        ([{"edit": "scale", "factor": 0.5}, {"edit": "hold", "steps": 4}], None),
        ({"edit": "ramp", "to": 50, "steps": 4}, "ramp"),
        ([{"edit": "hold", "steps": 4}, {"edit": "set", "value": 1, "steps": 2}], "set"),
        (50, "replace"),
        ({"kind": "constant", "value": 50}, "replace"),
        ({"edit": "replace", "definition": {"kind": "constant", "value": 50}}, "replace"),
        ({"edit": "revert", "to": 1}, "revert"),
    ],
)
def test_only_these_edits(agent: MakeAgent, change: Any, refused: str | None) -> None:
    """Each edit of a list is looked at; a definition, however it is written, is `replace`."""
    tuner = agent("edits=scale|hold")
    if refused is None:
        tuner.change({"lr": change})
        return
    with pytest.raises(LimitReached, match=r"its edits are scale\|hold") as refusal:
        tuner.change({"lr": change})
    (error,) = refusal.value.errors
    assert (error.field, error.value, error.bound) == ("changes.lr", refused, "scale|hold")


@pytest.mark.parametrize("act", ["change", "stop", "signal"])
def test_acts_that_are_left(act: str) -> None:
    """What may be done at all is what is named, and what is free."""
    assert TokenLimit.parse(f"acts={act}").allowed == (act, *FREE)


# --- by how much ----------------------------------------------------------------------------------


def test_a_ratio_holds_now_and_later(agent: MakeAgent) -> None:
    """Three times is a jump, and so is a hold that ends where lr = 100 - step is a third."""
    tuner = agent("ratio=2")
    with pytest.raises(LimitReached, match=r"jump from 100\.0 to 300\.0 at step 0"):
        tuner.change({"lr": {"edit": "scale", "factor": 3}})
    with pytest.raises(LimitReached, match=r"jump from 100\.0 to 30\.0 at step 70"):
        tuner.change({"lr": {"edit": "hold", "steps": 70}})
    with pytest.raises(LimitReached, match=r"more than 2 times 100\.0"):
        tuner.change({"lr": {"edit": "ramp", "to": 201, "steps": 1000}})
    tuner.change(DOUBLE)


def test_changes_of_one_step_are_one_jump(agent: MakeAgent) -> None:
    """Two doublings at the same step would be four times as much at once, whoever counts them."""
    tuner = agent("ratio=2", parameters={"lr": 1.0, "wd": 0.5})
    tuner.change(DOUBLE, 50)
    with pytest.raises(LimitReached, match=r"jump from 1\.0 to 4\.0 at step 50"):
        tuner.change(DOUBLE, 50)
    tuner.change(HALVE, 50)
    tuner.change(HALVE, 50)
    with pytest.raises(LimitReached):
        tuner.change(HALVE, 50)
    tuner.change(DOUBLE, 51)


def test_what_waits_is_held_to_its_ratio_too(agent: MakeAgent) -> None:
    """Halving lr before a change that sets it to twice what it was would let it jump by four."""
    tuner = agent("ratio=2", parameters={"lr": 1.0, "wd": 0.5})
    later = tuner.change({"lr": 2.0}, 100)["revision"]
    with pytest.raises(LimitReached, match=f"revision {later}, pending at 100: lr would jump"):
        tuner.change(HALVE, 50)
    tuner.change(DOUBLE, 50)


def test_taking_back_brings_no_jump_about(agent: MakeAgent) -> None:
    """Of two doublings, the second by its value, the first is cancelled after the second only."""
    tuner = agent("ratio=2", parameters={"lr": 1.0, "wd": 0.5})
    first = tuner.change(DOUBLE, 50)["revision"]
    second = tuner.change({"lr": 4.0}, 100)["revision"]
    with pytest.raises(LimitReached, match=f"revision {second}, pending at 100: lr would jump"):
        tuner.cancel(first)
    tuner.cancel(second)
    tuner.cancel(first)


def test_what_others_do_is_theirs(agent: MakeAgent) -> None:
    """A ratio is of what its token does: what waits of somebody else may jump as they like."""
    tuner = agent("ratio=2", parameters={"lr": 1.0, "wd": 0.5})
    tuner.desk.revise({"lr": 32.0}, 100)
    tuner.change(HALVE, 50)


def test_guards_hold_and_are_not_forced(agent: MakeAgent) -> None:
    """A guard of the run refuses as ever, and `force` is no way round it, needed or not."""
    tuner = agent("changes=5/day", guards={"lr": {"min": None, "max": 150}})
    with pytest.raises(GuardViolated):
        tuner.change(DOUBLE)
    for changes in (DOUBLE, HALVE):
        with pytest.raises(LimitReached, match="guards") as refusal:
            tuner.change(changes, force=True)
        assert refusal.value.errors[0].field == "force"


# --- why ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["", "  ", "\n\t", "\u200b\u2800\u00ad", "…", "!?"])
def test_it_has_to_say_why(agent: MakeAgent, message: str) -> None:
    """P10: a message without a letter or a digit says nothing, whatever its characters are."""
    tuner = agent("changes=5/day")
    with pytest.raises(Invalid, match="say why") as refusal:
        tuner.change(note=tuner.why(message))
    (error,) = refusal.value.errors
    assert (error.field, error.value) == ("message", message)
    tuner.change(note=tuner.why("損失"))


# --- taking back ----------------------------------------------------------------------------------


def test_taking_back_is_free_and_counts_as_nothing(agent: MakeAgent) -> None:
    """With its one change made, a token still takes that back, by an edit that it has not."""
    tuner = agent("changes=1/day, gap=50, edits=scale, ratio=2")
    tuner.change()
    assert tuner.train() == [50, 0.5]
    assert tuner.revert(1)["effective"] == 1
    assert tuner.train() == [99, 0.5]
    has = tuner.has()
    assert (has["left"], has["made"], has["from_step"]) == (0, 1, 50)
    shown = tuner.desk.read(show.revision, "gpt", 3)
    assert (shown["kind"], shown["data"]) == ("change", {"takes_back": True})


def test_one_change_is_taken_back_once(agent: MakeAgent) -> None:
    """To and fro would be a change for each: only fro is free, and only once."""
    tuner = agent("changes=2/day, edits=scale")
    assert (tuner.made(), tuner.made()) == (2, 3)
    tuner.revert(1)
    tuner.train()
    for to in (1, 2, 3, 4):
        with pytest.raises(LimitReached):
            tuner.revert(to)


def test_what_was_taken_back_is_not_brought_back_with_the_next(agent: MakeAgent) -> None:
    """Nor by a change that is made for it: that would be a jump for which no ratio was asked."""
    tuner = agent("changes=4/day, edits=scale")
    for _ in range(3):
        tuner.made(DOUBLE)
    tuner.revert(1)
    tuner.train()
    assert tuner.made() == 6
    with pytest.raises(LimitReached):
        tuner.revert(4)
    tuner.revert(5)


def test_changes_are_taken_back_one_after_the_other(agent: MakeAgent) -> None:
    """The third, then the second, then the first: each for nothing, as far as they still stand."""
    tuner = agent("changes=3/day, edits=scale", parameters={"lr": 64.0})
    assert [tuner.made() for _ in range(3)] == [2, 3, 4]
    for to, value in ((3, 16), (2, 32), (1, 64)):
        tuner.revert(to)
        assert tuner.train() == [value]
    assert tuner.left == 0
    with pytest.raises(LimitReached):
        tuner.revert(1)


def test_parameters_are_taken_back_one_by_one(agent: MakeAgent) -> None:
    """A change of two parameters is taken back for each of them, by two changes, in any order."""
    tuner = agent("changes=2/day, edits=scale")
    tuner.made({**HALVE, "wd": {"edit": "scale", "factor": 0.5}})
    tuner.made(HALVE)
    for to, name in ((1, "wd"), (2, "lr"), (1, "lr")):
        tuner.revert(to, name)
        tuner.train()
    with pytest.raises(LimitReached):
        tuner.revert(2, "lr", "wd")


def test_only_what_nobody_has_touched_since_is_taken_back(agent: MakeAgent) -> None:
    """With somebody else's change in between, going back would undo that, and is a change."""
    tuner = agent("changes=1/day")
    tuner.change()
    tuner.desk.revise({"wd": {"edit": "scale", "factor": 0.5}})
    tuner.revert(1)
    tuner = Agent(tuner.desk, "changes=1/day", "other")
    tuner.change()
    tuner.desk.revise(HALVE)
    with pytest.raises(LimitReached):
        tuner.revert(4)


def test_what_somebody_else_has_accepted_is_not_ones_own(agent: MakeAgent) -> None:
    """Two people decided on a proposal: its author alone neither cancels nor takes it back."""
    tuner = agent("changes=1/day")
    pending = accepted(tuner.desk, "change", {"changes": HALVE, "effective": 100})
    with pytest.raises(Forbidden, match="a proposal's, which was accepted"):
        tuner.cancel(pending)
    accepted(tuner.desk, "change", {"changes": HALVE})
    tuner.change({"wd": 1.0})
    with pytest.raises(LimitReached):
        tuner.revert(1)


def test_more_than_going_back_is_a_change(agent: MakeAgent) -> None:
    """A revert with an edit after it, or two of them, is no mere taking back."""
    tuner = agent("changes=1/day")
    tuner.change()
    revert, scale = {"edit": "revert", "to": 1}, {"edit": "scale", "factor": 8.0}
    for edits in ([revert, scale], [revert, revert]):
        with pytest.raises(LimitReached):
            tuner.change({"lr": edits})
    with pytest.raises(LimitReached):
        tuner.change({"lr": revert, "wd": scale})


def test_going_back_is_by_the_order_in_which_things_take_effect(agent: MakeAgent) -> None:
    """Revision 3 takes effect before revision 2, so to go back to 2 afterwards brings 2 back."""
    tuner = agent("changes=3/day")
    run = tuner.desk.read(show.show, "gpt")["id"]
    tuner.change(DOUBLE, 40)
    tuner.change(HALVE, 20)
    tuner.desk.settle(run, 0, 64)
    tuner.revert(3)
    tuner.change(HALVE)
    with pytest.raises(LimitReached):
        tuner.revert(2)


def test_after_a_rewind_nothing_before_it_is_free(agent: MakeAgent) -> None:
    """A rewind is somebody's decision: what it dropped does not come back for nothing."""
    tuner = agent("changes=2/day")
    run = tuner.desk.read(show.show, "gpt")["id"]
    tuner.desk.settle(run, 0, 8)
    tuner.change(DOUBLE)
    tuner.desk.settle(run, 8, 8)
    step_back(tuner.desk, 4)
    tuner.change(HALVE)
    for to in (1, 2):
        with pytest.raises(LimitReached):
            tuner.revert(to)
    tuner.revert(3)


def test_only_ones_own_is_cancelled_and_resumed(agent: MakeAgent) -> None:
    """What others have pending, and where they hold the run, is theirs: the refusal says whose."""
    tuner = agent("changes=5/day")
    tuner.desk.revise(HALVE, 100, note=Note("ann"))
    with pytest.raises(Forbidden, match=r"revision 2 is ann; it may propose") as refusal:
        tuner.cancel(2)
    assert refusal.value.members["limit"] == "changes=5/day"
    tuner.desk.write(stop, "gpt", StopRequest(hold=True))
    with pytest.raises(Forbidden, match="of nobody in particular"):
        tuner.resume()
    tuner.desk.write(resume, "gpt", ResumeRequest())
    tuner.pause()
    tuner.resume()


def test_a_pause_by_two_is_ended_by_neither_agent(agent: MakeAgent) -> None:
    """Where somebody else holds the run too, its own pause alone is not what keeps it."""
    tuner = agent("changes=5/day")
    tuner.pause()
    tuner.desk.write(stop, "gpt", StopRequest(hold=True, note=Note("ann")))
    with pytest.raises(Forbidden):
        tuner.resume()


# --- what is not counted --------------------------------------------------------------------------


def test_accepted_proposals_do_not_count(agent: MakeAgent) -> None:
    """What somebody else said yes to is within no limit, and takes nothing of it."""
    tuner = agent("changes=1/day, parameters=wd, gap=1000")
    accepted(tuner.desk, "change", {"changes": {"lr": {"edit": "scale", "factor": 9}}})
    accepted(tuner.desk, "signal", {"signal": "checkpoint"})
    has = tuner.has()
    assert (has["left"], has["made"], has["from_step"]) == (1, 0, 0)


def test_what_controllers_decide_does_not_count(agent: MakeAgent) -> None:
    """A controller decides in its own name, also on what a token has proposed and others armed."""
    tuner = agent("changes=1/day")
    desk = tuner.desk
    run = desk.read(show.show, "gpt")["id"]
    desk.settle(run, 0, 20)
    desk.arm("plateau", kind="plateau", metric="loss", patience=0, factor=0.5)
    desk.report(run, (10, 1.0), (20, 1.0))
    assert desk.read(show.show, "gpt")["revision"] == 3
    assert tuner.left == 1


def test_a_cause_counts_once(agent: MakeAgent) -> None:
    """A program that repeats what it decided on a report is told the first answer, for nothing."""
    tuner = agent("changes=1/day")
    cause = {"controller": "mine", "step": 0}
    first = tuner.change(cause=cause)
    assert tuner.change(cause=cause)["revision"] == first["revision"]
    assert tuner.left == 0
    with pytest.raises(LimitReached):
        tuner.change(cause={"controller": "mine", "step": 1})


# --- words, notes, and what is told ---------------------------------------------------------------


def test_a_signal_is_said_by_itself(agent: MakeAgent) -> None:
    """A pause is free and says no word; a stop says one where signals are left."""
    tuner = agent("changes=1/day")
    with pytest.raises(LimitReached, match="says no word") as refusal:
        tuner.pause(signal="checkpoint")
    assert refusal.value.errors[0].field == "signal"
    tuner.stop(50, signal="checkpoint")
    tuner = agent("acts=stop", "other")
    with pytest.raises(LimitReached, match="may not signal"):
        tuner.stop(60, signal="checkpoint")


def test_few_pauses_are_free(agent: MakeAgent) -> None:
    """P13: an agent that holds the run in one place after the other leaves room for a stop."""
    tuner = agent("changes=1/day")
    for step in range(MAX_PAUSES_LIMITED):
        tuner.pause(10 + step)
    with pytest.raises(LimitReached, match="in 8 places") as refusal:
        tuner.pause(100)
    assert refusal.value.errors[0].bound == f"<= {MAX_PAUSES_LIMITED} pauses"
    tuner.cancel(2)
    tuner.pause(100)
    tuner.desk.write(stop, "gpt", StopRequest(hold=True, note=Note("ann")))


def test_nobody_decides_in_the_name_of_a_controller(agent: MakeAgent) -> None:
    """P11: else the controller would take what an agent has done for its own decision."""
    tuner = agent("changes=5/day")
    tuner.desk.arm("plateau", kind="plateau", metric="loss", patience=0, factor=0.5)
    cause = {"controller": "plateau", "step": 20}
    for act in (tuner.change, tuner.stop):
        with pytest.raises(LimitReached, match="decides by itself") as refusal:
            act(cause=cause)
        assert refusal.value.errors[0].field == "cause.controller"


def test_notes_of_one_leave_room_for_others(agent: MakeAgent) -> None:
    """P13: an agent that leaves one note after the other keeps no trainer from leaving one."""
    tuner = agent("changes=1/day")
    with tuner.act(None):
        for _ in range(MAX_NOTES_LIMITED):
            tuner.desk.write(leave, "gpt", NoteRequest(tuner.why()))
        with pytest.raises(RateLimited, match="the token tuner is limited") as refusal:
            tuner.desk.write(leave, "gpt", NoteRequest(tuner.why()))
    assert refusal.value.errors[0].bound == f"<= {MAX_NOTES_LIMITED} in a minute"
    assert MAX_NOTES_LIMITED < MAX_NOTES
    tuner.desk.write(leave, "gpt", NoteRequest(Note("worker", "NaN in layer 7")))


def test_a_rehearsal_is_refused_like_the_change(agent: MakeAgent) -> None:
    """Who asks beforehand is told the same: nothing has to be tried out in earnest."""
    tuner = agent("changes=1/day, ratio=2")
    asked = RevisionRequest({"lr": {"edit": "scale", "factor": 3}}, note=tuner.why())
    with tuner.act("change"), pytest.raises(LimitReached):
        tuner.desk.read(revise.rehearse, "gpt", asked, 10)
    assert tuner.left == 1


def test_a_proposal_is_within_no_limit(agent: MakeAgent) -> None:
    """What is merely suggested is tried by what an operator may do."""
    tuner = agent("changes=1/day, ratio=2")
    body = {"changes": {"lr": {"edit": "scale", "factor": 3}}}
    asked = ProposalRequest("change", body, tuner.why())
    with tuner.act(None):
        made = tuner.desk.write(propose.propose, "gpt", asked, read("change", body, tuner.why()))
    assert made["state"] == "open"


def test_allowances_are_of_tokens_that_know_of_the_run(desk: Desk) -> None:
    """Nobody is shown of whom the run, or who can do nothing any more."""
    desk.create(labels={"team": "nlp"})
    for name, more in (
        ("all", {}),
        ("ours", {"runs": "team=nlp"}),
        ("theirs", {"runs": "team=vision"}),
        ("revoked", {}),
    ):
        new = NewToken(name=name, role="operator", limit="gap=5, parameters=lr", **more)
        desk.write(tokens.create, new, "ann")
    desk.write(tokens.revoke, "revoked")
    desk.write(tokens.create, NewToken(name="free", role="operator"), "ann")
    soon = NewToken(name="late", role="operator", limit="gap=5", expires_at="2999-01-01T00:00:00Z")
    desk.write(tokens.create, soon, "ann")

    def expire(records: Records) -> None:
        past = update(tables.tokens).where(tables.tokens.c.name == "late")
        records.connection.execute(past.values(expires_at="2001-01-01T00:00:00.000000+00:00"))

    desk.write(expire)
    items = desk.read(limiting.allowances, "gpt")["items"]
    assert [(each["token"], each["parameters"]) for each in items] == [
        ("all", ["lr"]),
        ("ours", ["lr"]),
    ]


def test_refusals_add_up(desk: Desk) -> None:
    """Refusals are counted by token and run, with what was told last, and go with the run."""
    run = desk.create()
    desk.write(tokens.create, NewToken(name="tuner", role="operator", limit="gap=5"), "ann")
    for ref, count, why in (("gpt", 3, "first"), (run, 4, "last"), ("no-such-run", 1, "nothing")):
        desk.write(limiting.note_refused, Refusal(ref, "tuner", count, why))
    (allowance,) = desk.read(limiting.allowances, "gpt")["items"]
    assert (allowance["refused"], allowance["refusal"]) == (7, "last")
    assert allowance["refused_at"] is not None
    desk.write(close.delete, "gpt", "ann")

    def rows(records: Records) -> int:
        return len(records.connection.execute(select(tables.refused)).all())

    assert desk.read(rows) == 0


def test_an_older_release_takes_it_for_a_proposer(desk: Desk) -> None:
    """What a release without limits reads of such a token is a role that changes nothing."""
    desk.write(tokens.create, NewToken(name="tuner", role="operator", limit="gap=5"), "ann")

    def row(records: Records) -> tuple[str, str]:
        table = tables.tokens.c
        found = records.connection.execute(select(table.role, table.limit)).one()
        return found.role, found.limit

    assert desk.read(row) == ("proposer", "gap=5")
    (token,), _ = desk.read(tokens.page, 0, 10)
    assert (token.role.value, str(token.limit)) == ("operator", "gap=5")


def test_a_limit_of_a_newer_release_leaves_nothing(desk: Desk) -> None:
    """What this release cannot read lets through what is free, and is shown as it is kept."""
    desk.write(tokens.create, NewToken(name="tuner", role="operator", limit="gap=5"), "ann")

    def write(records: Records) -> None:
        records.connection.execute(update(tables.tokens).values(limit="cost=5/day"))

    desk.write(write)
    (token,), _ = desk.read(tokens.page, 0, 10)
    assert token.limit is not None
    assert (token.limit.allowed, str(token.limit)) == (FREE, "cost=5/day")


@pytest.mark.parametrize("role", ["viewer", "proposer", "worker", "admin"])
def test_a_limit_is_for_operators(role: wire.Role) -> None:
    """P10: a role that changes nothing is not limited, and an admin could make another token."""
    with pytest.raises(Invalid) as refusal:
        NewToken(name="x", role=role, limit="gap=5").limited()
    (error,) = refusal.value.errors
    assert (error.field, error.bound) == ("limit", "none, or the role operator")

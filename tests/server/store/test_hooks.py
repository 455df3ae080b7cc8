"""Hooks in the database: each event one message for each hook, none lost, and none for ever."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from rheostat.errors import Conflict, Invalid, UnknownDelivery, UnknownHook
from rheostat.server.hooks import signing
from rheostat.server.hooks.hook import NewHook
from rheostat.server.hooks.posting import Posted
from rheostat.server.hooks.targets import Networks
from rheostat.server.runs import presence
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import (
    acts,
    close,
    deliveries,
    fork,
    hooks,
    note,
    purge,
    recover,
    silences,
    telling,
    workers,
)
from rheostat.server.store.operations.note import NoteRequest
from rheostat.server.store.operations.revise import RevisionRequest, revise

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

URL = "https://hooks.example.com/x"
TAKEN = Posted(204, None, 0.1)
REFUSED = Posted(503, "answered 503", 0.1)
GONE = Posted(410, "answered 410: it wants no more messages", 0.1)
SOME = ("created", "revised", "noted", "finished", "deleted", "silent")


def put(desk: Desk, name: str = "a", events: Collection[Any] = SOME, **fields: Any) -> Any:
    """Set a hook."""
    new = NewHook(url=URL, events=[*events], **fields).checked(Networks())
    return desk.write(hooks.put, name, new, "ann")[0]


def tell(desk: Desk, holder: str = "one") -> None:
    """Do what the process that sends does about news, until there are none."""
    more = True
    while more:
        assert desk.write(telling.take, holder)
        outlook = desk.read(telling.look, holder)
        desk.write(telling.tell, holder, outlook.news)
        more = outlook.more


def told(desk: Desk, name: str = "a") -> list[str]:
    """Return the events of a hook's messages, the oldest first."""
    return [each["event"] for each in messages(desk, name)]


def messages(desk: Desk, name: str = "a", state: Any = None) -> list[Any]:
    """Return a hook's messages, the oldest first."""
    return [*reversed(desk.read(deliveries.page, name, state, 0, 1000)[0])]


def halve(desk: Desk, ref: str = "gpt", message: str = "") -> None:
    """Change a run."""
    desk.write(revise, ref, RevisionRequest({"lr": 0.5}, note=Note("bob", message)))


def leave(desk: Desk, text: str) -> None:
    """Leave a note."""
    desk.write(note.leave, "gpt", NoteRequest(Note("ann", text)))


def send(desk: Desk, posted: Posted, name: str = "a", holder: str = "one") -> Any:
    """Take a message and say what came of it; return it as it is then."""
    (taken,) = desk.write(deliveries.take, holder, [name])
    desk.write(deliveries.settle, holder, taken, posted)
    (found,) = [each for each in messages(desk, name) if each["number"] == taken.number]
    return found


def later(desk: Desk, **values: str | None) -> None:
    """Change when messages are tried next, and how long hooks rest, to now."""

    def change(records: Any) -> None:
        at = {"next_at": "2000"}
        waits = tables.deliveries.c.state == "waiting"
        records.connection.execute(update(tables.deliveries).where(waits).values(**at))
        records.connection.execute(update(tables.hooks).values(rests_until=None, **values))

    desk.write(change)


# telling


def test_each_event_is_told_once(desk: Desk) -> None:
    """However often news are looked for, each event is one message for each hook that wants it."""
    put(desk)
    put(desk, "b", ["revised"])
    desk.create()
    halve(desk, message="spike")
    tell(desk)
    tell(desk)
    halve(desk)
    tell(desk)
    assert told(desk) == ["created", "revised", "revised"]
    assert told(desk, "b") == ["revised", "revised"]
    first, *_ = messages(desk, "b")
    assert first["body"]["data"]["message"] == "spike"
    assert first["body"]["data"]["author"] == "bob"
    everything = [each["id"] for name in "ab" for each in messages(desk, name)]
    assert len({*everything}) == 5


def test_what_was_before_is_not_told(desk: Desk) -> None:
    """A hook is told of what happens from when it was set on, be it the first one or not."""
    desk.create()
    halve(desk)
    put(desk)
    tell(desk)
    halve(desk)
    put(desk, "b")
    tell(desk)
    assert told(desk) == ["revised"]
    assert told(desk, "b") == []
    halve(desk)
    tell(desk)
    assert (told(desk), told(desk, "b")) == (["revised", "revised"], ["revised"])


def test_what_was_between_two_hooks_is_not_told(desk: Desk) -> None:
    """Once the last hook is gone, nobody is told later of what happened meanwhile."""
    put(desk)
    desk.create()
    tell(desk)
    desk.write(hooks.remove, "a")
    halve(desk)
    put(desk)
    tell(desk)
    assert told(desk) == []


def test_a_selector_says_of_which_runs(desk: Desk) -> None:
    """A hook is told of the runs that its selector means."""
    put(desk, "nlp", ["created"], selector="team=nlp, !frozen")
    for name, labels in (("a", {"team": "nlp"}), ("b", {"team": "nlp", "frozen": ""}), ("c", {})):
        desk.create(name=name, labels=labels)
    tell(desk)
    assert [each["body"]["data"]["run"]["name"] for each in messages(desk, "nlp")] == ["a"]


def test_settles_are_not_told(desk: Desk) -> None:
    """That workers read is no message, nor does it hide what is one."""
    put(desk)
    run = desk.create()
    for step in range(0, 32, 4):
        desk.settle(run, step, 4)
        leave(desk, f"at {step}")
        tell(desk)
    assert told(desk) == ["created", *8 * ["noted"]]


def test_many_events_of_one_run_are_told_in_their_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are told at a time, none is left out, and each comes once."""
    monkeypatch.setattr(telling, "MESSAGES_AT_ONCE", 3)
    monkeypatch.setattr("rheostat.server.store.operations.events.PAGE", 5)
    put(desk)
    put(desk, "b")
    desk.create()
    for number in range(23):
        leave(desk, f"{number}")
    tell(desk)
    for name in "ab":
        said = [each["body"]["data"]["message"] for each in messages(desk, name)]
        assert said == ["", *map(str, range(23))]


def test_two_processes_tell_once(desk: Desk) -> None:
    """Two that have seen the same news make one message of each, whoever comes first."""
    put(desk)
    desk.create()
    desk.write(telling.take, "one")
    seen = desk.read(telling.look, "one").news
    desk.write(telling.tell, "one", seen)
    desk.write(telling.tell, "one", seen)
    desk.write(telling.tell, "two", seen)
    assert told(desk) == ["created"]


def test_one_process_sends(desk: Desk) -> None:
    """While one process sends, another one does not; when it has left, or is silent, it does."""
    put(desk)
    desk.create()
    assert desk.write(telling.take, "one")
    assert not desk.write(telling.take, "two")
    assert desk.read(telling.look, "two").taken
    tell(desk)
    assert desk.write(deliveries.take, "two", ["a"]) == []
    desk.write(telling.leave, "one")
    assert desk.write(telling.take, "two")
    assert len(desk.write(deliveries.take, "two", ["a"])) == 1
    desk.write(_expire)
    assert desk.write(telling.take, "one")
    later(desk)
    assert desk.write(deliveries.take, "two", ["a"]) == []  # it was frozen, and is back


def _expire(records: Any) -> None:
    old = clock.text(clock.read(records.connection) - 1)
    records.connection.execute(update(tables.hook_sender).values(until=old))


def test_a_clock_that_was_set_back_does_not_end_it(desk: Desk) -> None:
    """Who has said that it sends until next year, by a clock that was wrong, is not waited for."""
    put(desk)

    def far(records: Any) -> None:
        records.connection.execute(update(tables.hook_sender).values(until="2999-01-01T00:00:00Z"))

    desk.write(telling.take, "one")
    desk.write(far)
    assert desk.write(telling.take, "two")


def test_a_deleted_run_is_told_with_all_that_was_not(desk: Desk) -> None:
    """What happened to a run before it was deleted is told, and then by whom it was."""
    put(desk)
    put(desk, "b", ["finished"])
    desk.create(labels={"team": "nlp"})
    halve(desk)
    tell(desk)
    halve(desk)
    desk.write(close.finish, "gpt", None, Note("ann"))
    desk.write(close.delete, "gpt", "eve")
    tell(desk)
    assert told(desk) == ["created", "revised", "revised", "finished", "deleted"]
    assert told(desk, "b") == ["finished"]
    data = messages(desk)[-1]["body"]["data"]
    assert (data["author"], data["run"]["name"], data["link"]) == ("eve", "gpt", None)
    assert data["run"]["labels"] == {"team": "nlp"}


@pytest.mark.parametrize("way", ["purged", "accepted"])
def test_every_way_to_delete_a_run_is_told(desk: Desk, way: str) -> None:
    """A run that is purged, or whose deletion somebody accepted, is deleted like any other."""
    put(desk, events=["deleted"])
    run_id = desk.create()
    desk.write(close.finish, "gpt", None, Note("ann"))
    if way == "purged":
        old = purge.OldRuns(datetime.now(UTC) + timedelta(days=1))
        assert desk.write(purge.remove_run, run_id, old, "eve") is None
    else:
        desk.write(acts.delete, "gpt", acts.Closing(note=Note("eve")))
    assert told(desk) == ["deleted"]
    assert messages(desk)[-1]["body"]["data"]["author"] == "eve"


def test_a_run_that_nobody_has_seen_is_told_when_it_is_deleted(desk: Desk) -> None:
    """Even a run that lived for less than a look is told, from its beginning to its end."""
    put(desk)
    desk.create()
    halve(desk)
    desk.write(close.delete, "gpt", "eve")
    assert told(desk) == ["created", "revised", "deleted"]


def test_runs_are_deleted_without_hooks(desk: Desk) -> None:
    """Nothing is written of a deletion that nobody is to be told of."""
    desk.create()
    desk.write(close.delete, "gpt", "eve")
    assert desk.read(_count, tables.deliveries) == 0


def test_a_fork_is_a_run_of_its_own(desk: Desk) -> None:
    """A fork is told as a new run, and not once more what it has inherited."""
    put(desk)
    run = desk.create()
    desk.settle(run, 0, 8)
    halve(desk)
    desk.write(fork.fork, {"name": "b", "from": {"run": "gpt", "step": 4}}, Note("ann"))
    tell(desk)
    names = [(each["event"], each["body"]["data"]["run"]["name"]) for each in messages(desk)]
    assert sorted(names) == [("created", "b"), ("created", "gpt"), ("revised", "gpt")]


def test_a_restored_database_tells_nothing_again(desk: Desk) -> None:
    """P1: runs that get new ids are the same ones: what was told of them is not told again."""
    put(desk)
    desk.create()
    halve(desk)
    tell(desk)
    desk.write(recover.recover)
    tell(desk)
    halve(desk)
    tell(desk)
    assert told(desk) == ["created", "revised", "revised"]


def _count(records: Any, table: Any) -> int:
    return len(records.connection.execute(select(table)).all())


# sending


def test_what_was_taken_and_not_settled_is_sent_again(desk: Desk) -> None:
    """Who dies between sending and writing it down loses nothing: it comes again, by its id."""
    put(desk)
    desk.create()
    tell(desk)
    (first,) = desk.write(deliveries.take, "one", ["a"])
    assert desk.write(deliveries.take, "one", ["a"]) == []
    later(desk)
    (second,) = desk.write(deliveries.take, "one", ["a"])
    assert (second.id, second.content) == (first.id, first.content)
    assert (first.attempts, second.attempts) == (1, 2)
    assert desk.write(deliveries.settle, "one", second, TAKEN) is None
    later(desk)
    assert desk.write(deliveries.take, "one", ["a"]) == []
    (found,) = messages(desk)
    assert (found["state"], found["status"], found["error"]) == ("delivered", 204, None)


def test_the_next_one_follows(desk: Desk) -> None:
    """Once a message was taken, the next one of the hook is handed out, the oldest first."""
    put(desk)
    desk.create()
    halve(desk)
    tell(desk)
    (taken,) = desk.write(deliveries.take, "one", ["a"])
    assert taken.content["data"]["event"] == "created"
    following = desk.write(deliveries.settle, "one", taken, TAKEN)
    assert following is not None
    assert following.content["data"]["event"] == "revised"
    assert desk.write(deliveries.settle, "one", following, REFUSED) is None


def test_a_message_is_given_up_in_the_end(desk: Desk) -> None:
    """After eleven attempts it has failed, with the last answer; until then it waits."""
    put(desk)
    desk.create()
    tell(desk)
    for attempt in range(1, 12):
        found = send(desk, REFUSED)
        assert (found["attempts"], found["status"]) == (attempt, 503)
        assert found["state"] == ("failed" if attempt == 11 else "waiting")
        later(desk)
    assert desk.read(deliveries.due) == []
    shown = desk.read(hooks.get, "a")
    assert (shown["failures"], shown["waiting"], shown["disabled_at"]) == (11, 0, None)
    assert shown["failing_since"] is not None


def test_a_hook_that_failed_rests(desk: Desk) -> None:
    """One that did not take a message is not sent the next one at once; one that did is well."""
    put(desk)
    desk.create()
    halve(desk)
    tell(desk)
    send(desk, REFUSED)
    assert desk.read(deliveries.due) == []
    later(desk)
    assert desk.read(deliveries.due) == ["a"]
    send(desk, TAKEN)
    shown = desk.read(hooks.get, "a")
    assert (shown["failures"], shown["failing_since"]) == (0, None)


def test_410_disables_a_hook(desk: Desk) -> None:
    """A receiver that wants no more gets no more, until an admin sets the hook again."""
    put(desk)
    desk.create()
    halve(desk)
    tell(desk)
    send(desk, GONE)
    assert [each["state"] for each in messages(desk)] == ["failed", "dropped"]
    shown = desk.read(hooks.get, "a")
    assert shown["disabled_at"] is not None
    assert "410" in str(shown["disabled_why"])
    halve(desk)
    tell(desk)
    assert desk.read(deliveries.due) == []
    with pytest.raises(Conflict, match="disabled"):
        desk.write(deliveries.retry, "a", messages(desk)[0]["number"])
    put(desk)
    halve(desk)
    tell(desk)
    assert told(desk) == ["created", "revised", "revised"]  # what was meanwhile is not told
    desk.write(deliveries.retry, "a", messages(desk)[0]["number"])
    assert len(desk.write(deliveries.take, "one", ["a"])) == 1


def test_a_message_can_be_sent_again(desk: Desk) -> None:
    """Whatever became of a message, it can be sent again, under its id, with all its attempts."""
    put(desk)
    desk.create()
    tell(desk)
    before = send(desk, TAKEN)
    again = desk.write(deliveries.retry, "a", before["number"])
    assert (again["id"], again["state"], again["attempts"]) == (before["id"], "waiting", 0)
    assert send(desk, TAKEN)["attempts"] == 1
    with pytest.raises(UnknownDelivery):
        desk.write(deliveries.retry, "a", 999)
    with pytest.raises(UnknownHook):
        desk.write(deliveries.retry, "nobody", before["number"])


def test_a_full_queue_drops_the_oldest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: of too much that waits the oldest is dropped, which is counted, and others keep all."""
    monkeypatch.setattr(telling, "MAX_WAITING", 5)
    put(desk)
    put(desk, "b", ["created"])
    desk.create()
    for number in range(9):
        leave(desk, f"{number}")
    tell(desk)
    waiting = messages(desk, state="waiting")
    assert [each["body"]["data"]["message"] for each in waiting] == [*"45678"]
    dropped = messages(desk, state="dropped")
    assert [each["body"]["data"]["message"] for each in dropped] == ["", *"0123"]
    shown = desk.read(hooks.get, "a")
    assert (shown["waiting"], shown["dropped"]) == (5, 5)
    assert desk.read(hooks.get, "b")["dropped"] == 0
    later(desk)
    assert send(desk, TAKEN)["body"]["data"]["message"] == "4"


def test_what_is_done_is_kept_for_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: of what does not wait any more the newest stay, and for a week; what waits stays."""
    monkeypatch.setattr(deliveries, "MAX_DELIVERIES", 3)
    put(desk)
    desk.create()
    for _ in range(5):
        halve(desk)
    tell(desk)
    for _ in range(5):
        later(desk)
        send(desk, TAKEN)
    desk.write(deliveries.forget, "one", desk.read(deliveries.old))
    assert [each["state"] for each in messages(desk)] == [*3 * ["delivered"], "waiting"]
    monkeypatch.setattr(deliveries, "KEPT", -1)
    desk.write(deliveries.forget, "one", desk.read(deliveries.old))
    assert [each["state"] for each in messages(desk)] == ["waiting"]
    assert desk.read(deliveries.old) == {}


def test_the_backlog_is_told(desk: Desk) -> None:
    """How much waits, and for how long, of hooks that take anything."""
    assert desk.read(deliveries.backlog) == deliveries.Backlog(0, 0.0)
    put(desk)
    put(desk, "b")
    desk.create()
    tell(desk)
    found = desk.read(deliveries.backlog)
    assert found.waiting == 2
    assert 0 <= found.oldest < 60
    send(desk, GONE, "b")
    assert desk.read(deliveries.backlog).waiting == 1


def test_a_hook_that_is_removed_takes_its_messages_along(desk: Desk) -> None:
    """What was on its way to a hook that is gone is written down nowhere."""
    put(desk)
    desk.create()
    tell(desk)
    (taken,) = desk.write(deliveries.take, "one", ["a"])
    desk.write(hooks.remove, "a")
    assert desk.write(deliveries.settle, "one", taken, TAKEN) is None
    assert desk.read(_count, tables.deliveries) == 0
    with pytest.raises(UnknownHook):
        desk.read(hooks.get, "a")
    with pytest.raises(UnknownHook):
        desk.write(hooks.remove, "a")


# setting


def test_a_secret_is_told_once(desk: Desk) -> None:
    """A secret is made for a hook that has none, and no answer has it again."""
    made = put(desk)
    assert signing.key_of(made["secret"])
    assert put(desk)["secret"] is None
    assert desk.read(hooks.require, "a").secrets == (made["secret"],)
    assert made["secret"] not in str(desk.read(hooks.get, "a"))
    assert desk.read(hooks.get, "a")["secret_set"]


def test_a_secret_is_exchanged_without_a_gap(desk: Desk) -> None:
    """For a day messages are signed with both secrets, whether the new one was made or given."""
    first = put(desk)["secret"]
    second = put(desk, renew=True)["secret"]
    assert desk.read(hooks.require, "a").secrets == (second, first)
    third = signing.new_secret()
    assert put(desk, secret=third)["secret"] is None
    assert desk.read(hooks.require, "a").secrets == (third, second)
    later(desk, old_until="2000-01-01T00:00:00.000000+00:00")
    assert desk.read(hooks.require, "a").secrets == (third,)


def test_slack_has_no_secret_but_its_url(desk: Desk) -> None:
    """P10: of a hook for Slack the path is what one needs to write there: it is not shown."""
    put(desk)
    answer = put(desk, format="slack")
    assert (answer["secret"], answer["secret_set"]) == (None, False)
    assert answer["url"] == "https://hooks.example.com/…"
    assert desk.read(hooks.require, "a").url == URL
    assert put(desk)["secret"] is not None


def test_a_hook_that_is_set_again_is_tried_at_once(desk: Desk) -> None:
    """A hook with a new URL gets what waited for the old one, without resting."""
    put(desk)
    desk.create()
    tell(desk)
    send(desk, REFUSED)
    assert desk.read(deliveries.due) == []
    put(desk)
    assert desk.read(deliveries.due) == ["a"]
    assert desk.read(hooks.get, "a")["failures"] == 0


def test_hooks_are_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: one hook too many is refused, and those that are there can be set again."""
    monkeypatch.setattr(hooks, "MAX_HOOKS", 2)
    put(desk, "a")
    put(desk, "b")
    with pytest.raises(Invalid) as refusal:
        put(desk, "c")
    assert refusal.value.errors[0].field == "name"
    put(desk, "b")
    assert [each["name"] for each in desk.read(hooks.page, "", 10)[0]] == ["a", "b"]
    assert desk.read(hooks.page, "", 1)[1] == "a"


# silence


def beat(desk: Desk, run: str, *names: str, ago: float = 0.0, **said: Any) -> None:
    """Have workers say something some seconds ago, to a process that writes it down."""
    roster = Roster()
    fields = {"session": "a", "step": 10, **said}
    roster.hear(run, Beat(1, tuple(Said(name, **fields) for name in names)), presence.now() - ago)
    desk.write(workers.write, roster.news(1000))


def listen(desk: Desk, well_for: float = 1000.0) -> None:
    """Look for the silent, as the process that sends does."""
    desk.write(telling.take, "one")
    desk.write(silences.tell, "one", desk.read(silences.look, well_for))


def test_silence_is_told_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has fallen silent is told once, and again if it has spoken since, with who is alive."""
    monkeypatch.setattr(silences, "APART", 0.0)
    put(desk)
    run = desk.create()
    tell(desk)
    beat(desk, run, "0", "1", "2")
    beat(desk, run, "3", ago=100)
    listen(desk)
    listen(desk)
    assert told(desk) == ["created", "silent"]
    details = messages(desk)[-1]["body"]["data"]["details"]
    assert (details["workers"], details["silent"], details["alive"]) == (["3"], 1, 3)
    beat(desk, run, "3")
    listen(desk)
    assert told(desk) == ["created", "silent"]
    beat(desk, run, "3", ago=60)  # it is the newer word that counts, which is of now
    listen(desk)
    assert told(desk) == ["created", "silent"]


def test_the_silent_are_told_together(desk: Desk) -> None:
    """P10: of a thousand workers that fall silent one message tells, and it names a few."""
    put(desk)
    run = desk.create()
    tell(desk)
    for number in range(20):
        beat(desk, run, *(f"{number * 50 + i}" for i in range(50)), ago=200 - number)
    listen(desk)
    (found,) = [each for each in messages(desk) if each["event"] == "silent"]
    details = found["body"]["data"]["details"]
    assert (details["fallen"], len(details["workers"])) == (1000, 10)
    beat(desk, run, "late", ago=100)
    listen(desk)
    assert told(desk).count("silent") == 1  # the next one is told in five minutes


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"state": "ended"}, "it has said that it ends"),
        ({"step": 128}, "it was at the end"),
        ({"ago": 20}, "it may be heard of still"),
    ],
)
def test_who_is_not_silent_is_not_told(desk: Desk, said: Any, why: str) -> None:
    """Nobody is called for a worker that was done, or is a moment late."""
    put(desk)
    run = desk.create(total=128)
    tell(desk)
    beat(desk, run, "0", **{"ago": 100, **said})
    listen(desk)
    assert told(desk) == ["created"], why


def test_who_was_retired_or_is_of_a_finished_run_is_not_told(desk: Desk) -> None:
    """A job that was restarted, and a run that is closed, leave workers that nobody misses."""
    put(desk)
    run = desk.create()
    tell(desk)
    beat(desk, run, "0", "1", ago=100, job="old")
    beat(desk, run, "0", job="new", session="b")
    listen(desk)
    assert "silent" not in told(desk)
    beat(desk, run, "9", ago=100)
    desk.write(close.finish, run, None, Note("ann"))
    listen(desk)
    assert "silent" not in told(desk)


def test_a_process_that_has_just_begun_believes_no_silence(desk: Desk) -> None:
    """P10: when the service was away, nobody could speak: each worker has the time to, first."""
    put(desk)
    run = desk.create()
    tell(desk)
    beat(desk, run, "0", ago=100)
    listen(desk, well_for=20)
    assert told(desk) == ["created"]
    listen(desk, well_for=60)
    assert told(desk) == ["created", "silent"]


def test_who_was_silent_before_anybody_listened_is_not_told(desk: Desk) -> None:
    """Nor is the first hook that asks for the silent, where others were told of other things."""
    put(desk, "b", ["created"])
    run = desk.create()
    tell(desk)
    beat(desk, run, "0", ago=100)
    put(desk)
    listen(desk)
    assert told(desk) == []


def test_a_run_of_a_newer_release_keeps_nobody(desk: Desk) -> None:
    """What a release cannot read is told by one that can, and holds up no other run's news."""
    put(desk)
    desk.create(name="newer")
    desk.create(name="other")
    tell(desk)
    halve(desk, "newer")
    halve(desk, "other")
    desk.write(_spoil)
    tell(desk)
    names = [each["body"]["data"]["run"]["name"] for each in messages(desk)]
    assert sorted(names) == ["newer", "other", "other"]
    assert len(desk.read(telling.look, "one").unread) == 1
    desk.write(_mend)
    tell(desk)
    assert len(messages(desk)) == 4


def _spoil(records: Any) -> None:
    run = select(tables.runs.c.id).where(tables.runs.c.name == "newer").scalar_subquery()
    mine = tables.revisions.c.run_id == run, tables.revisions.c.kind == "change"
    records.connection.execute(update(tables.revisions).where(*mine).values(kind="sabbatical"))


def _mend(records: Any) -> None:
    known = tables.revisions.c.kind == "sabbatical"
    records.connection.execute(update(tables.revisions).where(known).values(kind="change"))


def test_who_was_silent_before_the_first_hook_is_not_told(desk: Desk) -> None:
    """A new hook is not told of workers that have been silent for long."""
    run = desk.create()
    beat(desk, run, "0", ago=100)
    put(desk)
    listen(desk)
    assert told(desk) == []

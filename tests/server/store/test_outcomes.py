"""What workers say in the store, on both databases: outcomes of signals, and notes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    Finished,
    Invalid,
    RateLimited,
    TooMany,
    UnknownGeneration,
    UnknownRevision,
)
from rheostat.limits import MAX_NOTES, MAX_OUTCOME_DATA
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.store.operations import close, events, note, outcome, show
from rheostat.server.store.operations.note import NoteRequest
from rheostat.server.store.operations.outcome import OutcomeReport
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.signal import SignalRequest, signal
from rheostat.server.store.operations.stop import StopRequest, stop
from rheostat.server.store.revisions import Which

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk


@pytest.fixture
def run(desk: Desk) -> str:
    """Return the id of a run that is settled until 16; revision 2 was a signal at step 8."""
    run = desk.create()
    desk.settle(run, 0, 8)
    desk.write(signal, "gpt", SignalRequest("checkpoint"))
    desk.settle(run, 8, 8)
    return run


def tell(
    desk: Desk, run: str, source: str = "main", said: Any = "done", **more: Any
) -> tuple[wire.Outcome, bool]:
    """Say what became of revision 2."""
    given = {"generation": 1, "revision": 2, "step": 8, **more}
    return desk.write(outcome.tell, run, OutcomeReport(source=source, outcome=said, **given))


def state(desk: Desk, number: int = 2) -> str:
    """Return the state of a revision."""
    return desk.read(show.revision, "gpt", number)["state"]


def leave(desk: Desk, text: str, step: int | None = None, level: Any = "note") -> wire.Noted:
    """Leave a note, as a worker."""
    return desk.write(note.leave, "gpt", NoteRequest(Note("rank-7", text), step, level))


def test_the_first_word_of_a_source_stays(desk: Desk, run: str) -> None:
    """Said again it is answered with what is kept, be it otherwise; other sources have theirs."""
    kept, new = tell(desk, run, data={"path": "/ckpt/8"})
    assert (new, kept["outcome"], kept["data"], kept["error"]) == (
        True,
        "done",
        {"path": "/ckpt/8"},
        None,
    )
    again, new = tell(desk, run, said="failed", error="disk full")
    assert (again, new) == (kept, False)
    assert tell(desk, run, "rank-1", "failed", error="disk full")[1]
    items, after = desk.read(outcome.page, "gpt", 2, "", 10)
    assert ([item["source"] for item in items], after) == (["main", "rank-1"], None)


def test_a_revision_shows_its_outcomes(desk: Desk, run: str) -> None:
    """How many there are of each, and the first of them: those that failed come first."""
    assert state(desk) == "settled"
    for number in range(20):
        tell(desk, run, f"rank-{number:02}")
    assert state(desk) == "done"
    tell(desk, run, "rank-99", "failed", error="disk full")
    shown = desk.read(show.revision, "gpt", 2)
    assert (shown["state"], shown["outcomes"]["done"], shown["outcomes"]["failed"]) == (
        "failed",
        20,
        1,
    )
    sources = [item["source"] for item in shown["outcomes"]["items"]]
    assert sources == ["rank-99", *(f"rank-{number:02}" for number in range(15))]
    (listed,) = desk.read(show.revisions, "gpt", 0, 10, Which(RevisionKind.SIGNAL))[0]
    assert listed["state"] == "failed"


def test_a_list_goes_on_where_it_ended(desk: Desk, run: str) -> None:
    """By source, of any number of them."""
    for number in range(5):
        tell(desk, run, f"rank-{number}")
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        items, after = desk.read(outcome.page, "gpt", 2, after, 2)
        found += [item["source"] for item in items]
    assert found == [f"rank-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("more", "refusal", "field"),
    [
        ({"revision": 9}, UnknownRevision, None),
        ({"generation": 2}, UnknownGeneration, None),
        ({"revision": 1, "step": 0}, Invalid, "revision"),
        ({"step": 17}, Invalid, "step"),
        ({"data": {"path": MAX_OUTCOME_DATA * "x"}}, Invalid, "data"),
        ({"error": 4097 * "x"}, Invalid, "error"),
    ],
)
def test_what_nobody_was_told_has_no_outcome(
    desk: Desk, run: str, more: Any, refusal: Any, field: str | None
) -> None:
    """P10: the revision must have sent a signal, at a step that is settled; texts are bounded."""
    with pytest.raises(refusal) as refused:
        tell(desk, run, **more)
    assert [error.field for error in refused.value.errors] == ([field] if field else [])
    assert desk.read(outcome.page, "gpt", 2, "", 10) == ([], None)


def test_a_signal_ahead_was_told_to_nobody(desk: Desk, run: str) -> None:
    """P10: its step is named; once it is settled, outcomes are kept."""
    desk.write(signal, "gpt", SignalRequest("evaluate", effective=24))
    with pytest.raises(Invalid, match="nobody was told revision 3"):
        tell(desk, run, revision=3, step=16)
    desk.settle(run, 16, 16)
    assert tell(desk, run, revision=3, step=24)[1]


def test_a_signal_at_a_stop_has_outcomes(desk: Desk, run: str) -> None:
    """The refusal tells it, though no cell past it is settled."""
    desk.write(stop, "gpt", StopRequest(signal="checkpoint"))
    assert tell(desk, run, revision=3, step=16)[1]
    assert state(desk, 3) == "done"


def test_only_so_many_are_kept(desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: one more source is refused, and those that are known are answered as before."""
    monkeypatch.setattr(outcome, "MAX_OUTCOMES", 3)
    for number in range(3):
        tell(desk, run, f"rank-{number}")
    with pytest.raises(TooMany) as refused:
        tell(desk, run, "rank-3")
    assert refused.value.members == {"limit": 3}
    assert not tell(desk, run, "rank-2")[1]


def test_outcomes_are_events_until_the_run_is_finished(desk: Desk, run: str) -> None:
    """Numbered like all others; what comes after the end is kept, and told nobody."""
    before = desk.read(show.show, "gpt")["event"]
    tell(desk, run, said="failed", error="disk full")
    (event,) = desk.read(events.page, "gpt", before).events
    assert (event["number"], event["kind"]) == (before + 1, "outcome")
    assert event | {"created_at": ""} == {
        "number": before + 1,
        "kind": "outcome",
        "id": run,
        "created_at": "",
        "generation": 1,
        "revision": 2,
        "source": "main",
        "outcome": "failed",
        "step": 8,
        "error": "disk full",
    }
    desk.write(close.finish, "gpt", None, Note())
    assert tell(desk, run, "rank-1")[1]
    found = desk.read(events.page, "gpt", before + 1).events
    assert [event["kind"] for event in found] == ["finished"]


def test_a_rewind_drops_a_signal_at_its_step(desk: Desk, run: str) -> None:
    """What ranks act on is dropped where a change would stay; what was said of it stays, too."""
    tell(desk, run)
    desk.revise({"wd": 0.25}, 16)
    desk.write(rewind, "gpt", RewindRequest(8))
    shown = desk.read(show.revision, "gpt", 2)
    assert (shown["state"], shown["left_by"], shown["outcomes"]["done"]) == ("dropped", 2, 1)
    assert state(desk, 3) == "dropped"
    assert tell(desk, run, "rank-1")[1]


def test_a_note_is_a_revision_that_changes_nothing(desk: Desk, run: str) -> None:
    """It has its place, its level and its text, in history and events; values stay as they are."""
    made = leave(desk, "NaN in layer 7", level="error")
    assert made == {"revision": 3, "effective": 16}
    assert leave(desk, "new data", step=5)["effective"] == 5
    shown = desk.read(show.revision, "gpt", 3)
    assert (shown["kind"], shown["message"], shown["data"]) == (
        "note",
        "NaN in layer 7",
        {"level": "error"},
    )
    assert (shown["author"], shown["changes"], shown["state"]) == ("rank-7", {}, "settled")
    state = desk.read(show.show, "gpt")
    assert (state["revision"], state["pending"]) == (4, [])
    assert desk.settle(run, 15, 2)[0] == [85.0, 84.0]
    notes, _ = desk.read(show.revisions, "gpt", 0, 10, Which(RevisionKind.NOTE))
    assert [item["revision"] for item in notes] == [3, 4]
    found = desk.read(events.page, "gpt", 0).events
    assert [event["kind"] for event in found].count("noted") == 2


def test_a_note_says_something_in_bounds(desk: Desk, run: str) -> None:
    """P10: neither nothing, nor more than a message may; and nothing of a finished run."""
    for text in ("", " \n", 4097 * "x"):
        with pytest.raises(Invalid) as refused:
            leave(desk, text)
        assert [error.field for error in refused.value.errors] == ["text"]
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished):
        leave(desk, "too late")


def test_only_so_many_notes_come_within_a_minute(
    desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: one more is 429 and says when to come back; what was refused does not count."""
    for number in range(MAX_NOTES):
        leave(desk, f"note {number}")
    for _ in range(2):
        with pytest.raises(RateLimited) as refused:
            leave(desk, "one more")
        assert 0 < refused.value.members["retry_after"] <= 60
    monkeypatch.setattr(note, "MINUTE", timedelta())
    assert leave(desk, "a minute later")["revision"] == MAX_NOTES + 3


def test_a_history_of_one_kind_is_paged(desk: Desk, run: str) -> None:
    """A page of a kind goes on where it ended, whatever lies between."""
    for number in range(3):
        leave(desk, f"note {number}")
        desk.revise({"wd": 0.25})
    first, after = desk.read(show.revisions, "gpt", 0, 2, Which(RevisionKind.NOTE))
    assert after is not None
    last, end = desk.read(show.revisions, "gpt", after, 2, Which(RevisionKind.NOTE))
    assert [item["revision"] for item in first + last] == [3, 5, 7]
    assert end is None

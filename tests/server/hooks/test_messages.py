"""What hooks are told: other people's text is data, and cut to a length."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat import wire
from rheostat.server.hooks import messages, schedule
from rheostat.server.hooks.messages import SENTENCES, Notice, body, linked, message, of_event, slack

RUN: wire.HookRun = {"id": "run_" + 26 * "1", "name": "gpt-7b", "labels": {"team": "nlp"}}
REVISED: Any = {
    "number": 18,
    "kind": "revised",
    "id": RUN["id"],
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "generation": 1,
    "revision": 2,
    "effective": 4096,
    "changes": {"lr": [{"edit": "scale", "factor": 0.5}], "wd": 1},
    "author": "ann",
    "message": "loss spike",
    "forced": False,
    "cause": None,
}


def revised(**fields: Any) -> Any:
    """Return a change as it is an event."""
    return {**REVISED, **fields}


def said(**fields: Any) -> wire.HookMessage:
    """Return what hooks are told of a change."""
    return message(of_event(revised(**fields), RUN))


def test_hooks_can_be_told_of_every_event() -> None:
    """Whatever is an event of a run is one for hooks, but for settles; and some more are."""
    kinds = {get_args(get_type_hints(each)["kind"])[0] for each in get_args(wire.Event)}
    own = {"created", "silent", "deleted"}
    assert {*get_args(wire.HookEvent)} == (kinds - {"settled"}) | own
    assert {*SENTENCES} <= {*get_args(wire.HookEvent)}


def test_a_message_says_what_happened() -> None:
    """A change with its number, author, message, revision, step, parameters and a link."""
    told = linked(said(), "https://page.example")
    assert (told["type"], told["timestamp"]) == ("run.revised", REVISED["created_at"])
    assert told["data"] == {
        "event": "revised",
        "number": 18,
        "run": RUN,
        "generation": 1,
        "revision": 2,
        "effective": 4096,
        "author": "ann",
        "message": "loss spike",
        "details": {"forced": False, "parameters": ["lr", "wd"]},
        "link": f"https://page.example/runs/{RUN['id']}",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"message": 4096 * "x"},
        {"author": 200 * "ä", "error": 10_000 * "x"},
        {"changes": {f"p{i}": 1 for i in range(256)}},
        {"data": {"x": 100_000 * "y"}, "cause": {"x": 100_000 * "y"}},
    ],
)
def test_a_message_is_small(fields: dict[str, Any]) -> None:
    """P10: however long texts are, a message has at most the 20 kB that the specification names."""
    labels = {f"{i}" * 60: 1024 * "x" for i in range(64)}
    told = message(of_event(revised(**fields), {**RUN, "labels": labels}))
    for form in get_args(wire.HookFormat):
        assert len(body(told, form)) < 20_000


def test_slack_is_told_in_a_sentence_with_a_link() -> None:
    """Who did what to which run, from which step on, and why."""
    told = slack(linked(said(), "https://page.example"))
    assert told["text"] == (
        f"*<https://page.example/runs/{RUN['id']}|gpt-7b>*: revision 2 of lr, wd at step 4096"
        " by ann\n> loss spike"
    )


HOSTILE = [
    "<!channel>",
    "<!here|x>",
    "<@U024BE7LH>",
    "<https://evil.example|click>",
    "a & b",
    "fine\n*gpt-7b*: finished by root",
    "fine\r\u2028*gpt-7b*: finished",
    "\u202egnp.exe",
    "@channel @everyone",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["message", "author"])
def test_a_text_is_neither_mention_nor_link_nor_line(field: str, text: str) -> None:
    """P10: what people write can call nobody, lead nowhere, and looks like no line of ours."""
    told = slack(said(**{field: text}))["text"]
    assert told.count("\n") == 1
    assert "<" not in told.replace("\n>", "")
    assert ">" not in told.replace("\n>", "")
    assert "@channel" not in told
    assert "@everyone" not in told
    assert "\u202e" not in told
    assert "\u2028" not in told


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_sent(author: str, why: str, error: str) -> None:
    """P10: whatever characters texts have, they become JSON, or a text for Slack."""
    told = said(author=author, message=why, error=error)
    try:
        author.encode(), why.encode(), error.encode()
    except UnicodeEncodeError:
        return  # no database has it, and no request brings it
    for form in get_args(wire.HookFormat):
        json.loads(body(told, form))


@pytest.mark.parametrize("event", get_args(wire.HookEvent))
def test_slack_is_told_of_every_event(event: wire.HookEvent) -> None:
    """Each event is a sentence, though what it is made of be missing."""
    notice = Notice(event, "1", "2026-01-01T12:00:00.000000+00:00", RUN)
    assert slack(message(notice))["text"].startswith("*gpt-7b*: ")


def test_a_trial_says_that_it_is_one() -> None:
    """Nobody takes a trial for a change of a run."""
    told = messages.trial("alerts", "2026-01-01T12:00:00.000000+00:00")
    assert told["type"] == "hook.test"
    assert "(trial)" in slack(told)["text"]
    assert "nothing has happened" in slack(told)["text"]


def test_a_message_is_tried_ten_times_more() -> None:
    """The first time after about 30 seconds, the last time about 6 hours after the one before."""
    delays = [schedule.retry(attempts) for attempts in range(1, 12)]
    assert delays[-1] is None
    known = [each for each in delays if each is not None]
    assert len(known) == 10
    assert known[0] == pytest.approx(30, rel=0.1)
    assert known[-1] == pytest.approx(6 * 3600, rel=0.1)
    assert known == sorted(known)


def test_a_hook_rests_longer_the_more_fails() -> None:
    """A minute at most, unless its receiver asks for more, up to an hour."""
    assert [schedule.rest(n) for n in (1, 2, 5, 100)] == [5, 10, 60, 60]
    assert schedule.rest(1, 120.0) == 120
    assert schedule.rest(1, 1e9) == 3600

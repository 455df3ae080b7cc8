"""Words that reach a training at one step: each once, whatever is garbled on the way."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.listening import ListeningService
from tests.client.test_run import quiet

from rheostat import Client
from rheostat.client import Signal
from rheostat.client.answers import Answer, Broken
from rheostat.client.signals import Hearing, Place, of_block, of_header, of_refusal, of_revision
from rheostat.errors import Stopped


@pytest.fixture
def service() -> ListeningService:
    """Return a service in memory whose run listens, of which `client` is one."""
    return ListeningService()


@given(
    words=st.dictionaries(st.integers(1, 50), st.integers(0, 60), max_size=8),
    steps=st.lists(st.integers(0, 60), min_size=1, max_size=12),
)
def test_each_is_told_where_its_step_is_crossed(words: dict[int, int], steps: list[int]) -> None:
    """Those in (last step asked, step], at the first call none, in the order of their steps."""
    hearing = Hearing()
    hearing.heard(Place(at, revision) for revision, at in words.items())
    for revision in words:
        hearing.learned(Signal("w", {}, revision))
    last: int | None = None
    for step in steps:
        due = [] if last is None else [(a, r) for r, a in words.items() if last < a <= step]
        assert [signal.revision for signal in hearing.tell(step)] == [r for _, r in sorted(due)]
        last = step


@pytest.mark.parametrize("stride", [1, 7, 30])
def test_a_training_is_told_each_word_once(
    client: Client, service: ListeningService, stride: int
) -> None:
    """Every stride crosses every word, with its arguments, and asks for each revision once."""
    service.words = {9: (1, "evaluate", {}), 11: (42, "checkpoint", {"tag": "x"})}
    run = client.run("gpt")
    told = {}
    for step in range(0, 200, stride):
        run.value("lr", step)
        for signal in run.signals(step):
            assert signal.revision not in told
            told[signal.revision] = step, signal
    first = stride * -(-42 // stride)
    assert told == {
        9: (stride, Signal("evaluate", {}, 9)),
        11: (first, Signal("checkpoint", {"tag": "x"}, 11)),
    }
    asked = [r.url.path for r in service.requests if "/revisions/" in r.url.path]
    assert len(asked) == 2


def test_telling_is_a_look_up(client: Client, service: ListeningService) -> None:
    """P9: what was fetched is told without a request, whether there is a word or not."""
    service.words = {9: (30, "evaluate", {})}
    run = client.run("gpt")
    for step in range(29):
        run.value("lr", step)
        run.signals(step)
    quiet(run)
    asked = len(service.requests)
    service.before = lambda _: httpx.Response(503)
    assert run.signals(29) == ()
    assert [signal.name for signal in run.signals(30)] == ["evaluate"]
    assert len(service.requests) == asked


def test_signals_are_waited_for_as_values_are(client: Client, service: ListeningService) -> None:
    """Who asks for a step that is not held has it fetched: a word is never missed."""
    service.words = {9: (500, "evaluate", {})}
    run = client.run("gpt")
    assert run.signals(0) == ()
    assert run.signals(499) == ()
    assert [signal.name for signal in run.signals(500)] == ["evaluate"]


def test_who_never_asks_is_told_nothing(client: Client, service: ListeningService) -> None:
    """A loop that knows no signals costs the service no request for them."""
    service.words = {9: (5, "evaluate", {})}
    run = client.run("gpt")
    for step in range(50):
        run.value("lr", step)
    assert not any("/revisions/" in request.url.path for request in service.requests)


def test_going_back_tells_again(client: Client, service: ListeningService) -> None:
    """A training that crosses a step again, in one process or after a restart, hears it again."""
    service.words = {9: (5, "evaluate", {})}
    run = client.run("gpt")
    assert [run.signals(step) for step in (4, 5, 5, 3, 4)][1][0].name == "evaluate"
    assert run.signals(5)[0].name == "evaluate"
    run.rejoin()
    assert run.signals(5) == ()
    assert run.signals(4) == ()
    assert run.signals(5)[0].name == "evaluate"


def test_the_end_tells_its_words(client: Client, service: ListeningService) -> None:
    """What came with a stop is told at the end, once, and without another request."""
    service.stop = 10
    told = {"at": 10, "signal": "checkpoint", "arguments": {"tag": "last"}, "revision": 7}
    service.at_end = [told]
    run = client.run("gpt")
    for step in run.steps(0, 100):
        assert run.signals(step) == ()
    asked = len(service.requests)
    assert run.signals(10) == (Signal("checkpoint", {"tag": "last"}, 7),)
    assert run.signals(10) == ()
    assert len(service.requests) == asked
    with pytest.raises(Stopped):
        run.value("lr", 10)


def test_a_stop_that_was_taken_back_tells_nothing(
    client: Client, service: ListeningService
) -> None:
    """A word that came with a stop goes with it, if nobody reached it."""
    service.stop = 10
    service.at_end = [{"at": 10, "signal": "checkpoint", "arguments": {}, "revision": 7}]
    run = client.run("gpt")
    for step in range(10):
        run.value("lr", step)
        run.signals(step)
    service.stop = None
    assert run.signals(10) == ()


def test_a_pause_tells_its_words_before_it_is_waited_for(
    client: Client, service: ListeningService
) -> None:
    """They are told within `on_wait`; what is said meanwhile is told afterwards, nothing twice."""
    service.pause = 10
    service.at_end = [{"at": 10, "signal": "checkpoint", "arguments": {}, "revision": 7}]
    early: list[Any] = []

    def on_wait(_: Any) -> None:
        early.extend(signal.name for signal in run.signals(10))
        early.extend(signal.name for signal in run.signals(10))
        service.words = {7: (10, "checkpoint", {}), 9: (10, "evaluate", {})}
        service.resume()

    run = client.run("gpt", on_wait=on_wait)
    told = []
    for step in run.steps(0, 12):
        told += [(step, signal.name) for signal in run.signals(step)]
    assert early == ["checkpoint"]
    assert told == [(10, "evaluate")]


def test_a_loop_without_steps_is_told_before_it_waits(
    client: Client, service: ListeningService
) -> None:
    """Asked before the values are, a paused step tells at once, and the values are waited for."""
    service.pause = 10
    service.at_end = [{"at": 10, "signal": "checkpoint", "arguments": {}, "revision": 7}]
    run = client.run("gpt", on_wait=lambda _: service.resume())
    for step in range(10):
        assert run.signals(step) == ()
        run.value("lr", step)
    assert [signal.name for signal in run.signals(10)] == ["checkpoint"]
    assert service.pause == 10
    assert run.value("lr", 10) == 1 / 11
    service.words = {7: (10, "checkpoint", {})}
    assert run.signals(11) == ()


def test_too_many_words_for_a_header_are_listed(client: Client, service: ListeningService) -> None:
    """Where the header says that it cannot, the block as JSON does."""
    service.words = {
        900_000_000 + number: (step, "evaluate", {"n": step})
        for number, step in enumerate(range(1, 120))
    }
    run = client.run("gpt")
    run.signals(0)
    for step in range(1, 120):
        [signal] = run.signals(step)
        assert signal.arguments == {"n": step}


def test_what_a_word_says_is_waited_for(
    client: Client, service: ListeningService, caplog: pytest.LogCaptureFixture
) -> None:
    """P9: if its revision cannot be asked for at once, that is repeated, and no value waits."""
    service.words = {9: (5, "evaluate", {})}
    away = [True]

    def before(request: httpx.Request) -> httpx.Response | None:
        if "/revisions/" in request.url.path and away:
            away.pop()
            return httpx.Response(503)
        return None

    service.before = before
    run = client.run("gpt")
    with caplog.at_level(logging.DEBUG, "rheostat"):
        told = [signal.name for step in range(8) for signal in run.signals(step)]
    assert told == ["evaluate"]


@pytest.mark.parametrize(
    "text",
    [
        *("4200", "#9", "4200#", "4200#9,", "4200#9;4210#10", "-1#9", "4200#0", "99999#9", "x#y"),
        *("4200#9 ,4201#9", "4200#99999999999", "4,200#9", "٤#9", "4200#9," * 200 + "4200#9"),
    ],
)
def test_a_garbled_header_is_not_believed(text: str) -> None:
    """A block that tells signals in another form, or at steps that are not its own, is no block."""
    with pytest.raises(Broken):
        of_header(_answer({"Rheostat-Signals": text}), 4300)


def test_a_header_says_where_and_which() -> None:
    """The forms that are right are read: none, some, and too many."""
    assert of_header(_answer({}), 4300) == ()
    assert of_header(_answer({"Rheostat-Signals": "4200#9,4210#11"}), 4300) == (
        Place(4200, 9),
        Place(4210, 11),
    )
    assert of_header(_answer({"Rheostat-Signals": "*"}), 4300) is None


def test_a_block_with_garbled_signals_is_asked_for_again(
    client: Client, service: ListeningService
) -> None:
    """P9: nothing of it is used, and the next answer is."""
    spoiled = [True]

    def before(request: httpx.Request) -> httpx.Response | None:
        if spoiled and request.url.path.endswith("/values"):
            spoiled.pop()
            answer = service._answer(request)
            answer.headers["Rheostat-Signals"] = "junk"
            return answer
        return None

    service.before = before
    assert client.run("gpt").value("lr", 0) == 1.0
    assert len(service.reads) == 2


@pytest.mark.parametrize(
    "item",
    [
        *({}, None, 7, "x", {"at": 1, "signal": "w", "arguments": [], "revision": 2}),
        *({"at": 1, "signal": 7, "revision": 2}, {"at": -1, "signal": "w", "revision": 2}),
        *({"at": 1, "signal": "w", "revision": 0}, {"at": 1, "signal": "", "revision": 3}),
        {"at": True, "signal": "w", "revision": 3},
    ],
)
def test_what_is_no_signal_is_none(item: Any) -> None:
    """A refusal that lists it is one all the same; a block or a revision of it is refused."""
    assert of_refusal(Stopped("x", signals=[item])) == ()
    assert of_refusal(Stopped("x", signals=item)) == ()
    body = httpx.Response(200, json={"signals": [item]}).content
    with pytest.raises(Broken):
        of_block(_answer({}, body), 10)
    with pytest.raises(Broken):
        of_revision(_answer({}, httpx.Response(200, json={"data": item}).content))


def test_only_so_many_words_are_remembered() -> None:
    """Nothing that the service says takes memory without bound: the furthest steps stay."""
    hearing = Hearing()
    hearing.tell(0)
    hearing.heard(Place(step, step) for step in range(1, 10_000))
    assert len(hearing.unknown()) == 4096
    assert min(hearing.unknown()) == 10_000 - 4096


def _answer(headers: dict[str, str], body: bytes = b"") -> Answer:
    found = httpx.Headers([(name.encode(), text.encode()) for name, text in headers.items()])
    return Answer(200, found, body)

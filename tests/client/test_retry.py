"""When a request is repeated, how long the pauses are, and when it is given up."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from rheostat.client import answers
from rheostat.client.answers import Answer, Broken, RedirectedAnswer, Stripped
from rheostat.client.retry import LONGEST, Patience, Trouble
from rheostat.errors import Conflict, RateLimited, Unavailable, Unreachable

REFUSED = Trouble(httpx.ConnectError("refused"))


class Clock:
    """A clock that the test turns."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_pauses_double_up_to_the_longest() -> None:
    """With the jitter at its most, pauses are 0.1, 0.2, 0.4 … seconds, and at most 5."""
    patience = Patience("GET", jitter=lambda: 1.0)

    pauses = [patience.pause(REFUSED) for _ in range(8)]

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST, LONGEST])


def test_pauses_have_full_jitter() -> None:
    """Workers that fail together do not come back together: a pause may be of no length at all."""
    patience = Patience("GET", jitter=lambda: 0.0)

    assert {patience.pause(REFUSED) for _ in range(20)} == {0.0}


@pytest.mark.parametrize(("asked", "pause"), [(7.0, 7.05), (60.0, 60.05), (3600.0, 60.05)])
def test_retry_after_is_obeyed_within_a_minute(asked: float, pause: float) -> None:
    """The service says when to come back; a minute is the longest that it is listened to."""
    trouble = Trouble(RateLimited("slow down"), 429, asked)

    assert Patience("GET", jitter=lambda: 0.5).pause(trouble) == pytest.approx(pause)


def test_retry_after_is_a_number_or_a_date() -> None:
    """Both forms of the header are read; what is neither asks for no pause."""
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    texts = {"5": 5.0, " 12 ": 12.0, "": 0.0, "soon": 0.0, "-3": 0.0, "1e9": 0.0}

    assert {text: answers.retry_after(_answer(text)) for text in texts} == texts
    assert 500 < answers.retry_after(_answer(later)) <= 600
    assert answers.retry_after(_answer("Wed, 21 Oct 2015 07:28:00 GMT")) == 0.0


def test_waiting_that_began_before_counts() -> None:
    """What another attempt has waited for already is part of what is told, and of the deadline."""
    clock = Clock()
    patience = Patience("GET", deadline=30.0, since=72.0, clock=clock)

    assert patience.left == 2.0
    assert "in 28.0 s" in str(patience.farewell(REFUSED))


def test_deadline_ends_the_waiting() -> None:
    """P9: no pause goes past the deadline, and after it the last failure is told."""
    clock = Clock()
    patience = Patience("GET http://there/v1", deadline=3.0, clock=clock, jitter=lambda: 1.0)

    while clock.now < 103.0:
        clock.now += patience.pause(REFUSED)

    assert clock.now == pytest.approx(103.0)
    with pytest.raises(Unreachable, match=r"(?s)GET http://there/v1.*6×.*3\.0 s.*refused") as error:
        patience.pause(REFUSED)
    assert error.value.__cause__ is REFUSED.error


def test_retries_end_the_waiting() -> None:
    """Other calls than a worker's are repeated so many times, and not more."""
    patience = Patience("GET", retries=2)

    patience.pause(REFUSED)
    patience.pause(REFUSED)

    with pytest.raises(Unreachable, match="3×"):
        patience.pause(REFUSED)


def test_waiting_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """P9: a worker that waits says so after two seconds, and then every half minute."""
    clock = Clock()
    patience = Patience("steps", deadline=600.0, clock=clock)

    with caplog.at_level(logging.WARNING, "rheostat"):
        for _ in range(100):
            patience.pause(REFUSED)
            clock.now += 1.0

    said = [record.getMessage() for record in caplog.records]
    assert [message.split(" (")[0] for message in said] == [
        "rheostat: waiting for steps since 2 s",
        "rheostat: waiting for steps since 32 s",
        "rheostat: waiting for steps since 62 s",
        "rheostat: waiting for steps since 92 s",
    ]
    assert "ConnectError: refused); gives up in 598 s" in said[0]


@pytest.mark.parametrize(("seconds", "said"), [(1.0, 0), (21.0, 1)])
def test_the_end_of_waiting_is_said_if_its_beginning_was(
    caplog: pytest.LogCaptureFixture, seconds: float, said: int
) -> None:
    """P9: who reads in the log that a worker waits reads there that it goes on; else nothing."""
    clock = Clock()
    patience = Patience("steps", clock=clock)
    clock.now += seconds

    with caplog.at_level(logging.WARNING, "rheostat"):
        patience.pause(REFUSED)
        patience.ends()

    ends = [record.getMessage() for record in caplog.records[1:]]
    assert ends == ["rheostat: going on: steps was answered after 21 s"] * said


def test_a_call_that_is_repeated_says_how_often(caplog: pytest.LogCaptureFixture) -> None:
    """P9: what has no deadline ends after its repetitions, and not in infinitely many seconds."""
    clock = Clock()
    patience = Patience("steps", retries=4, clock=clock)

    with caplog.at_level(logging.WARNING, "rheostat"):
        for _ in range(3):
            patience.pause(REFUSED)
            clock.now += 1.0

    [said] = [record.getMessage() for record in caplog.records]
    assert said.endswith("gives up after 2 more")


@pytest.mark.parametrize(
    ("trouble", "repeatable", "other"),
    [
        (Trouble(httpx.ConnectError("")), True, True),
        (Trouble(httpx.ConnectTimeout("")), True, True),
        (Trouble(httpx.PoolTimeout("")), True, True),
        (Trouble(httpx.ReadTimeout("")), True, False),
        (Trouble(httpx.WriteTimeout("")), True, False),
        (Trouble(httpx.ReadError("")), True, False),
        (Trouble(httpx.RemoteProtocolError("")), True, False),
        (Trouble(httpx.DecodingError("")), True, False),
        (Trouble(Broken("")), True, False),
        (Trouble(httpx.LocalProtocolError("")), False, False),
        (Trouble(httpx.UnsupportedProtocol("")), False, False),
        (Trouble(RateLimited(""), 429), True, True),
        (Trouble(Unavailable(""), 502), True, False),
        (Trouble(Unavailable(""), 503), True, False),
        (Trouble(Unavailable(""), 504), True, False),
        *((Trouble(Conflict(""), status), False, False) for status in (400, 401, 403, 404, 409)),
        *((Trouble(Conflict(""), status), False, False) for status in (405, 412, 413, 422, 500)),
        *((Trouble(Broken("", status)), True, False) for status in (200, 304, 401, 404, 500, 522)),
        (Trouble(Stripped("")), True, False),
        (Trouble(RedirectedAnswer("", 301, "https://there")), False, False),
    ],
)
def test_what_is_repeated(trouble: Trouble, *, repeatable: bool, other: bool) -> None:
    """Trouble that may pass is tried again, but a DELETE only if it certainly had no effect."""
    assert trouble.passes(repeatable=True) is repeatable
    assert trouble.passes(repeatable=False) is other


def test_patience_without_limits_has_no_deadline() -> None:
    """Without a deadline there is always time left."""
    assert Patience("GET").left == math.inf


def _answer(retry_after: str) -> Answer:
    return Answer(503, httpx.Headers({"Retry-After": retry_after}))

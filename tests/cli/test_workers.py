"""How workers and what they applied are drawn."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.test_screen import ACTS, HOSTILE, SHOWN

from rheostat.cli.views import workers
from rheostat.cli.views.screen import Screen

ETA: Any = {
    "revision": 7,
    "effective": 90_112,
    "steps": 8192,
    "seconds": 2560.0,
    "reached_by": 0,
    "workers": 8,
}


def worker(name: str, **said: Any) -> Any:
    """Return a worker that trains, but for what is said of it."""
    return {
        "worker": name,
        "host": "n03",
        "generation": 1,
        "step": 81_920,
        "pace": 3.21,
        "proven_until": 81_664,
        "seen_at": (datetime.now(UTC) - timedelta(seconds=20)).isoformat(),
        "state": "training",
        **said,
    }


def answer(items: Sequence[Any] = (), **said: Any) -> Any:
    """Return a run's workers, eight of which are alive, but for what is said of them."""
    return {
        "alive": 8,
        "silent": 0,
        "ended": 0,
        "wrong": 0,
        "behind": 0,
        "first": 81_920,
        "last": 81_920,
        "pace": 3.21,
        "proven_until": 81_664,
        "eta": [],
        "items": list(items),
        "next": None,
        **said,
    }


def mismatch(**said: Any) -> Any:
    """Return a mismatch: half of the rate, in a slot of float64."""
    return {
        "number": 1,
        "worker": "3",
        "generation": 1,
        "parameter": "lr",
        "step": 5000,
        "expected": "0.0008",
        "found": "0.0004",
        "dtype": "f64",
        "at": datetime.now(UTC).isoformat(),
        **said,
    }


def drawn(capsys: pytest.CaptureFixture[str], found: Any, most: int = 20) -> list[str]:
    """Return the lines that a person sees."""
    workers.workers(Screen(), found, "gpt", most)
    return capsys.readouterr().out.splitlines()


def shape(line: str) -> str:
    """Return a line with its blanks joined."""
    return " ".join(line.split())


def test_what_matters_of_all_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    """How many, the first and the last, the pace, what is proven, and when a change is reached."""
    found = answer([worker("0")], silent=1, wrong=1, behind=2, last=81_912, eta=[ETA])
    assert drawn(capsys, found)[:6] == [
        "workers     8 alive, 1 silent, 1 wrong, 2 behind",
        "first       at step 81,920",
        "last        at step 81,912",
        "pace        3.21 steps a second, the median",
        "proven      until step 81,664",
        f"revision 7  {workers.arrival(ETA)}",
    ]


def test_of_those_who_are_gone_there_is_no_more_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody alive has a pace, or proves anything."""
    gone = answer([worker("0", state="silent")], alive=0, silent=1, proven_until=None)
    gone |= {"first": None, "last": None, "pace": None}
    lines = drawn(capsys, gone)
    assert lines[:2] == ["workers  0 alive, 1 silent", ""]


def test_a_worker_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name, state, step, pace, what is proven, generation, when it was seen, and its host."""
    quiet = worker("n04:117", host=None, pace=None, proven_until=None, state="ended")
    *_, header, first, second = drawn(capsys, answer([worker("0"), quiet]))
    assert shape(header) == "WORKER STATE STEP PACE PROVEN UNTIL GENERATION SEEN HOST"
    assert shape(first) == "0 training 81,920 3.21/s 81,664 1 20 s ago n03"
    assert shape(second) == "n04:117 ended 81,920 1 20 s ago"


def test_those_come_first_that_somebody_should_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    """The wrong one before the silent one, and the others as the service lists them."""
    items = [worker(name) for name in ("2", "10", "n1:9", "n1:10")]
    items += [worker("30", state="silent"), worker("31", state="wrong")]
    rows = drawn(capsys, answer(items))[-6:]
    assert [row.split()[0] for row in rows] == ["31", "30", "2", "10", "n1:9", "n1:10"]


def test_a_long_list_says_how_the_rest_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand workers do not run over the screen."""
    lines = drawn(capsys, answer([worker(f"{rank}") for rank in range(10_000)]), 20)
    assert lines[-1] == "… and 9,980 more: --limit 10000 shows all."
    assert len(lines) == 5 + 1 + 1 + 20 + 1


def test_many_changes_to_come_are_not_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand pending revisions do not hide the workers."""
    lines = drawn(capsys, answer([worker("0")], eta=[ETA] * 1000))
    assert "… and 994 more revisions to come, which --json lists." in lines


def test_nobody_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A run without workers, and one without such workers, are no empty tables."""
    nobody = answer(alive=0, first=None, last=None, pace=None, proven_until=None)
    assert drawn(capsys, nobody) == ["No worker of gpt has said anything yet."]
    assert drawn(capsys, answer())[-1] == "None of them is in that state."


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        ({}, "0 of 8 have come to it, the last is 8,192 steps, about 43 min away"),
        ({"seconds": 0.4}, "0 of 8 have come to it, the last is 8,192 steps, less than 1 s away"),
        ({"seconds": None}, "0 of 8 have come to it, the last is 8,192 steps away"),
        ({"steps": 0, "seconds": 0.0, "reached_by": 7}, "all have come to it"),
    ],
)
def test_an_arrival_says_what_is_known(eta: dict[str, Any], said: str) -> None:
    """Without a pace there is no time, and once the last is there nothing is to go."""
    found: Any = {**ETA, **eta}
    assert workers.arrival(found) == f"at step 90,112: {said}"


def test_a_mismatch_has_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Worker, parameter, step, what was served, what was applied, and the factor between."""
    workers.mismatches(Screen(), [mismatch()], "gpt", 20)
    header, row = capsys.readouterr().out.splitlines()
    assert shape(header) == "WORKER PARAMETER STEP SERVED APPLIED RATIO GENERATION FOUND"
    assert shape(row) == "3 lr 5,000 0.0008 0.0004 × 0.5 1 just now"


def test_the_newest_mismatches_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Of many that were listed by number, the last ones are seen, and how many more there are."""
    items = [mismatch(number=number, step=256 * number) for number in range(1, 101)]
    workers.mismatches(Screen(), items, "gpt", 2)
    _, *rows, rest = capsys.readouterr().out.splitlines()
    assert [row.split()[2] for row in rows] == ["25,600", "25,344"]
    assert rest == "… and 98 more: --limit 100 shows all."


@pytest.mark.parametrize(
    ("expected", "found", "shown"), [("0", "0.1", "0 0.1"), ("0.5", "NaN", "0.5 NaN")]
)
def test_a_factor_that_says_nothing_is_left_out(
    capsys: pytest.CaptureFixture[str], expected: str, found: str, shown: str
) -> None:
    """Between 0 or NaN and a number there is none."""
    workers.mismatches(Screen(), [mismatch(expected=expected, found=found)], "gpt", 20)
    row = capsys.readouterr().out.splitlines()[1]
    assert f"5,000 {shown} 1" in shape(row)


def test_no_mismatch_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """It does not say more than is known."""
    workers.mismatches(Screen(), [], "gpt", 20)
    said = "No worker of gpt is known to have applied anything else than was served.\n"
    assert capsys.readouterr().out == said


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_short_and_the_same(number: float) -> None:
    """What is shown reads back to the same float32, with no more than the nine digits it needs."""
    shown = workers.value(repr(number), "f32")
    assert struct.unpack("f", struct.pack("f", float(shown)))[0] == number
    digits = shown.partition("e")[0].replace(".", "").strip("-0")
    assert len(digits) <= 9


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float64_reads_back(number: float) -> None:
    """The values of a mismatch can be held against a log, bit for bit."""
    assert float(workers.value(repr(number), "f64")) == number


def test_nothing_that_others_wrote_acts(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and hosts are shown as what they are, though the service would refuse such ones."""
    workers.workers(Screen(), answer([worker(HOSTILE, host=HOSTILE)]), HOSTILE, 20)
    workers.mismatches(Screen(), [mismatch(worker=HOSTILE, parameter=HOSTILE)], HOSTILE, 20)
    text = capsys.readouterr().out
    assert text.count(SHOWN) == 4
    assert not ACTS.search(text)

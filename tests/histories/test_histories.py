"""What the published logs say that operators did to live runs, done through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from rheostat import scale

if TYPE_CHECKING:
    from tests.histories.conftest import Begin

Changes = Callable[[str], list[dict[str, Any]]]


def printed(value: float, digits: int) -> str:
    """Return a value as logs print it."""
    return f"{value:.{digits - 1}E}"


def test_bloom_104b_overrides_its_scheduler(replay: Begin, changes: Changes) -> None:
    """
    Of iteration 12,000 the log has 5.999E-05, and of 12,001 5.842E-05, by a count that lags.

    A shorter decay takes over on the run's own clock, from the very first sample that is open.
    """
    bloom = replay("bloom-104b-override")
    bloom.train(1_519_744)
    (override,) = changes("bloom-104b-override")
    done = bloom.operator.change(override["changes"], message=override["message"])
    bloom.train(1_519_744 + 528)
    assert done["effective"] == 1_519_744
    assert printed(bloom.served(1_519_728)["lr"], 4) == "5.999E-05"
    assert bloom.served(1_519_744)["lr"] == pytest.approx(5.842e-5, rel=5e-4)


def test_bloom_104b_stands_still_twice_and_goes_on(replay: Begin) -> None:
    """From iteration 16,800 lr is 0 for 100 iterations; once more, rewound, for 259; then back."""
    bloom = replay("bloom-104b")
    start, batch = 7_594_208, 2048
    for iterations in (100, 259):
        bloom.train(start)
        window = {"edit": "set", "value": 0.0, "steps": iterations * batch}
        bloom.operator.change({"lr": window}, message="look at the gradients")
        end = start + iterations * batch
        bloom.train(end + batch)
        assert printed(bloom.served(start - 16)["lr"], 4) == "5.955E-05"
        assert [bloom.served(step)["lr"] for step in (start, end - 16)] == [0.0, 0.0]
        assert bloom.served(end)["lr"] > 5.9e-5
        bloom.rewind(start, message="from the checkpoint at 16,800")
    assert printed(bloom.served(8_124_640, generation=2)["lr"], 4) == "5.948E-05"
    first = (7_799_008 - 16, 7_799_008)
    assert [bloom.served(step, generation=1)["lr"] > 0 for step in first] == [False, True]


def test_olmo_3_is_extended_by_one_edit(replay: Begin) -> None:
    """At step 597,046 both curves have 1.65e-4; at 700,000 the one to 7T has 1.44709e-4."""
    tokens = 4_194_304
    olmo = replay("olmo3-7b", total=None)  # it becomes longer than it was planned
    olmo.train(597_046 * tokens)
    extend = {"lr": {"edit": "extend", "end": 6_999_999_774_720}}
    rehearsed = olmo.operator.change(extend, dry_run=True)
    done = olmo.operator.change(extend, message="7T tokens instead of 5T")
    olmo.train(1_413_815 * tokens)
    assert done["effective"] == rehearsed["effective"] == 597_046 * tokens
    assert rehearsed["before"]["lr"][0] == rehearsed["after"]["lr"][0]
    assert rehearsed["before"]["lr"][0] == pytest.approx(1.65e-4, rel=1e-12)
    published = {
        597_045: "1.65000356E-04",
        597_046: "1.65000000E-04",
        597_047: "1.64999802E-04",
        700_000: "1.44709E-04",
        1_000_000: "8.98340E-05",
        1_413_814: "3.93252E-05",
    }
    served = {step: olmo.served(step * tokens)["lr"] for step in published}
    assert {step: printed(lr, len(published[step]) - 5) for step, lr in served.items()} == published


IDEFICS: list[tuple[int, Any]] = [
    (15_611, None),
    (14_500, scale(0.75)),
    (16_250, None),
    (16_250, {"kind": "constant", "value": 1.875e-5}),
    (23_250, None),
    (25_000, None),
    (29_000, scale(2.0)),
    (30_250, None),
    (30_500, {"kind": "constant", "value": 1.875e-5}),
    (34_000, scale(0.5)),
]
"""Rewinds, and what became of the base learning rate: the log has 1.875e-05 at 30,500, and 25 %."""


def test_idefics_rewinds_and_halves(replay: Begin) -> None:
    """P6: ten rewinds; each fences off who comes from before it, and keeps what was trained."""
    body = {"parameters": {"lr": {"kind": "constant", "value": 3.75e-5}}}
    idefics = replay(body)
    resumed = 0
    for to, change in IDEFICS:
        spike = max(to, resumed) + 250
        idefics.train(spike)
        left = idefics.generation
        done = idefics.rewind(
            to, change and {"lr": change}, expected_generation=left, message="the loss diverged"
        )
        assert (done["from"], done["ended"]) == (to, spike)
        refused = idefics.train(spike + 1, generation=left)
        assert refused.json()["type"].endswith(":stale-generation")
        resumed = to
    idefics.train(39_036)
    idefics.operator.finish(39_036)
    trained = {
        14_499: 3.75e-5,
        14_500: 2.8125e-5,
        16_249: 2.8125e-5,
        16_250: 1.875e-5,
        28_999: 1.875e-5,
        29_000: 3.75e-5,
        30_499: 3.75e-5,
        30_500: 1.875e-5,
        33_999: 1.875e-5,
        34_000: 9.375e-6,
        39_035: 9.375e-6,
    }
    assert {step: idefics.served(step)["lr"] for step in trained} == trained
    assert len(idefics.operator.show()["generations"]) == 11


def test_marin_8b_decides_five_phases_as_it_goes(replay: Begin, changes: Changes) -> None:
    """P3, P5: none was planned; each takes effect at the first step that no worker has."""
    marin = replay("marin-8b")
    for change in changes("marin-8b"):
        marin.train(change["effective"])
        done = marin.operator.change(change["changes"], message=change["message"])
        assert done["effective"] == change["effective"]
    marin.train(1_420_000)
    published = {
        660_000: ("lr", 1.7e-3),
        740_500: ("lr", 1.7e-3),
        780_250: ("lr", 9.35e-4),
        820_000: ("lr", 1.7e-4),
        822_000: ("lr", 1.7e-3),
        1_319_999: ("z_loss", 0.0),
        1_320_000: ("z_loss", 1e-4),
        1_320_001: ("batch_size", 4096.0),
        1_400_000: ("lr", 1.7e-5),
        1_419_999: ("lr", 1.7e-5),
    }
    assert printed(marin.served(659_999)["lr"], 2) == "1.0E-04"
    for step, (name, value) in published.items():
        assert marin.served(step)[name] == pytest.approx(value, rel=1e-12), step


def test_palm_rewinds_twenty_times(replay: Begin) -> None:
    """P1: twenty spikes, a hundred steps back from each, and the same values on the way again."""
    palm = replay("palm-540b")
    spikes = range(12_100, 252_100, 12_000)
    for generation, spike in enumerate(spikes, 1):
        palm.train(spike)
        again = [palm.served(step) for step in (spike - 100, spike - 1)]
        palm.rewind(spike - 100, expected_generation=generation, message="spike")
        palm.train(spike)
        assert [palm.served(step) for step in (spike - 100, spike - 1)] == again
    palm.train(255_001)
    assert len(palm.operator.show()["generations"]) == 21
    for step, published in ((50_000, "4.472136E-03"), (115_000, "2.948839E-03")):
        assert printed(palm.served(step)["lr"], 7) == published
    last = palm.served(255_000)
    assert printed(last["lr"], 7) == "1.980295E-03"
    assert last["weight_decay"] == pytest.approx(last["lr"] ** 2, rel=1e-15)

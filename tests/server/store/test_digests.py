"""Digests that a process remembers, so many of a run and of all; and who was ahead of it."""

from __future__ import annotations

from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.store.caches import Ahead, Caches, Digests


def test_the_digests_of_a_run_that_were_used_last_stay() -> None:
    """P13: of each run so many, whatever others ask for."""
    digests = Digests(of_run=2, of_all=10)
    for window in (b"1", b"2"):
        digests.put("a", window, "x" + window.decode())
    assert digests.get("a", b"1") == "x1"
    digests.put("a", b"3", "x3")
    digests.put("b", b"2", "y2")
    assert [digests.get("a", window) for window in (b"1", b"2", b"3")] == ["x1", None, "x3"]
    assert digests.get("b", b"2") == "y2"


def test_the_digests_of_all_runs_are_bounded_too() -> None:
    """P13: those of the run that was asked for longest ago go first, and are counted right."""
    digests = Digests(of_run=4, of_all=3)
    for run in "abc":
        digests.put(run, b"1", run)
        digests.put(run, b"1", run)
    assert digests.get("a", b"1") == "a"
    digests.put("c", b"2", "c2")
    assert [digests.get(run, b"1") for run in "abc"] == ["a", None, "c"]
    digests.put("d", b"1", "d")
    assert [digests.get(run, b"1") for run in "acd"] == [None, "c", "d"]


def test_doubt_lets_go_of_digests() -> None:
    """P1: after a commit of unknown outcome nothing is believed that was read before."""
    caches = Caches()
    caches.digests.put("a", b"1", "x")
    caches.doubt()
    assert caches.digests.get("a", b"1") is None
    caches.digests.put("a", b"1", "y")
    assert caches.digests.get("a", b"1") == "y"


def test_the_furthest_of_those_ahead_is_remembered() -> None:
    """Of each generation, and of few of them."""
    ahead = Ahead(most=2)
    one, two, three = (GenerationKey("run", number) for number in (1, 2, 3))
    nobody = (0, "")
    ahead.note(one, 9, "a")
    ahead.note(one, 8, "b")
    ahead.note(two, 7, "b")
    assert (ahead.of(one), ahead.of(two), ahead.of(three)) == ((9, "a"), (7, "b"), nobody)
    ahead.note(three, 6, "c")
    assert (ahead.of(one), ahead.of(two), ahead.of(three)) == (nobody, (7, "b"), (6, "c"))

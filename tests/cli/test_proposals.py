"""Proposals from the command line: what waits for a yes, and what a yes or a no makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli.conftest import Command


def test_a_proposal_waits_for_a_yes(operator: Command, run: str, http: Any) -> None:
    """It is listed in the words that one would type, changes nothing, and then is a revision."""
    made = operator(f"run propose {run} change lr scale 0.5 -m flat --author bob")
    assert made.out.splitlines() == [
        "Proposal 1 waits for a yes: change lr scale 0.5",
        f"  rheostat run accept {run} 1",
    ]
    assert http.get(f"/v1/runs/{run}").json()["revision"] == 1
    row = operator(f"run proposals {run}").out.splitlines()[1]
    assert row.split() == [
        "1",
        "open",
        "bob",
        "just",
        "now",
        "change",
        "lr",
        "scale",
        "0.5",
        "flat",
    ]
    accepted = operator(f"run accept {run} 1 --yes")
    assert accepted.out == "Proposal 1 is revision 2, effective at step 100 on every worker.\n"
    assert operator(f"run show {run} --json").json["current"]["lr"] == pytest.approx(0.45)
    assert operator(f"run proposals {run}").out == "No proposal is open.\n"


def test_who_accepts_is_shown_what_and_asked(operator: Command, run: str) -> None:
    """A script must say --yes; a person sees the proposal before the question."""
    operator(f"run propose {run} rewind 50 lr scale 0.5 -m 'loss is up'")
    ran = operator(f"run accept {run} 1")
    assert ran.code == 2
    assert "  rewind to 50 lr scale 0.5\n  loss is up\n" in ran.err
    assert f"Nobody is here to ask:  Accept proposal 1 of run {run}?" in ran.err


def test_a_run_that_moved_on_is_not_decided_on(operator: Command, run: str) -> None:
    """P2: the revision that was seen is sent along, so that nobody accepts what he never saw."""
    operator(f"run propose {run} stop")
    operator(f"run change {run} lr 0.5")
    ran = operator(f"run accept {run} 1 --yes --expect 1")
    assert ran.code == 1
    assert "[409 revision-mismatch]" in ran.err
    assert "open" in operator(f"run proposals {run}").out


def test_a_no_is_kept_with_its_reason(operator: Command, run: str) -> None:
    """What was decided cannot be decided again, and says by whom and why."""
    operator(f"run propose {run} total 2k --at 200")
    assert operator(f"run decline {run} 1 -m 'not now'").out == "Proposal 1 is declined.\n"
    again = operator(f"run accept {run} 1 --yes")
    assert again.code == 1
    assert "[409 not-open]" in again.err
    assert "  state: declined\n" in again.err
    row = operator(f"run proposals {run} --state all").out.splitlines()[1]
    assert "declined by ann: not now" in row
    assert "total 2,000 --at 200" in row
    assert operator(f"run accept {run} 9 --yes").code == 1


def test_a_watch_tells_proposals(operator: Command, run: str) -> None:
    """What is proposed, accepted and declined is a line each."""
    operator(f"run propose {run} change lr 0.5 -m flat")
    operator(f"run propose {run} pause")
    operator(f"run accept {run} 1 --yes")
    operator(f"run decline {run} 2")
    operator(f"run finish {run} --end 100")
    watched = operator(f"run watch {run} --after 0 --changes").out
    assert [" ".join(line.split()[3:]) for line in watched.splitlines()] == [
        "proposed proposal 1 by ann: change – flat",
        "proposed proposal 2 by ann: pause",
        "revised 100 revision 2 by ann: lr 0.5 – flat",
        "accepted proposal 1 by ann, revision 2",
        "declined proposal 2 by ann",
        "finished 100 by ann",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("change", "say what to propose"),
        ("change lr halve", "'halve' is neither an edit nor a kind: an edit is one of"),
        ("rewind soon", "'soon' is not a whole number of steps"),
        ("control plato", "'plato' is no kind of controller"),
        ("wish", "'wish' is not one of"),
    ],
)
def test_what_nobody_could_do_is_not_proposed(
    operator: Command, run: str, words: str, said: str
) -> None:
    """P10: a proposal is read by the grammar of its command."""
    ran = operator(f"run propose {run} {words}")
    assert (ran.code, said in " ".join(ran.err.split())) == (2, True)

"""What is refused is said in the words of the command line."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def run(operator: Any, new_name: Any) -> str:
    """Return the name of a new run in cells of four steps."""
    name: str = new_name()
    assert operator(f"run create {name} lr=1 --resolution 4 --guard lr.max=2").code == 0
    return name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run change {run} lr 3", "--force overrides"),
        ("run change {run} lr 0.5 --at 7", "--at is 7, and must be a multiple of"),
        ("run rewind {run} 7", "STEP is 7, and must be a multiple of"),
        ("run finish {run} --end 7", "--end is 7, and must be a multiple of"),
        ("run fork {run} other --step 8", "--step: generation 1 is settled up to 0"),
        ("run create other lr=1 --total 0", "  --total: must be at least 1"),
        ("run create other lr=1 --max-block 1000000000", "--max-block: must be at most"),
        ("run create other lr linear steps='2 epochs'", "give `--steps-per-epoch`"),
        ("convert torch CosineAnnealingLR T_max=100", "--base: is required"),
    ],
)
def test_a_refusal_names_options(line: str, said: str, operator: Any, run: str) -> None:
    """A field that is an option of another spelling is called as one types it."""
    ran = operator(line.format(run=run))
    assert ran.code == 1
    assert said in ran.err


def test_a_problem_for_machines_keeps_its_words(operator: Any, run: str) -> None:
    """With --json the document is the service's, whose fields are those of its API."""
    ran = operator(f"run change {run} lr 3 --json")
    assert '"force": true' in ran.json["detail"]
    assert ran.json["errors"][0]["field"] == "changes.lr"
    assert "--force" in ran.err
    at = operator(f"run change {run} lr 0.5 --at 7 --json")
    assert at.json["errors"][0]["field"] == "effective"

"""`rheostat run rewind` and `fork` against a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

HALF = "lr scale 0.5"


@pytest.fixture
def run(operator: Any, new_name: Any, http: httpx.Client) -> str:
    """Return the name of a new run that is settled to 20; its learning rate is 1 - step / 1000."""
    name: str = new_name()
    created = operator(
        f"run create {name} lr linear start=1 end=0 steps=1000 --guard lr.max_ratio=3 --json"
    )
    asked = {"generation": 1, "start": 0, "count": 20}
    http.get(f"/v1/runs/{created.json['id']}/values", params=asked).raise_for_status()
    return name


def value(operator: Any, run: str, step: int) -> float:
    """Return the learning rate at a step."""
    found: float = operator(f"run explain {run} {step} --json").json["parameters"]["lr"]["value"]
    return found


def test_a_rewind_goes_on_from_a_step(operator: Any, run: str) -> None:
    """It says where, and what is left behind; its change holds from there on."""
    done = operator(f"run rewind {run} 8 {HALF} -m diverged")
    assert done.out.startswith("Generation 2 goes on from step 8 of generation 1.")
    assert "until step 20" in done.out
    assert value(operator, run, 7) == 0.993
    assert value(operator, run, 8) == 0.992 / 2
    newest = operator(f"run history {run} --json").json[-1]
    assert (newest["kind"], newest["author"], newest["message"]) == ("rewind", "ann", "diverged")


def test_a_rewind_needs_no_change(operator: Any, run: str) -> None:
    """Going back is enough, and may be to another generation's step."""
    assert operator(f"run rewind {run} 8 --json").json["revision"] == 2
    again = operator(f"run rewind {run} 15 --from-generation 1 --json").json
    assert (again["generation"], again["parent"], again["from"]) == (3, 1, 15)


def test_of_two_watchdogs_one_rewinds(operator: Any, run: str) -> None:
    """P6: `--expect` refuses who has not seen the newest generation."""
    assert operator(f"run rewind {run} 8 --expect 1").code == 0
    refused = operator(f"run rewind {run} 8 --expect 1")
    assert refused.code == 1
    assert "[409 generation-mismatch]" in refused.err


def test_fields_of_a_change_may_look_like_options(
    operator: Any, run: str, new_name: Any, http: httpx.Client
) -> None:
    """`--steps` belongs to the ramp, `--step` to the fork; the other run goes on as it was."""
    name = new_name()
    line = f"run fork {run} {name} --step 10 lr ramp 0 --steps 10 -m decay --label of=test"
    assert f"Run {name} is ready" in operator(line).out
    assert [value(operator, name, step) for step in (9, 15, 20)] == [0.991, 0.99 / 2, 0]
    assert value(operator, run, 15) == 0.985
    assert http.get(f"/v1/runs/{name}").json()["labels"] == {"of": "test"}
    [first] = operator(f"run history {name} --json").json
    assert (first["kind"], first["author"], first["message"]) == ("fork", "ann", "decay")


def test_a_fork_begins_where_its_run_is(operator: Any, run: str, new_name: Any) -> None:
    """Without a step it is the settled end, and without a change it follows the same curve."""
    forked = operator(f"run fork {run} {new_name()} --json").json
    assert (forked["settled_until"], forked["current"]["lr"]) == (20, 0.98)


@pytest.mark.parametrize("words", ["rewind {run} 8", "fork {run} {other} --step 8"])
def test_guards_hold_unless_forced(words: str, operator: Any, run: str, new_name: Any) -> None:
    """A change that comes with a rewind or a fork is guarded as any other."""
    line = f"run {words.format(run=run, other=new_name())} lr scale 0.1"
    refused = operator(line)
    assert refused.code == 1
    assert "[422 guard-violated]" in refused.err
    assert operator(f"{line} --force").code == 0


def test_a_cancellation_says_why(operator: Any, run: str) -> None:
    """Its message is in the history, as that of any revision."""
    operator(f"run change {run} {HALF} --at 100")
    assert operator(f"run cancel {run} 2 -m 'it was the data'").code == 0
    assert operator(f"run history {run} --json").json[-1]["message"] == "it was the data"
    operator(f"run change {run} {HALF} --at 100")
    operator(f"run undo {run} -m 'so it was'")
    assert operator(f"run history {run} --json").json[-1]["message"] == "so it was"

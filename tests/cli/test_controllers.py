"""Controllers and metrics of a run from the command line, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Command, Settle

ARM = "plateau --metric val_loss --factor 0.5 --patience 1 --after 200"


@pytest.fixture
def run(operator: Command, new_name: Callable[[], str], settle: Settle) -> str:
    """Return the name of a run that workers have read up to step 500."""
    name = new_name()
    assert operator(f"run create {name} lr linear start=1 end=0 steps=1000 --total 1000").code == 0
    settle(name, 500)
    return name


def report(http: httpx.Client, name: str, metric: str, *points: tuple[int, float | str]) -> None:
    """Report values of a metric, as a worker."""
    shown = http.get(f"/v1/runs/{name}").json()
    items = [{"step": step, "metrics": {metric: value}} for step, value in points]
    body = {"generation": 1, "reports": items}
    http.post(f"/v1/runs/{shown['id']}/reports", json=body).raise_for_status()


def test_a_controller_is_armed_decides_and_is_disarmed(
    operator: Command, run: str, http: httpx.Client
) -> None:
    """What it is, what it remembers, what it decided and why are each a line."""
    armed = operator(f"run arm {run} {ARM}")
    assert armed.out.startswith("plateau is armed, by revision 2: plateau metric=val_loss")
    assert "after=200" in armed.out
    report(http, run, "val_loss", (100, 1.0), (200, 2.0), (300, 3.0))

    row = operator(f"run decisions {run} plateau").out.splitlines()[1].split(maxsplit=6)
    assert row[:6] == ["300", "plateau", "3", "change,", "revision", "3"]
    assert "val_loss has not been better than 1 (step 100) for 2 reports" in row[6]
    listed = operator(f"run controllers {run}").out.splitlines()[1]
    assert "3 at 300" in listed
    assert "best 1 at 100" in listed
    assert listed.endswith("plateau after=200 action=apply reading=torch factor=0.5 patience=1")
    [revision] = operator(f"run history {run} --kind change --json").json
    assert (revision["effective"], revision["cause"]["step"]) == (500, 300)
    assert "(on the report of step 300" in operator(f"run history {run}").out

    assert "forgotten" in operator(f"run reset {run} plateau").out
    assert operator(f"run disarm {run} plateau").out.startswith("plateau is disarmed.")
    gone = operator(f"run controllers {run} plateau")
    assert (gone.code, "[404 unknown-controller]" in gone.err) == (1, True)
    history = operator(f"run history {run} --kind control").out
    assert all(word in history for word in ("arm plateau", "reset plateau", "disarm plateau"))


def test_a_controller_may_come_from_a_file(operator: Command, run: str, tmp_path: Path) -> None:
    """Under another name, with a field of its own; what the service refuses names the field."""
    file = tmp_path / "plateau.json"
    file.write_text(json.dumps({"kind": "plateau", "metric": "val_loss", "patience": 7}))
    assert operator(f"run arm {run} @{file} --name slow --factor 0.5").code == 0
    shown = operator(f"run controllers {run} slow")
    assert "patience        7" in shown.out
    refused = operator(f"run arm {run} @{file} --parameter momentum")
    assert refused.code == 1
    assert "parameters[0]" in refused.err
    assert "bound of lr" in refused.err


def test_what_lands_soonest_depends_on_the_pace(operator: Command, run: str) -> None:
    """Who gives no --after is told what that means."""
    assert "depends on the pace" in operator(f"run arm {run} plateau --metric loss").out
    assert "depends on the pace" not in operator(f"run arm {run} {ARM}").out


def test_a_metric_is_drawn_with_what_was_decided(
    operator: Command, run: str, http: httpx.Client
) -> None:
    """Decisions stand below the curve; what is not finite is told; CSV and JSON have it all."""
    operator(f"run arm {run} {ARM}")
    points = ((100, 1.0), (200, 2.0), (300, 3.0), (400, "NaN"))
    report(http, run, "val_loss", *points)
    drawn = operator(f"run metrics {run}").out
    assert drawn.startswith("val_loss  from 1 to 3, NaN at step 400")
    assert "revision 3" in drawn
    assert "Not finite: NaN at 400" in drawn
    csv = operator(f"run metrics {run} val_loss --csv").out
    assert csv == "step,value,source\n" + "".join(f"{s},{v},main\n" for s, v in points)
    found = operator(f"run metrics {run} val_loss --json").json
    assert found["values"] == [value for _, value in points]
    assert [each["revision"] for each in found["decisions"]] == [3]
    unknown = operator(f"run metrics {run} nope")
    assert (unknown.code, "[404 unknown-metric]" in unknown.err) == (1, True)


def test_reports_are_followed_until_the_run_is_finished(
    operator: Command, run: str, http: httpx.Client
) -> None:
    """Each is a line, with its source if that is not the usual one."""
    report(http, run, "loss", (100, 2.5), (200, "-Infinity"))
    operator(f"run finish {run}")
    told = operator(f"run metrics {run} loss --follow").out
    assert [line.split() for line in told.splitlines()] == [["100", "2.5"], ["200", "-Infinity"]]


def test_a_surface_says_what_a_run_understands(
    operator: Command, new_name: Callable[[], str]
) -> None:
    """Arguments of signals are read as they are declared: a text of digits stays a text."""
    name = new_name()
    declared = "checkpoint.text=save checkpoint.arguments.tag.type=string"
    made = f"run create {name} lr=0.1 " + " ".join(f"--signal {word}" for word in declared.split())
    assert operator(made).code == 0
    assert "checkpoint  [tag=string(…1024)]  save" in operator(f"run surface {name}").out
    assert operator(f"run signal {name} checkpoint tag=3 --at 5").code == 0
    told = operator(f"run history {name} --kind signal --json").json[0]["data"]
    assert told == {"signal": "checkpoint", "arguments": {"tag": "3"}}
    refused = operator(f"run signal {name} evaluate")
    assert refused.code == 1
    assert "one of checkpoint" in refused.err

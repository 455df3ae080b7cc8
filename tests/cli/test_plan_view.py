"""A plan in the terminal: a chart for each parameter, then the revisions, once."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.cli.views import runs
from rheostat.cli.views.screen import Screen
from rheostat.server.routes.runs import STATE


def plan(revisions: list[tuple[int, int]], settled: int = 0) -> dict[str, Any]:
    """Return the plan of three parameters over 10,000 steps; revisions are (from, number)."""
    marks = [
        {"from": step, "revision": number, "author": "ann", "message": f"of {number}"}
        for step, number in revisions
    ]
    return {
        "name": "gpt",
        "settled_until": settled,
        "steps": [0, 5000, 9999],
        "parameters": {name: [1.0, 0.5, 0.0] for name in ("lr", "momentum", "wd")},
        "revisions": marks,
    }


def drawn(capsys: pytest.CaptureFixture[str], answer: Any) -> list[str]:
    runs.plan(Screen(), answer, height=5, log=False)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("count", [17, 1000])
def test_revisions_are_listed_once(capsys: pytest.CaptureFixture[str], count: int) -> None:
    """However many there are: two rows of names for each chart, and a bounded table below all."""
    rows = drawn(capsys, plan([(8 * number, number) for number in range(1, count + 1)]))
    assert len(rows) < 3 * (5 + 6) + 25
    assert sum("▲" in row for row in rows) == 3 * 2
    assert sum("of 17" in row for row in rows) == 1


def test_of_many_revisions_those_next_to_what_is_settled_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ten in force and ten pending, and how many more there are."""
    rows = drawn(capsys, plan([(number, number) for number in range(1, 1001)], settled=500))
    listed = [row.split()[0] for row in rows if " ann " in row]
    assert listed == [str(number) for number in range(490, 510)]
    assert "… and 980 more, which `rheostat run history gpt` lists." in rows


def test_revisions_at_one_step_share_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them is in the table all the same."""
    rows = drawn(capsys, plan([(0, 1), (3000, 2), (3000, 3)]))
    assert sum("▲ revisions 2, 3" in row for row in rows) == 3
    assert [row.split()[0] for row in rows if " ann " in row] == ["1", "2", "3"]


def test_a_revision_beside_what_is_settled_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Where two names have no room in one row, the second stands below, at its own line."""
    rows = drawn(capsys, plan([(0, 1), (1000, 2), (5100, 3)], settled=5200))
    marks = [row for row in rows if "▲" in row][:2]
    assert marks[0].split("▲ ")[1:] == ["revision 2".ljust(len(marks[0].split("▲ ")[1])), "settled"]
    assert marks[1].strip() == "▲ revision 3"
    assert 0 <= marks[0].index("▲ settled") - marks[1].index("▲") <= 1


def test_a_plan_that_is_past_its_end_says_where_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """How far the last block of a worker went is of no use to people."""
    item: Any = {**STATE, "total": 1000, "settled_until": 1048}
    runs.run(Screen(), item, origin=None)
    out = capsys.readouterr().out
    assert "until step 1,000 of 1,000\n" in out
    assert "1,048" not in out


@pytest.mark.parametrize("origin", [0, 500])
def test_a_scaled_curve_is_explained_as_a_product(
    capsys: pytest.CaptureFixture[str], origin: int
) -> None:
    """A factor times a curve; and where it counts from, unless that is step 0."""
    halved = {"kind": "scale", "of": {"kind": "cosine", "start": 1.0, "end": 0.0}, "factor": 0.5}
    of_lr = {
        "value": 0.25,
        "revision": 2,
        "author": "ann",
        "message": "",
        "effective": 300,
        "definition": {**halved, "of": halved},
        "origin": origin,
    }
    answer: Any = {"step": 600, "final": True, "parameters": {"lr": of_lr}}
    runs.explanation(Screen(), answer, end=None)
    out = " ".join(capsys.readouterr().out.split())
    assert "follows 0.5 × (0.5 × (cosine start=1 end=0))" in out
    assert ("counts from" in out) is (origin > 0)
    run: Any = {**STATE, "parameters": {"lr": halved}, "current": {"lr": 0.25}}
    runs.run(Screen(), run, origin=None)
    assert "0.5 × (cosine start=1 end=0)" in capsys.readouterr().out

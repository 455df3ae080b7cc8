"""A plan in the terminal: a chart for each parameter, then the revisions, once."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.cli.views import runs
from rheostat.cli.views.screen import Screen


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
    """However many there are: a row of names for each chart, and a bounded table below them all."""
    rows = drawn(capsys, plan([(8 * number, number) for number in range(1, count + 1)]))
    assert len(rows) < 3 * (5 + 5) + 25
    assert sum("▲" in row for row in rows) == 3
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

"""`rheostat schedule …` against a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def schedule(operator: Any, new_name: Callable[[], str]) -> str:
    """Return the name of a schedule in two versions."""
    name = new_name()
    for steps in (10, 20):
        assert operator(f"schedule put {name} linear start=1 end=0 steps={steps}").code == 0
    return name


def test_versions_are_kept(operator: Any, schedule: str) -> None:
    """The newest version is shown, an older one on demand."""
    newest = operator(f"schedule show {schedule} --json").json
    assert (newest["version"], newest["definition"]["steps"]) == (2, 20)
    oldest = operator(f"schedule show {schedule} --version 1 --json").json
    assert (oldest["version"], oldest["definition"]["steps"]) == (1, 10)
    assert "version     2, just now by ann" in operator(f"schedule show {schedule}").out


def test_schedules_are_listed(operator: Any, schedule: str) -> None:
    """The list names each schedule once, with its newest version."""
    rows = [row.split()[:2] for row in operator("schedule list").out.splitlines()]
    assert rows.count([schedule, "2"]) == 1


def test_values_and_plots_are_of_the_version(operator: Any, schedule: str) -> None:
    """A schedule can be evaluated and drawn like any definition."""
    assert operator(f"schedule values {schedule} --step 5").out == "0.75\n"
    assert operator(f"schedule values {schedule} --version 1 --step 5").out == "0.5\n"
    assert "linear start=1 end=0 steps=10" in operator(f"schedule plot {schedule} --version 1").out


def test_relative_lengths_are_resolved_when_it_is_kept(
    operator: Any, new_name: Callable[[], str]
) -> None:
    """With --total a schedule may be written in parts of it."""
    line = f"schedule put {new_name()} linear start=1 end=0 steps=10% --json"
    assert operator(line + " --total 4k").json["definition"]["steps"] == 400
    assert operator(line).code == 1


def test_a_schedule_is_deleted_only_on_demand(operator: Any, schedule: str) -> None:
    """In a script deleting needs --yes; then all versions are gone."""
    assert operator(f"schedule delete {schedule}").code == 2
    assert operator(f"schedule delete {schedule} --yes").code == 0
    assert operator(f"schedule show {schedule} --version 1").code == 1

"""Protected runs and many runs on the command line: what is told, and how a command exits."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Command, Ran
from tests.conftest import Guarded


@pytest.fixture
def by(rheostat: Command, guarded: Guarded) -> Callable[[str, str], Ran]:
    """Return what runs a line with the token of a role."""

    def run(role: str, line: str) -> Ran:
        return rheostat(f"{line} --server {guarded.url} --token {guarded.secrets[role]}")

    return run


def test_what_waits_is_told_with_the_line_that_does_it(
    by: Callable[[str, str], Ran], new_name: Callable[[], str]
) -> None:
    """A change of a protected run exits with 5; another person types the line that it names."""
    run = new_name()
    assert by("operator", f"run create {run} lr 1").code == 0
    assert by("operator", f"run protect {run}").code == 1
    told = by("admin", f"run protect {run} --except stop --except pause")
    assert (told.code, "except pause, stop" in told.out) == (0, True)
    held = by("operator", f"run change {run} lr scale 0.5")
    assert (held.code, held.out) == (5, "")
    assert f"  rheostat run accept {run} 1" in held.err.splitlines()
    as_json = by("operator", f"run change {run} lr 3 --json")
    assert (as_json.code, json.loads(as_json.out)["proposal"]) == (5, 2)
    assert "another person" in by("operator", f"run accept {run} 1 --yes").err
    assert by("admin", f"run accept {run} 1 --yes").code == 0
    assert "stop" in by("viewer", f"run show {run}").out
    assert by("admin", f"run unprotect {run} -m over").code == 0
    assert by("operator", f"run change {run} lr 2").code == 0


def test_an_admin_accepts_their_own(
    by: Callable[[str, str], Ran], new_name: Callable[[], str]
) -> None:
    """What an admin has asked for they accept themselves only by saying so."""
    run = new_name()
    by("admin", f"run create {run} lr 1 --protect except=stop,pause")
    assert by("admin", f"run finish {run}").code == 5
    assert by("admin", f"run accept {run} 1 --yes").code == 1
    assert by("admin", f"run accept {run} 1 --yes --unapproved").code == 0
    assert "finished" in by("viewer", f"run show {run}").out


def test_many_runs_are_shown_before_they_are_changed(
    by: Callable[[str, str], Ran], new_name: Callable[[], str]
) -> None:
    """The plan is shown and asked about; a script says `--yes`, and is told what came of each."""
    team = new_name()
    for number, protect in enumerate(("", "", "--protect except=[]")):
        by("operator", f"run create {team}-{number} lr 1 --label of={team} {protect}")
    line = f"change -l of={team} lr scale 0.5"
    planned = by("operator", f"{line} --dry-run")
    assert (planned.code, planned.out.count("is changed")) == (0, 2)
    assert "waits for another person" in planned.out
    asked = by("operator", line)
    assert (asked.code, "Change 3 runs?" in asked.err) == (2, True)
    done = by("operator", f"{line} --yes")
    assert (done.code, "2 changed, 1 proposed" in done.out) == (0, True)
    plan = planned.out.split()[-1]
    again = by("operator", f"{line} --plan {plan}")
    assert "2 changed, 1 proposed" in again.out
    shown = by("viewer", f"run list -l of={team} --sort created --desc --json")
    assert [run["name"][-1] for run in json.loads(shown.out)] == ["2", "1", "0"]
    assert [run["revision"] for run in json.loads(shown.out)] == [1, 2, 2]


def test_lists_are_narrowed(by: Callable[[str, str], Ran], new_name: Callable[[], str]) -> None:
    """By a part of the name, who created it and when; what is no such thing is named."""
    name = new_name()
    by("operator", f"run create {name} lr 1")
    part = name[-10:].upper()
    for more, found in (
        ("", 1),
        ("--author operator", 1),
        ("--author nobody", 0),
        ("--newer-than 1h", 1),
        ("--older-than 1h", 0),
    ):
        listed = by("viewer", f"run list --name {part} {more} --json")
        assert len(json.loads(listed.out)) == found, more
    assert "90d, 12h or 30m" in by("viewer", "run list --older-than soon").err
    assert "did you mean created" in by("viewer", "run list --sort create").err

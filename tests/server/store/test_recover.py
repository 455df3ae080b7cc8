"""Recovering a restored backup: new ids, and everything else as it was."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.errors import UnknownRun
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import fork, recover, show

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def test_every_run_has_a_new_id_and_its_own_past(desk: Any) -> None:
    """P1: nobody gets, under an old id, a value that differs from what was served before."""
    old = desk.create()
    desk.settle(old, 0, 4)
    desk.revise(HALVE)
    forked = {"name": "fork", "from": {"run": "gpt", "step": 2}}
    desk.write(fork.fork, forked, Note("ann"))
    before = [desk.read(show.show, name) for name in ("gpt", "fork")]

    renewed = {each["name"]: each for each in desk.write(recover.recover)}

    assert {name: each["old"] for name, each in renewed.items()} == {
        each["name"]: each["id"] for each in before
    }
    for each in before:
        with pytest.raises(UnknownRun):
            desk.settle(each["id"], 0, 4)
    after = [desk.read(show.show, name) for name in ("gpt", "fork")]
    moved = {each["old"]: each["new"] for each in renewed.values()}
    assert after == [_renamed(each, moved) for each in before]
    assert desk.settle(moved[old], 2, 4)[0] == [98, 97, 48, 47.5]
    assert desk.settle(renewed["fork"]["new"], 0, 4)[0] == [100, 99, 98, 97]


def _renamed(state: dict[str, Any], moved: dict[str, str]) -> dict[str, Any]:
    generations = [
        {**each, "parent_run": moved[each["parent_run"]]} if "parent_run" in each else each
        for each in state["generations"]
    ]
    return {**state, "id": moved[state["id"]], "generations": generations}

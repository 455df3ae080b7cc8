"""
Two trainings with equal metrics have equal values, however fast they are and whatever fails.

Decisions that land so many steps ``after`` their report are a function of the metrics alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import RunningServer
from tests.fleet.ranks import in_step, training

from rheostat import Client, early_stop, plateau, ramp, rule, scale, spike_guard

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.fleet.conftest import StartFleet

    from rheostat.client import Control

RANKS, TOTAL, EVERY, AFTER = 3, 400, 8, 64
"""A report is at most 8 steps late, and nobody reads further ahead than two blocks of 16."""
MEAN: dict[str, Any] = {"metric": "loss", "after": AFTER, "expect": RANKS}
RUN: dict[str, Any] = {
    "name": "gpt",
    "parameters": {
        "lr": {"kind": "cosine", "start": 0.1, "end": 0.01, "steps": TOTAL},
        "wd": {"kind": "constant", "value": 0.5},
    },
    "max_block": 16,
    "max_jump": 16,
    "controllers": {
        "plateau": plateau(factor=0.7, patience=2, min=0.001, **MEAN),
        "low": rule(op="<", value=0.3, changes={"wd": ramp(0.1, steps=20)}, **MEAN),
        "spike": spike_guard(value=0.8, for_=1, changes={"wd": scale(0.9)}, action="apply", **MEAN),
        "end": early_stop(patience=20, check_finite=False, **MEAN),
    },
}
Told = tuple[dict[str, dict[int, str]], list[Any]]


def train(
    address: str, lookahead: float, sleep: float, server: RunningServer | None = None
) -> Told:
    """Train to the end, with a server that is killed on the way, if one is given."""
    with Client(address, retries=20) as client:
        client.create_run(**RUN)
        run = client.control("gpt")
        hold = run.pause(effective=TOTAL // 2)  # so that it is not over before the server is killed
        with training(RANKS, in_step, address, TOTAL, EVERY, lookahead, sleep) as ranks:
            if server is not None:
                while run.show()["settled_until"] < TOTAL / 4:
                    time.sleep(0.05)
                with server.gone():
                    pass
            run.cancel(hold["revision"])
            seen = ranks.results()
        told = ledger(run), decisions(run)
    assert all(rows == seen[0] for rows in seen)
    for step, row in enumerate(seen[0]):
        assert {name: column[step] for name, column in told[0].items()} == in_full(row)
    return told


def in_full(row: dict[str, float]) -> dict[str, str]:
    """Return values with all their digits."""
    return {name: repr(value) for name, value in row.items()}


def ledger(run: Control) -> dict[str, dict[int, str]]:
    """Return what was handed out, by parameter and step, with all digits."""
    found: dict[str, dict[int, str]] = {}
    for part in run.ledger():
        for name, values in part["values"].items():
            found.setdefault(name, {}).update(enumerate(map(repr, values), part["start"]))
    return found


def decisions(run: Control) -> list[Any]:
    """Return what was decided on which report, and from which step on, in the order of reports."""
    made = [
        (each["step"], name, each["decision"], repr(each["value"]), each["effective"])
        for name in RUN["controllers"]
        for each in run.decisions(name)
    ]
    return sorted(made)


@pytest.mark.long
def test_trainings_of_other_speed_have_equal_ledgers(
    start_server: StartServer, start_fleet: StartFleet
) -> None:
    """P11: one server or two replicas, fast or slow, killed in the middle: one ledger, one end."""
    plain = start_server()
    first = train(plain.url, lookahead=2.0, sleep=0)
    decided = first[1]
    assert {name for _, name, *_ in decided} == RUN["controllers"].keys()
    assert len(decided) > 10
    assert {effective - step for step, *_, effective in decided if effective} == {AFTER}

    fleet = start_fleet(2)
    assert train(fleet.url, lookahead=0.05, sleep=0.002) == first

    killed = start_server()
    assert train(killed.url, lookahead=0.5, sleep=0.001, server=killed) == first

"""A worker notices that its service has forgotten what it settled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.client.conftest import FakeService

from rheostat import Client, Run
from rheostat.errors import UnknownRun, WentBack


def trained(client: Client, steps: int, run: Run | None = None) -> Run:
    run = run or client.run("gpt")
    for step in range(steps):
        run.value("lr", step)
    return run


def later(service: FakeService) -> None:
    """Put the backup of a time when two blocks were settled in the place of the database."""
    service.settled, service.event = 4, 2
    service.ledger = {cell: service.ledger[cell] for cell in range(4)}


def recovered(service: FakeService) -> None:
    service.incarnation = "second"


def renewed(service: FakeService) -> None:
    """Recover the database, which gives runs new ids."""
    service.incarnation, service.gone = "second", True


def far_behind(service: FakeService) -> None:
    service.settled, service.event, service.max_jump = 0, 0, 16


@pytest.mark.parametrize(
    ("restore", "words"),
    [
        (later, r"was settled by event \d+, and event \d+ was there already"),
        (recovered, "another incarnation, 'second'"),
        (renewed, "another incarnation, 'second'"),
        (far_behind, "it is settled until step 0, and was until"),
    ],
)
def test_a_restored_backup_stops_the_workers(
    client: Client, service: FakeService, restore: Callable[[FakeService], None], words: str
) -> None:
    """
    P1, P9: no worker goes on with the values of a database that has forgotten some.

    A change was lost with it: the rate would jump back without a word.
    """
    run = trained(client, 40)
    service.change(0.1)
    restore(service)

    with pytest.raises(WentBack, match=words):
        trained(client, 2_000, run)
    with pytest.raises(WentBack, match=words):
        trained(client, 2_000, run)


def test_a_run_that_was_deleted_is_no_restored_backup(client: Client, service: FakeService) -> None:
    """Whoever finds its run gone in the life that it knows is told that, and nothing else."""
    run = trained(client, 40)
    service.gone = True
    with pytest.raises(UnknownRun, match="there is no run of this id"):
        trained(client, 2_000, run)


def test_a_service_that_goes_on_alarms_nobody(client: Client, service: FakeService) -> None:
    """Blocks of other ranks, from caches and from before, in any order, are the same life."""
    first, second = client.run("gpt"), client.run("gpt")
    for step in range(300):
        first.value("lr", step)
        if step % 7 == 0:
            service.event += 1  # a change, for example
            second.value("lr", step // 2)
            second.block(step, 1)
    assert second.value("lr", 299) == first.value("lr", 299)


def test_the_end_of_the_plan_is_told_once(
    client: Client, service: FakeService, caplog: Any
) -> None:
    """P14: a training that reads past its total learns whether it was made longer, and goes on."""
    service.total = 20
    run = client.run("gpt")
    with caplog.at_level(logging.INFO, "rheostat"):
        for step in range(24):
            run.value("lr", step)
    said = [record.message for record in caplog.records if "total" in record.message]
    assert said == ["rheostat: run gpt is read past its total of 20"]
    assert [read for read in service.reads if sum(read) > 20] == [
        (20, 1),
        (21, 1),
        (22, 1),
        (23, 1),
    ]

    service.total = 1_000
    for step in range(24, 60):
        run.value("lr", step)
    assert max(count for start, count in service.reads if start >= 24) > 1

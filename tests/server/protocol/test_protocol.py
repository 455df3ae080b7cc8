"""The protocol beside its model: the domain alone, and the store on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.server.protocol.agents import Limited, LimitedReplicas
from tests.server.protocol.listeners import Listening
from tests.server.protocol.machine import Protocol
from tests.server.protocol.memory import Memory
from tests.server.protocol.provers import Proving
from tests.server.protocol.replicas import Replicas
from tests.server.protocol.running import Running
from tests.server.protocol.systems import System

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "40"))
"""Histories of the domain that are tried: ten times as many as of each kind on each database."""


def agree(system: System, examples: int, machine: type[Running] = Protocol) -> None:
    """Let a state machine look for a history in which a system and the model part."""
    machine = type("Machine", (machine,), {"system": system})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(examples, 1),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_domain_keeps_the_protocol() -> None:
    """P1, P2, P3, P5, P6: what its functions decide, and every value, is as in the model."""
    agree(Memory(), EXAMPLES)


@pytest.fixture
def replicas(database: str) -> Iterator[Replicas]:
    """Return two replicas on each database."""
    system = Replicas(database)
    yield system
    system.close()


def test_the_store_keeps_the_protocol(replicas: Replicas) -> None:
    """P1 to P7, over two replicas that are killed, started again, and lose answers."""
    agree(replicas, EXAMPLES // 10)


def test_the_store_listens(replicas: Replicas) -> None:
    """P11, and P1 to P7: each report is kept once, and decided on once, as in the model."""
    agree(replicas, EXAMPLES // 10, Listening)


def test_the_store_proves(replicas: Replicas) -> None:
    """P12: what workers applied is right or named, once, and never named if it is right."""
    agree(replicas, EXAMPLES // 10, Proving)


def test_the_store_bounds_agents(database: str) -> None:
    """P7: a token with a limit does what that leaves, never more or nearer, as in the model."""
    system = LimitedReplicas(database)
    try:
        agree(system, EXAMPLES // 10, Limited)
    finally:
        system.close()

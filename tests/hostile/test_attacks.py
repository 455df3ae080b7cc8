"""Every attack, once: others are answered meanwhile, and afterwards the server is as before."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.hostile import attacks, measure, socket_attacks
from tests.hostile.measure import ROOT, Prober, Target, attacked, every_attack, served

BOUND = 2.0
"""Seconds more than alone, on a machine that runs other tests as well; the promise is 0.5."""

MEMORY = 1716
"""MiB that a server may have had: see docs/reliability.md."""


@pytest.fixture(scope="module")
def target(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Target]:
    """Return one server for all attacks."""
    monkeypatch_module.setattr(socket_attacks, "SECONDS", 1.0)
    monkeypatch_module.setattr(measure, "ALONE", 0.5)
    with served(ROOT) as running:
        yield running


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    """Return a monkeypatch that lasts for the module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def prober(target: Target) -> Iterator[Prober]:
    """Return who else uses it."""
    asking = Prober(target)
    yield asking
    asking.stop()


@pytest.mark.parametrize("attack", every_attack(), ids=lambda attack: attack.name)
def test_others_are_served_while_one_attacks(
    target: Target, prober: Prober, attack: attacks.Attack
) -> None:
    """P13: nobody waits long for `/livez` or a settled block, whatever somebody else sends."""
    found = attacked(target, prober, attack)
    assert found.attacked.livez < found.alone.livez + BOUND
    assert found.attacked.settled < found.alone.settled + BOUND
    assert target.memory < MEMORY
    headers = {"Authorization": f"Bearer {target.attacker}"}
    assert httpx.get(f"{target.url}/v1/runs", headers=headers, timeout=30).status_code == 200


def test_attacks_have_names_of_their_own() -> None:
    """A line of the table is one attack."""
    names = [attack.name for attack in every_attack()]
    assert len(set(names)) == len(names) > len(attacks.ATTACKS)

"""A worker goes on through what a proxy answers in the service's place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.client.between import ANSWERS, Pace, train

SHORT = Pace(step=0.02, lookahead=0.2, before=0.6, trouble=0.7, after=0.6)


@pytest.mark.parametrize("answer", ANSWERS)
def test_worker_goes_on(answer: str, server: str, new_name: Callable[[], str]) -> None:
    """P1, P9: all it reads is the ledger's; only a redirect is raised, and reading on works."""
    seen = train(server, new_name(), ANSWERS[answer], SHORT)

    assert seen.answered > 0
    assert list(seen.values) == list(range(len(seen.values)))
    assert {step: seen.ledger[step] for step in seen.values} == seen.values
    assert (set(seen.raised) == {"Redirected"}) is (answer == "301")

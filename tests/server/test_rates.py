"""How much one client may ask."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rheostat.errors import RateLimited
from rheostat.server.app import create_app
from rheostat.server.http import rates
from rheostat.server.settings import Settings

LOCAL = "http://127.0.0.1"


def test_who_asks_too_much_is_told_when_to_come_back(tmp_path: Any, problem: Any) -> None:
    """P10: ten seconds' worth at once; then 429 with `Retry-After`, for this client alone."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}", rate_limit=0.5))
    with (
        TestClient(app, base_url=LOCAL, client=("10.0.0.1", 1)) as one,
        TestClient(app, base_url=LOCAL, client=("10.0.0.2", 1)) as other,
    ):
        answers = [one.get("/v1/kinds/cosine") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        problem(answers[-1], "rate-limited")
        assert answers[-1].headers["retry-after"] in {"1", "2"}
        assert one.get("/livez").status_code == one.get("/readyz").status_code == 200
        assert other.get("/v1/kinds/cosine").status_code == 200


def test_without_a_limit_nobody_is_counted(tmp_path: Any) -> None:
    """The limit is off by default."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}"))
    assert "RateLimit" not in str(app.user_middleware)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_wrong_limits_are_refused(wrong: float) -> None:
    """P10: a limit is a number of requests per second, or 0."""
    with pytest.raises(ValueError, match="rate_limit"):
        Settings(rate_limit=wrong)


def test_debts_are_paid_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits as long as `Retry-After` says is answered, and who waits less is not."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    limit = rates.Rates(4.0)
    for _ in range(40):
        limit._charge("a")
    with pytest.raises(RateLimited) as refusal:
        limit._charge("a")
    clock[0] += refusal.value.members["retry_after"]
    for _ in range(4):
        limit._charge("a")
    clock[0] += 0.24
    with pytest.raises(RateLimited):
        limit._charge("a")


def test_memory_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: an attacker with many addresses fills no memory; who was quiet longest is forgotten."""
    monkeypatch.setattr(rates, "MOST", 2)
    limit = rates.Rates(1.0)
    for address in ("a", "b", "a", "c"):
        limit._charge(address)
    assert list(limit._paid) == ["a", "c"]

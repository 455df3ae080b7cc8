"""Lists of runs by their state and by how their names begin."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from rheostat.client import Client

RUN = {"parameters": {"lr": 1}, "total": 8}


@pytest.fixture
def runs(http: httpx.Client, new_name: Callable[[], str]) -> str:
    """Return how the names begin of four runs: live, paused, ended and finished."""
    prefix = new_name()
    for word, more in (("live", {}), ("paused", {"paused": True}), ("ended", {}), ("finished", {})):
        body = {"name": f"{prefix}-{word}", **RUN, **more}
        run = http.post("/v1/runs", json=body).raise_for_status().json()
        if word == "ended":
            asked = {"generation": 1, "start": 0, "count": 16}
            http.get(f"/v1/runs/{run['id']}/values", params=asked).raise_for_status()
        if word == "finished":
            http.post(f"/v1/runs/{run['name']}/finish", json={}).raise_for_status()
    return prefix


@pytest.mark.parametrize("state", ["live", "paused", "ended", "finished"])
def test_a_list_has_the_runs_in_a_state(state: str, runs: str, http: httpx.Client) -> None:
    """Whoever asks for a state gets the runs that say it of themselves, and no others."""
    found = http.get("/v1/runs", params={"state": state, "prefix": runs}).json()["items"]
    assert [(item["name"], item["state"]) for item in found] == [(f"{runs}-{state}", state)]
    assert http.get(f"/v1/runs/{runs}-{state}").json()["state"] == state


def test_several_states_are_any_of_them(runs: str, server: str) -> None:
    """The client asks for several at once, and for the first ones alone."""
    with Client(server) as client:
        found = client.runs(state=["ended", "paused"], prefix=runs)
        assert [item["state"] for item in found] == ["ended", "paused"]
        assert len(client.runs(prefix=runs)) == 4
        assert [item["name"] for item in client.runs(prefix=runs, limit=1)] == [f"{runs}-ended"]
        assert client.runs(state="stuck", prefix=runs) == []


@pytest.mark.parametrize("query", [{"state": "dead"}, {"prefix": "a b"}, {"prefix": "a%"}])
def test_what_no_run_can_be_is_refused(query: dict[str, str], http: httpx.Client) -> None:
    """A state that there is not, and a beginning that no name has, are named."""
    answer = http.get("/v1/runs", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"][:5]) == (
        422,
        next(iter(query))[:5],
    )


def test_the_nearest_name_is_asked_after(runs: str, http: httpx.Client) -> None:
    """A run that does not exist is refused with the one that was probably meant."""
    detail = http.get(f"/v1/runs/{runs}-lvie").json()["detail"]
    assert detail == f"there is no run '{runs}-lvie'; did you mean {runs}-live?"
    assert "did you mean" not in http.get("/v1/runs/run_" + "0" * 26).json()["detail"]

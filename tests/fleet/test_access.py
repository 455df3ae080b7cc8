"""nginx asks the service who may settle before it answers from its cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import open_tokens
from tests.fleet.test_cache import block, source

if TYPE_CHECKING:
    from tests.fleet.conftest import Fleet

NAVIGATION = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def test_a_block_is_for_workers_alone(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """P10: without a worker's token nothing comes from the cache, whatever is in it."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        assert [source(http.get(block(run))) for _ in range(2)] == ["MISS", "HIT"]
    for secret in (None, "rheo_" + "0" * 40, "nonsense"):
        with fleet.nginx.client(secret) as http:
            answer = http.get(block(run))
            problem(answer, "unauthenticated")
            assert answer.headers.get_list("www-authenticate") == ["Bearer"]
            assert source(answer) is None


@pytest.mark.parametrize("first", ["viewer", "worker"])
def test_previews_and_blocks_do_not_mix(first: str, fleet: Fleet, new_name: Any) -> None:
    """A viewer's read of a worker's address is a preview, whoever comes first."""
    run = fleet.create(new_name())
    roles = [first, "worker", "viewer", "worker"]
    answers = []
    for role in roles:
        with fleet.client(role) as http:
            answers.append(http.get(block(run)).raise_for_status())
    for role, answer in zip(roles, answers, strict=True):
        assert ("final" in answer.json()) == (role == "viewer")
        assert (answer.headers["cache-control"] == "no-store") == (role == "viewer")
    assert source(answers[-1]) == "HIT"


def test_a_token_with_a_limit_gets_previews(fleet: Fleet, new_name: Any) -> None:
    """P14: though it is an operator's, it settles nothing, and opens the cache for nobody."""
    run, name = fleet.create(new_name()), new_name()
    with open_tokens(fleet.database) as tokens:
        secret = tokens.create(name, "operator", limit="changes=5/day")["token"]
    with fleet.nginx.client(secret) as limited, fleet.client("worker") as worker:
        for settled in (False, True):
            shown = limited.get(block(run)).raise_for_status()
            assert (shown.headers["cache-control"], source(shown)) == ("no-store", None)
            assert set(shown.json()["final"]) == {settled}
            assert [source(worker.get(block(run))) for _ in range(2)][1] == "HIT"
        assert limited.get("/v1/access", params={"role": "worker"}).status_code == 403


def test_browsers_settle_nothing(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """A look in a browser is a preview, and another site's page is refused, with any token."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        http.get(block(run)).raise_for_status()
        assert "final" in http.get(block(run), headers=NAVIGATION).json()
        problem(http.get(block(run), headers={"origin": "http://evil.example"}), "forbidden")
        script = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        problem(http.get(block(run), headers=script), "forbidden")


def test_a_revoked_token_is_refused(fleet: Fleet, new_name: Any) -> None:
    """A token that was revoked opens the cache for some seconds more, and then no longer."""
    run, name = fleet.create(new_name()), new_name()
    with open_tokens(fleet.database) as tokens:
        secret = tokens.create(name, "worker")["token"]
        with fleet.nginx.client(secret) as http:
            assert [http.get(block(run)).status_code for _ in range(2)] == [200, 200]
            tokens.revoke(name)
            for _ in range(300):  # many times as long as it may take
                if http.get(block(run)).status_code == 401:
                    break
                time.sleep(0.1)
            assert http.get(block(run)).status_code == 401


def test_a_token_for_some_runs_opens_no_others(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """P10: a yes for one run opens the cache for no other, however soon it is asked, or written."""
    team = new_name()
    theirs = fleet.create(new_name(), labels={"team": team})
    others = fleet.create(new_name())
    with fleet.client("worker") as http:
        for run in (theirs, others):
            assert [source(http.get(block(run))) for _ in range(2)] == ["MISS", "HIT"]
    with open_tokens(fleet.database) as tokens:
        secret = tokens.create(team, "worker", runs=f"team={team}")["token"]
    with fleet.nginx.client(secret) as http:
        assert source(http.get(block(theirs))) == "HIT"
        refused = http.get(block(others))
        assert source(http.get(block(theirs))) == "HIT"
        assert problem(refused, "unknown-run")["detail"] == f"there is no run {others!r}"
        assert source(refused) is None
        odd = str(block(others)).replace("run_", "%72un_")
        problem(http.get(odd), "unknown-run")

"""nginx answers settling reads from its cache: each block is asked of the service once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.fleet.conftest import Cutter, Fleet, StartNginx

VALUES = "/v1/runs/{run}/values"
BINARY = "application/octet-stream"


def block(run: str, start: int = 0, count: int = 4, **more: Any) -> httpx.URL:
    """Return the address of a settling read."""
    query = {"generation": 1, "start": start, "count": count, **more}
    return httpx.URL(f"/v1/runs/{run}/values", params=query)


def source(answer: httpx.Response) -> str | None:
    """Say whether an answer is the cache's (HIT), or passed through it (MISS) or by it (None)."""
    found: str | None = answer.headers.get("x-cache")
    return found


def test_a_block_is_asked_of_the_service_once(fleet: Fleet, new_name: Any) -> None:
    """P1: the second read of a block is nginx's, with the same bytes and headers."""
    run, before = fleet.create(new_name()), fleet.served(VALUES)
    with fleet.client("worker") as http:
        answers = [http.get(block(run)) for _ in range(3)]
    assert [source(answer) for answer in answers] == ["MISS", "HIT", "HIT"]
    assert fleet.served(VALUES) == before + 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["parameters"] == {"lr": [100, 99, 98, 97], "wd": [0.5] * 4}
    for name in ("etag", "cache-control", "content-length", "rheostat-revisions", "vary"):
        assert {answer.headers[name] for answer in answers} == {answers[0].headers[name]}


def test_simultaneous_reads_of_a_block_are_one(
    fleet: Fleet, start_nginx: StartNginx, new_name: Any
) -> None:
    """Of ranks that ask for a block at the same moment, one reaches the service."""
    run, before, ranks = fleet.create(new_name()), fleet.served(VALUES), 32
    nginx = start_nginx(*fleet.addresses, wait="proxy_cache_lock_timeout 60s;")
    together = threading.Barrier(ranks)
    with nginx.client(fleet.secrets["worker"]) as http, ThreadPoolExecutor(ranks) as pool:

        def ask(_rank: int) -> httpx.Response:
            together.wait()
            return http.get(block(run))

        answers = list(pool.map(ask, range(ranks)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert fleet.served(VALUES) == before + 1


@pytest.mark.parametrize("first", ["application/json", BINARY])
def test_formats_do_not_mix(first: str, fleet: Fleet, new_name: Any) -> None:
    """A block in one format is never the answer to who wants the other, however they say so."""
    run, second = fleet.create(new_name()), {"application/json": BINARY}.get(first, "*/*")
    by_query = [block(run, format="f64"), block(run, format="json")]
    kinds = {}
    with fleet.client("worker") as http:
        for accept in (first, second, first, second):
            kinds[accept] = http.get(block(run), headers={"Accept": accept})
        named = [http.get(url, headers={"Accept": first}) for url in by_query * 2]
    assert source(kinds[second]) == "HIT"
    types = ["application/json" if kind == "*/*" else kind for kind in kinds]
    assert [answer.headers["content-type"] for answer in kinds.values()] == types
    expected = [BINARY, "application/json"] * 2
    assert [answer.headers["content-type"] for answer in named] == expected
    assert len(named[0].content) == 8 * 8


def test_encodings_do_not_matter(fleet: Fleet, new_name: Any) -> None:
    """Clients that take compressed answers share a block with those that do not."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        plain, packed = (
            http.get(block(run), headers={"Accept-Encoding": item}) for item in ("identity", "gzip")
        )
    assert source(packed) == "HIT"
    assert packed.content == plain.content
    assert "content-encoding" not in packed.headers


def test_who_has_a_block_is_told_so(fleet: Fleet, new_name: Any) -> None:
    """A block that is asked for with its tag is not sent again."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        tag = http.get(block(run)).headers["etag"]
        again = http.get(block(run), headers={"If-None-Match": tag})
    assert (again.status_code, again.content, source(again)) == (304, b"", "HIT")


def test_every_answer_has_the_id_of_its_request(fleet: Fleet, new_name: Any) -> None:
    """An id that a caller gives comes back from the cache too, and no other request's."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        for name in ("night-shift-1", "night-shift-2"):
            answer = http.get(block(run), headers={"X-Request-Id": name})
            assert answer.headers.get_list("x-request-id") == [name]
        chosen = http.get(block(run), headers={"X-Request-Id": "{}"}).headers["x-request-id"]
    assert source(answer) == "HIT"
    assert len(chosen) == 32


def test_refusals_are_not_kept(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """P9: what was refused is answered as soon as it may be, under the same address."""
    run = fleet.create(new_name(), max_jump=4)
    with fleet.client("worker") as http:
        for _ in range(2):
            problem(http.get(block(run, start=4)), "step-jump")
        http.get(block(run)).raise_for_status()
        answer = http.get(block(run, start=4))
    assert answer.raise_for_status().json()["parameters"]["lr"] == [96, 95, 94, 93]


def test_a_training_may_begin_in_the_middle(fleet: Fleet, new_name: Any) -> None:
    """P14: what was refused is there once one worker has said that it begins here."""
    run = fleet.create(new_name(), max_jump=4)
    with fleet.client("worker") as http:
        refused = http.get(block(run, start=60))
        http.post(f"/v1/runs/{run}/join", json={"start": 60}).raise_for_status()
        answers = [http.get(block(run, start=60)) for _ in range(2)]
    assert refused.status_code == 409
    assert [source(answer) for answer in answers] == ["MISS", "HIT"]
    assert answers[0].content == answers[1].content


def test_previews_are_not_kept(fleet: Fleet, new_name: Any) -> None:
    """P2: what is not final changes with the next revision, and whoever looks sees that."""
    name = new_name()
    run = fleet.create(name)
    seen = []
    with fleet.client() as http:
        for factor in (0.5, 0.5):
            by_name = http.get(f"/v1/runs/{name}/values", params={"start": 0, "count": 1})
            by_id = http.get(f"/v1/runs/{run}/values", params={"start": 0, "count": 1})
            seen.append((by_name.json()["parameters"]["lr"], by_id.json()["parameters"]["lr"]))
            changes = {"lr": {"edit": "scale", "factor": factor}}
            http.post(f"/v1/runs/{run}/revisions", json={"changes": changes}).raise_for_status()
    assert seen == [([100], [100]), ([50], [50])]


def test_a_run_made_again_is_another_one(fleet: Fleet, new_name: Any) -> None:
    """P1: a run that was deleted and made again under its name has blocks of its own."""
    name = new_name()
    first = fleet.create(name)
    with fleet.client() as http:
        before = http.get(block(first)).json()["parameters"]["lr"]
        http.delete(f"/v1/runs/{name}").raise_for_status()
        changed = {"lr": {"kind": "constant", "value": 7}}
        second = fleet.create(name, parameters=changed)
        after = http.get(block(second)).json()["parameters"]["lr"]
    assert (before, after) == ([100, 99, 98, 97], [7, 7, 7, 7])


def test_only_reads_go_through_the_cache(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """What is no GET settles nothing in passing, and a read with a body is the service's alone."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        assert http.head(block(run)).status_code == 405
        problem(http.post(block(run)), "method-not-allowed")
        assert http.get(f"/v1/runs/{run}").json()["settled_until"] == 0
        answers = [http.request("GET", block(run), content=b"x") for _ in range(2)]
    assert [(answer.status_code, source(answer)) for answer in answers] == [(200, None)] * 2


def test_what_was_cut_off_is_not_kept(
    fleet: Fleet, start_nginx: StartNginx, cutter: Cutter, new_name: Any
) -> None:
    """P1: half an answer reaches one client at most, and nobody after it."""
    run = fleet.create(new_name())
    nginx = start_nginx(cutter.address)
    with nginx.client(fleet.secrets["worker"]) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            http.get(block(run))
        answers = [http.get(block(run)) for _ in range(2)]
    assert cutter.cuts == 1
    assert [source(answer) for answer in answers] == ["MISS", "HIT"]
    assert answers[1].json()["parameters"]["lr"] == [100, 99, 98, 97]


def test_a_cookie_opens_the_cache_to_nobody(fleet: Fleet, new_name: Any, problem: Any) -> None:
    """P10: a session settles nothing through the cache, and opens it to nobody who asks next."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        http.get(block(run)).raise_for_status()
    page = {"Sec-Fetch-Site": "same-origin"}
    with fleet.client() as http:
        http.headers.pop("authorization", None)
        body = {"token": fleet.secrets["operator"]}
        answer = http.post("/v1/session", json=body, headers=page).raise_for_status()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        http.cookies.clear()
        shown = http.get(block(run), headers={"Cookie": cookie})
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
        problem(http.get(block(run)), "unauthenticated")

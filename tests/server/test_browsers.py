"""What a browser may do: pages of other sites can neither settle nor change a run."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

OWN = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
TYPED = {**LINK, "sec-fetch-site": "none"}
FOREIGN = {
    "a script": {**OWN, "sec-fetch-site": "cross-site"},
    "a script of another port": {**OWN, "sec-fetch-site": "same-site"},
    "a picture": {**LINK, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    "a frame": {**LINK, "sec-fetch-dest": "iframe"},
    "an embedded object": {**LINK, "sec-fetch-dest": "embed"},
    "a browser without Sec-Fetch": {"origin": "https://evil.example"},
    "a page from a file": {"origin": "null"},
    "an origin that is no URL": {"origin": "http://["},
    "another port's origin": {"origin": "http://127.0.0.1:1"},
    "a name that was rebound": {"host": "evil.example", "origin": "http://evil.example"},
    "a name that only begins well": {"host": "localhost.evil.example"},
    "no host at all": {"host": ""},
}
SPEC = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
FIRST = {"generation": 1, "start": 0, "count": 4}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


@pytest.fixture
def run(http: httpx.Client, new_name: Any) -> str:
    """Return the id of a new run."""
    return str(http.put(f"/v1/runs/{new_name()}", json=SPEC).json()["id"])


def state(http: httpx.Client, run: str) -> tuple[int, int]:
    """Return how far a run is settled, and its newest revision."""
    shown = http.get(f"/v1/runs/{run}").json()
    return shown["settled_until"], shown["revision"]


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_sites_pages_do_nothing(
    http: httpx.Client, problem: Any, run: str, headers: dict[str, str]
) -> None:
    """P10: no page of another site reads, settles or changes a run on loopback."""
    path = f"/v1/runs/{run}"
    answers = [
        http.get(f"{path}/values", params=FIRST, headers=headers),
        http.post(f"{path}/revisions", json=HALVE, headers=headers),
        http.delete(path, headers=headers),
        http.get("/v1/runs", headers=headers),
    ]
    for answer in answers:
        problem(answer, "forbidden")
    assert state(http, run) == (0, 1)


@pytest.mark.parametrize("headers", [LINK, TYPED], ids=["a link", "the address bar"])
def test_looking_settles_nothing(http: httpx.Client, run: str, headers: dict[str, str]) -> None:
    """A settling address that is opened in a browser shows a preview."""
    answer = http.get(f"/v1/runs/{run}/values", params=FIRST, headers=headers)
    assert (answer.status_code, answer.json()["final"]) == (200, [False] * 4)
    assert answer.headers["cache-control"] == "no-store"
    assert state(http, run) == (0, 1)


def test_a_form_changes_nothing(http: httpx.Client, problem: Any, run: str) -> None:
    """P10: what a page can post without asking first is no JSON, and is refused as such."""
    body = b'{"changes": {"lr": {"edit": "scale", "factor": 0.5}}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"content-type": kind}
        answer = http.post(f"/v1/runs/{run}/revisions", content=body, headers=headers)
        problem(answer, "unsupported-media-type")
    linked = http.post(f"/v1/runs/{run}/revisions", json=HALVE, headers=LINK)
    problem(linked, "forbidden")
    assert state(http, run) == (0, 1)


def test_our_own_page_may_do_everything(http: httpx.Client, run: str) -> None:
    """A page of the service itself works with it, behind a proxy that changes names too."""
    headers = {**OWN, "origin": "https://rheostat.example"}
    changed = http.post(f"/v1/runs/{run}/revisions", json=HALVE, headers=headers)
    assert changed.status_code == 201
    old = {"origin": str(http.base_url).rstrip("/")}  # from a browser without Sec-Fetch
    assert http.get(f"/v1/runs/{run}/values", params=FIRST, headers=old).status_code == 200
    assert state(http, run) == (4, 2)


def test_no_other_origin_may_read(http: httpx.Client) -> None:
    """No answer has a header of CORS, asked for or not, and preflights are refused."""
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": "x"}
    answers = [
        http.get("/v1/kinds", headers={"origin": str(http.base_url).rstrip("/")}),
        http.options("/v1/runs", headers={"origin": "https://evil.example", **asked}),
        http.options("/v1/runs", headers={**OWN, **asked}),
    ]
    assert [answer.status_code for answer in answers] == [200, 403, 405]
    names = {name for answer in answers for name in answer.headers}
    assert not [name for name in names if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/docs", "/runs/gpt", "/v1/schedules/page/values?format=svg"])
def test_pages_are_protected(http: httpx.Client, path: str) -> None:
    """What a browser shows as a page may not be framed, nor load what is not its own."""
    body = {"definition": {"kind": "linear", "start": 1, "end": 0, "steps": 9}}
    http.put("/v1/schedules/page", json=body)
    answer = http.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_documentation_is_our_own(http: httpx.Client) -> None:
    """P10: `/docs` loads nothing from elsewhere and runs nothing inline, and is whole."""
    page = http.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert len(loaded) == 3
    assert not re.search(r"<script(?! src=)|<style|style=| on\w+=", page.text)
    for path in loaded:
        assert re.fullmatch(r"docs/[\w.-]+", path), "relative: it works below a proxy's path"
        file = http.get(f"/{path}")
        assert (file.status_code, file.headers["content-encoding"]) == (200, "gzip")
        again = http.get(f"/{path}", headers={"if-none-match": file.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "page.html", "LICENSE", "..%2f..%2fapp.py"])
def test_no_other_file_is_served(http: httpx.Client, problem: Any, name: str) -> None:
    """P10: what the page does not load is not there."""
    problem(http.get(f"/docs/{name}"), "not-found")


def test_data_is_not_a_page(http: httpx.Client) -> None:
    """What is no page is never taken for one."""
    answer = http.get("/v1/kinds")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in answer.headers

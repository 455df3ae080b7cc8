"""What operators and their machines ask of a server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from rheostat import __version__
from rheostat.server.app import create_app
from rheostat.server.http.browsers import names
from rheostat.server.settings import Settings
from rheostat.server.store.store import Store

LOCAL = "http://127.0.0.1"
AWAY = "postgresql://nobody@127.0.0.1:9/none"
LIMITS = Settings.model_construct().limits


def figures(text: str) -> dict[str, float]:
    """Read Prometheus's text format."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def requests(client: Any, route: str, status: int, method: str = "GET") -> float:
    """Return how many requests a route has answered with a status."""
    name = f'_count{{method="{method}",route="{route}",status="{status}"}}'
    return figures(client.get("/metrics").text).get(
        f"rheostat_http_request_duration_seconds{name}", 0
    )


def test_the_index_names_the_documents(http: httpx.Client) -> None:
    """The first page says what this is, and every link in it leads somewhere."""
    index = http.get("/").json()
    assert (index.pop("service"), index.pop("version")) == ("Rheostat", __version__)
    assert {http.get(link).status_code for link in index.values()} == {200}


def test_alive_and_ready(http: httpx.Client) -> None:
    """A server in order says so."""
    assert http.get("/livez").json() == {"status": "alive"}
    assert http.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_load_balancers_ask_as_they_like(http: httpx.Client, path: str, method: str) -> None:
    """`curl -I` and HAProxy's check as it comes are answered as GET is; HEAD without a body."""
    answer = http.request(method, path)
    assert answer.status_code == 200
    assert (answer.content == b"") == (method == "HEAD")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/"])
def test_haproxy_asks_by_the_oldest_http(send_raw: Any, path: str) -> None:
    """HAProxy's own check names no host and no newer version."""
    assert send_raw(f"OPTIONS {path} HTTP/1.0\r\n\r\n".encode()).status_code == 200


def test_not_ready_without_its_database(tmp_path: Any, problem: Any) -> None:
    """P9: a server whose database is away is alive, not ready, and refuses honestly."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}"))
    with TestClient(app, base_url=LOCAL) as client:
        started, app.state.store = app.state.store, Store(AWAY, LIMITS)
        app.state.store.start(anyway=True)
        assert client.get("/livez").status_code == 200
        for method in ("GET", "OPTIONS"):
            unready = problem(client.request(method, "/readyz"), "unavailable")
            assert "database-away" in unready["reasons"]
        assert client.head("/readyz").status_code == 503
        answer = client.get("/v1/schedules")
        assert problem(answer, "unavailable")["reason"] == "database-away"
        assert int(answer.headers["retry-after"]) > 0
        app.state.store.close()
        app.state.store = started


def test_requests_are_counted_by_template(tmp_path: Any) -> None:
    """Names in paths do not multiply series; paths and methods that nobody has share one."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}"))
    with TestClient(app, base_url=LOCAL) as client:
        for name in ("a", "b", "c"):
            client.get(f"/v1/schedules/{name}")
            client.get(f"/nothing/{name}")
            client.request(f"BREW{name}", "/livez")
        assert requests(client, "/v1/schedules/{name}", 404) == 3
        assert requests(client, "unmatched", 404) == 3
        assert requests(client, "/livez", 405, "other") == 3


def test_the_chunk_cache_is_counted(http: httpx.Client) -> None:
    """A curve that is asked for again is found in the chunk cache, and the figures say so."""
    definition = {"kind": "linear", "start": 0.123456, "end": 0, "steps": 77_777}
    before = figures(http.get("/metrics").text)
    for _ in range(2):
        http.post(
            "/v1/evaluate", json={"definition": definition, "stop": 60_000}
        ).raise_for_status()
    after = figures(http.get("/metrics").text)
    hits, misses, size = (
        f'rheostat_cache_{n}{{cache="curves"}}' for n in ("hits_total", "misses_total", "bytes")
    )
    assert after[misses] > before[misses]
    assert after[hits] - before[hits] == after[misses] - before[misses]
    assert after[size] - before[size] >= 8 * 60_000


def test_two_applications_in_one_process(tmp_path: Any) -> None:
    """Applications share nothing: neither the database nor the figures."""
    names = ("one", "two")
    apps = [create_app(Settings(database=f"sqlite:///{tmp_path / name}")) for name in names]
    with TestClient(apps[0], base_url=LOCAL) as one, TestClient(apps[1], base_url=LOCAL) as two:
        body = {"definition": {"kind": "constant", "value": 1}}
        one.put("/v1/schedules/a", json=body).raise_for_status()
        assert two.get("/v1/schedules").json()["items"] == []
        assert requests(one, "/v1/schedules/{name}", 201, "PUT") == 1
        assert requests(two, "/v1/schedules/{name}", 201, "PUT") == 0


def test_nothing_is_opened_before_the_start(tmp_path: Any) -> None:
    """Making an application touches no file."""
    create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}"))
    assert list(tmp_path.iterdir()) == []


def test_the_documentation_can_be_closed(tmp_path: Any) -> None:
    """With `docs` off there is no documentation page, and no link to one."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}", docs=False))
    with TestClient(app, base_url=LOCAL) as client:
        assert client.get("/docs").status_code == 404
        assert "docs" not in client.get("/").json()


def test_hosts_are_those_of_the_settings(tmp_path: Any) -> None:
    """A server on loopback answers for the names that it was told, and for no other."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    app = create_app(Settings(database=database, allowed_hosts="rheostat.lan, other"))
    with TestClient(app, base_url=LOCAL) as client:
        hosts = ("rheostat.lan:8000", "OTHER", "localhost", "[::1]:80", "rheostat.lan.evil", "")
        answers = [client.get("/livez", headers={"host": host}) for host in hosts]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 403, 403]


PUBLIC = {"evil.example", "10.0.0.1.evil.example", "gpu.lan", "rheostat.training", "evil.svc.dev"}
ADDRESSES = {"", "10.0.0.5", "[fe80::1]", "[::ffff:10.0.0.5]"}
"""What probes name: their target's address, or nothing."""
PRIVATE = ADDRESSES | {"gpu-box", "x.svc.cluster.local", "rheostat.training.svc", "a.b.svc."}
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({}, PUBLIC | PRIVATE | LOOPBACK),
        ({"no_auth": True}, PRIVATE | LOOPBACK),
        ({"no_auth": True, "allowed_hosts": "gpu.lan"}, ADDRESSES | LOOPBACK | {"gpu.lan"}),
        ({"allowed_hosts": "gpu.lan"}, ADDRESSES | LOOPBACK | {"gpu.lan"}),
    ],
)
def test_hosts_beyond_loopback(given: Any, answered: set[str]) -> None:
    """P10: without tokens, no name is answered for that a public site could have and rebind."""
    answers_for = names(Settings(host="192.168.7.7", **given))
    assert {name for name in PUBLIC | PRIVATE | LOOPBACK if answers_for(name)} == answered


def test_a_link_from_another_site_may_be_followed(http: httpx.Client) -> None:
    """A reader who follows a link gets the page; another site's script gets nothing."""
    link = {"site": "cross-site", "mode": "navigate", "dest": "document"}
    for changed, status in (
        ({}, 200),
        ({"mode": "cors"}, 403),
        ({"dest": "iframe"}, 403),
        ({"site": "same-site", "mode": "no-cors"}, 403),
    ):
        headers = {f"sec-fetch-{key}": value for key, value in {**link, **changed}.items()}
        assert http.get("/", headers=headers).status_code == status

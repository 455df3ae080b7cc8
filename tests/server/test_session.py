"""Signing in to the page: what a session may do, for how long, and what nobody gets by one."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.conftest import open_tokens
from tests.server.conftest import refused_in_the_end

if TYPE_CHECKING:
    from tests.conftest import Guarded, StartServer

PAGE = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
CHANGE = {**PAGE, "content-type": "application/json"}
SPEC = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
UNKNOWN = "A" * 43
NAME = "rheostat_session"


def sign_in(http: httpx.Client, secret: str, **headers: str) -> httpx.Response:
    """Sign in as the page does."""
    return http.post("/v1/session", json={"token": secret}, headers={**PAGE, **headers})


@contextmanager
def browser(server: Guarded, role: str | None = None) -> Iterator[httpx.Client]:
    """Open a browser, signed in with the token of a role; it keeps its cookies."""
    with httpx.Client(base_url=server.url, timeout=60, headers=PAGE) as http:
        if role is not None:
            assert sign_in(http, server.secrets[role]).status_code == 201
        yield http


def cookie_of(answer: httpx.Response) -> str:
    """Return the value of the cookie that an answer sets."""
    found = re.match(rf"{NAME}=([^;]*)", answer.headers["set-cookie"])
    assert found
    return found[1]


@pytest.fixture
def operator(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a browser that an operator has signed in with."""
    with browser(guarded, "operator") as http:
        yield http


@pytest.fixture
def run(guarded: Guarded, new_name: Any) -> str:
    """Return the id of a new run on the guarded server."""
    return str(guarded.ask("worker", "PUT", f"/v1/runs/{new_name()}", json=SPEC).json()["id"])


def state(guarded: Guarded, run: str) -> tuple[int, int]:
    """Return how far a run is settled, and its newest revision."""
    shown = guarded.ask("viewer", "GET", f"/v1/runs/{run}").json()
    return shown["settled_until"], shown["revision"]


def test_who_has_signed_in_is_the_token(guarded: Guarded, operator: Any, run: str) -> None:
    """A browser that has signed in may do what its token may, in the token's name."""
    shown = operator.get("/v1/session").json()
    assert (shown["required"], shown["name"], shown["role"]) == (True, "operator", "operator")
    changed = operator.post(f"/v1/runs/{run}/revisions", json=HALVE)
    assert changed.status_code == 201
    history = operator.get(f"/v1/runs/{run}/revisions").json()["items"]
    assert [item["author"] for item in history] == ["worker", "operator"]
    assert operator.get("/v1/tokens").status_code == 403


def test_signing_out_ends_it_at_once(guarded: Guarded, problem: Any) -> None:
    """What the browser has is worth nothing after that, even if somebody kept a copy."""
    with browser(guarded, "viewer") as http, browser(guarded) as thief:
        thief.cookies.update(http.cookies)
        assert thief.get("/v1/runs").status_code == 200
        assert http.delete("/v1/session", headers=CHANGE).status_code == 204
        assert not http.cookies
        problem(http.get("/v1/runs"), "unauthenticated")
        problem(thief.get("/v1/runs"), "unauthenticated")
        assert http.delete("/v1/session", headers=CHANGE).status_code == 204


def test_nobody_is_told_so(guarded: Guarded) -> None:
    """Whoever is not signed in learns that tokens are required, and no more, without a failure."""
    nobody = {"required": True, **dict.fromkeys(("name", "role", "runs", "limit", "expires_at"))}
    with browser(guarded) as http:
        assert http.get("/v1/session").json() == nobody
        http.cookies.set(NAME, UNKNOWN)
        assert http.get("/v1/session").json() == nobody
    shown = guarded.ask("viewer", "GET", "/v1/session").json()
    assert shown == {**nobody, "name": "viewer", "role": "viewer"}


def test_where_no_tokens_are_required_nobody_signs_in(http: httpx.Client, problem: Any) -> None:
    """Everybody is an operator already; no cookie is set, and one that is sent means nothing."""
    answer = http.get("/v1/session", headers={"cookie": f"{NAME}={UNKNOWN}"})
    assert answer.json() == {
        "required": False,
        "name": None,
        "role": "operator",
        "runs": None,
        "limit": None,
        "expires_at": None,
    }
    refused = sign_in(http, "rheo_" + 40 * "0")
    problem(refused, "invalid")
    assert "set-cookie" not in refused.headers


@pytest.fixture
def ann(tmp_path: Path) -> tuple[str, str]:
    """Return a database with a token of a viewer, and its secret."""
    database = f"sqlite:///{tmp_path / 'rheostat.db'}"
    with open_tokens(database) as tokens:
        return database, str(tokens.create("ann", "viewer")["token"])


def test_the_cookie_is_for_the_api_of_this_site_alone(
    start_server: StartServer, ann: tuple[str, str]
) -> None:
    """No script reads it, no other site sends it, no plain http carries it but on this machine."""
    database, secret = ann
    server = start_server(auth="true", allowed_hosts="rheostat.example", database=database)
    with server.client() as http:
        here = sign_in(http, secret).headers["set-cookie"]
        away = sign_in(http, secret, host="rheostat.example").headers["set-cookie"]
        spoofed = sign_in(http, secret, host="localhost:1").headers["set-cookie"]
        origin = "https://rheostat.example"
        proxied = sign_in(http, secret, origin=origin).headers["set-cookie"]
    form = rf"{NAME}=[\w-]{{43}}; HttpOnly; SameSite=Strict"
    assert re.fullmatch(form, here)
    assert re.fullmatch(form + "; Secure", away)
    assert re.fullmatch(form + "; Secure", proxied)
    assert re.fullmatch(form, spoofed)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
    ],
    ids=str,
)
def test_only_the_page_signs_in(guarded: Guarded, problem: Any, headers: dict[str, str]) -> None:
    """P10: no other page can sign a browser in, as somebody else, behind its user's back."""
    with guarded.client(None) as http:
        body = {"token": guarded.secrets["viewer"]}
        answer = http.post("/v1/session", json=body, headers=headers)
    problem(answer, "forbidden")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_no_form_signs_in(guarded: Guarded, kind: str | None) -> None:
    """P10: what a page can send to another site without asking first is no JSON."""
    content = b'{"token": "' + guarded.secrets["viewer"].encode() + b'"}'
    headers = {**PAGE, **({} if kind is None else {"content-type": kind})}
    with guarded.client(None) as http:
        answer = http.post("/v1/session", content=content, headers=headers)
    assert answer.status_code == 415
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "token",
    ["", "rheo_", "rheo_" + 40 * "0", "rheo_" + 40 * "é", "x" * 256, "{good} ", "{good}\r\nx: y"],
)
def test_what_is_no_token_signs_nobody_in(guarded: Guarded, problem: Any, token: str) -> None:
    """P10: an unknown or misspelt token is a 401 without a cookie, and is not repeated."""
    good = guarded.secrets["viewer"]
    with guarded.client(None) as http:
        answer = sign_in(http, token.replace("{good}", good))
    problem(answer, "unauthenticated")
    assert not {"set-cookie", "x"} & answer.headers.keys()
    assert good not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {**CHANGE, "sec-fetch-site": "none"},
        {**CHANGE, "sec-fetch-site": "same-site"},
        {**CHANGE, "sec-fetch-site": "cross-site"},
        {**PAGE, "content-type": "text/plain"},
        {**PAGE, "content-type": "application/x-www-form-urlencoded"},
        PAGE,
    ],
    ids=str,
)
def test_a_cookie_changes_only_what_the_page_changes(
    guarded: Guarded, problem: Any, run: str, headers: dict[str, str]
) -> None:
    """P10: a browser sends its cookie of itself, so what it changes has to come from our page."""
    with browser(guarded, "admin") as http:
        cookie = {"cookie": f"{NAME}={http.cookies[NAME]}"}
    content = b'{"changes": {"lr": {"edit": "scale", "factor": 0.5}}}'
    with guarded.client(None) as http:
        for method, path in (
            ("POST", f"/v1/runs/{run}/revisions"),
            ("DELETE", f"/v1/runs/{run}"),
            ("DELETE", "/v1/tokens/viewer"),
            ("DELETE", "/v1/session"),
        ):
            body = content if method == "POST" else None
            answer = http.request(method, path, content=body, headers={**headers, **cookie})
            problem(answer, "forbidden")
        assert http.get("/v1/session", headers=cookie).json()["name"] == "admin"
    assert state(guarded, run) == (0, 1)


def test_a_session_settles_nothing(guarded: Guarded, operator: Any, run: str) -> None:
    """Looking at a run moves it nowhere, whatever the page asks for, before and after a worker."""
    path, first = f"/v1/runs/{run}/values", {"generation": 1, "start": 0, "count": 4}
    shown = operator.get(path, params=first)
    assert (shown.headers["cache-control"], shown.json()["final"]) == ("no-store", [False] * 4)
    assert state(guarded, run) == (0, 1)
    guarded.ask("worker", "GET", path, params=first)
    again = operator.get(path, params=first)
    assert (again.headers["cache-control"], again.json()["final"]) == ("no-store", [True] * 4)


@pytest.mark.parametrize(
    "cookie",
    [
        f"{NAME}={UNKNOWN}",
        f"{NAME}=",
        f"{NAME}={{good}}x",
        f"{NAME}={{good}}; {NAME}={{good}}",
        f"{NAME}={UNKNOWN}; {NAME}={{good}}",
        f"x{NAME}={{good}}",
        f"{NAME.upper()}={{good}}",
        f'{NAME}="{{good}}"',
        f"{NAME}={{token}}",
        f"{NAME}={{hash}}",
        f"{NAME}=%00",
        f"{NAME}=' OR 1=1 --",
        f"{NAME}={'A' * 6000}",
    ],
)
def test_a_forged_cookie_is_nobodys(guarded: Guarded, problem: Any, cookie: str) -> None:
    """P10: what was not given out as it is, once, is refused; and never a 500."""
    from rheostat.server.tokens import hash_of

    with browser(guarded, "admin") as http:
        good = http.cookies[NAME]
    token = guarded.secrets["admin"]
    sent = cookie.format(good=good, token=token, hash=hash_of(good)[:43])
    with guarded.client(None) as http:
        answer = http.get("/v1/runs", headers={"cookie": sent})
        assert problem(answer, "unauthenticated")
        assert good not in answer.text
        # beside other sites' cookies it is found
        beside = {"cookie": f"theme=dark; {NAME}={good}; x=1"}
        assert http.get("/v1/runs", headers=beside).status_code == 200
    # and whoever has a token is asked for nothing else
    header = {"cookie": sent, "authorization": f"Bearer {token}"}
    with guarded.client(None) as http:
        assert http.get("/v1/runs", headers=header).status_code == 200


def test_a_session_is_not_fixed_before(guarded: Guarded, problem: Any) -> None:
    """P10: signing in gives a new cookie, and never makes one good that somebody planted."""
    with browser(guarded) as http, browser(guarded) as evil:
        planted = cookie_of(sign_in(evil, guarded.secrets["viewer"]))
        assert evil.get("/v1/runs").status_code == 200
        http.cookies.set(NAME, planted, domain="127.0.0.1", path="/v1")
        made = cookie_of(sign_in(http, guarded.secrets["admin"]))
        assert made not in {planted, UNKNOWN}
        assert http.get("/v1/session").json()["name"] == "admin"
        evil.cookies.clear()
        evil.cookies.set(NAME, planted)
        problem(evil.get("/v1/runs"), "unauthenticated")  # the browser's old session has ended


def test_a_revoked_token_ends_its_sessions(guarded: Guarded, problem: Any, new_name: Any) -> None:
    """Within seconds: whoever leaves is out, wherever they are signed in."""
    name = new_name()
    made = guarded.ask("admin", "POST", "/v1/tokens", json={"name": name, "role": "operator"})
    with browser(guarded) as http:
        assert sign_in(http, made.json()["token"]).status_code == 201
        assert http.get("/v1/runs").status_code == 200
        guarded.ask("admin", "DELETE", f"/v1/tokens/{name}")
        answer = refused_in_the_end(http)
        assert f"the token {name} was revoked" in problem(answer, "unauthenticated")["detail"]
        assert http.get("/v1/session").json()["role"] is None
        problem(sign_in(http, made.json()["token"]), "unauthenticated")


def test_an_expired_token_ends_its_sessions(guarded: Guarded, problem: Any, new_name: Any) -> None:
    """A session is no way to go on after that."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3))
    body = {"name": new_name(), "role": "viewer", "expires_at": soon}
    made = guarded.ask("admin", "POST", "/v1/tokens", json=body)
    with browser(guarded) as http:
        assert sign_in(http, made.json()["token"]).status_code == 201
        assert "expired at" in problem(refused_in_the_end(http), "unauthenticated")["detail"]


def test_all_processes_agree(start_server: StartServer, ann: tuple[str, str], problem: Any) -> None:
    """Who signs in at one replica is signed in at the others, across restarts, and out again."""
    database, secret = ann
    first = start_server(auth="true", database=database, workers=2)
    second = start_server(auth="true", database=database)
    with first.client() as http, second.client() as other:
        answer = sign_in(http, secret)
        sent = {"cookie": f"{NAME}={cookie_of(answer)}"}
        for _ in range(4):  # on connections of their own, so by either worker
            assert httpx.get(f"{first.url}/v1/runs", headers=sent).status_code == 200
        assert other.get("/v1/runs", headers=sent).status_code == 200
        first.stop()
        first.restart()
        assert httpx.get(f"{first.url}/v1/runs", headers=sent).status_code == 200
        assert other.delete("/v1/session", headers=CHANGE | sent).status_code == 204
        for _ in range(100):
            gone = httpx.get(f"{first.url}/v1/runs", headers=sent)
            if gone.status_code == 401:
                break
            time.sleep(0.1)
        problem(gone, "unauthenticated")


def test_a_session_that_is_used_goes_on(own_guarded: Guarded) -> None:
    """Its twelve hours begin anew with its use, which is written down for the others, too."""
    with browser(own_guarded, "viewer") as http:
        path = own_guarded.database.removeprefix("sqlite:///")
        with sqlite3.connect(path) as database:
            database.execute("UPDATE sessions SET expires_at = '2999-01-01T00:00:00.000000+00:00'")
        before = http.get("/v1/session").json()["expires_at"]
        assert before
        soon = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime(time.time() + 600))
        with sqlite3.connect(path) as database:
            database.execute("UPDATE sessions SET expires_at = ?", [soon])
        for _ in range(100):
            if http.get("/v1/session").json()["expires_at"] not in {before, soon}:
                break
            time.sleep(0.1)
        later = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 11 * 3600))
        assert later < http.get("/v1/session").json()["expires_at"] < "2900"


def test_sign_ins_are_paced(own_guarded: Guarded, problem: Any) -> None:
    """P13: one token's sessions are begun twenty at once, and no more than two a second then."""
    with browser(own_guarded) as http:
        answers = [sign_in(http, own_guarded.secrets["viewer"]) for _ in range(40)]
        limited = next(each for each in answers if each.status_code != 201)
        assert answers.index(limited) >= 20
        problem(limited, "rate-limited")
        assert int(limited.headers["retry-after"]) > 0
        assert "set-cookie" not in limited.headers
        # another token's are not
        assert sign_in(http, own_guarded.secrets["admin"]).status_code == 201


def test_cookies_that_mean_nothing_write_nothing(own_guarded: Guarded) -> None:
    """P13: signing out of nothing is no work for the database's one writer."""
    path = own_guarded.database.removeprefix("sqlite:///")
    with browser(own_guarded, "viewer"), sqlite3.connect(path) as database:
        version = database.execute("PRAGMA data_version").fetchone()
        with own_guarded.client(None) as http:
            for number in range(50):
                sent = {"cookie": f"{NAME}={number:043d}"}
                assert http.delete("/v1/session", headers=CHANGE | sent).status_code == 204
        assert database.execute("PRAGMA data_version").fetchone() == version
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_only_hashes_are_stored(own_guarded: Guarded) -> None:
    """Whoever reads the database, or a backup of it, can sign in with nothing that is there."""
    with browser(own_guarded, "viewer") as http:
        path = own_guarded.database.removeprefix("sqlite:///")
        with sqlite3.connect(path) as database:
            (row,) = database.execute("SELECT * FROM sessions")
    assert http.cookies[NAME] not in row
    assert own_guarded.secrets["viewer"] not in row

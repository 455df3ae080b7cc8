"""The page's document and files: where they are, what goes with them, and that there is no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.testclient import TestClient

from rheostat.server.app import create_app
from rheostat.server.settings import Settings

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
WEB = Path(__file__).parents[2] / "service/rheostat/server/web"
SHELL = ["/", "/?label=team%3Dnlp", "/new", "/runs", "/runs/gpt", "/runs/gpt/", "/runs/a%2Fb/tree"]


def loaded(page: Any) -> list[str]:
    """Return the addresses of all that a page loads, as a browser resolves them."""
    found = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    return [urljoin(str(page.url), each) for each in found]


@pytest.fixture
def app_js(http: httpx.Client) -> str:
    """Return the path of the page's first module."""
    addresses = [httpx.URL(each).path for each in loaded(http.get("/", headers=BROWSER))]
    (found,) = (each for each in addresses if each.endswith("/app.js"))
    return found


@pytest.mark.parametrize("path", SHELL)
def test_every_address_of_the_page_is_the_same_document(http: httpx.Client, path: str) -> None:
    """A browser gets one document everywhere, whose files are found from where it is."""
    page = http.get(path, headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["cache-control"] == "no-cache"
    assert not re.search(r"<script(?![^>]* src=)|<style|style=| on\w+=|\{\{", page.text)
    addresses = loaded(page)
    assert addresses
    for address in addresses:
        assert re.search(r"^http://[^/]+/static/[0-9a-f]{16}/[\w./-]+$", address)
        assert http.get(address).status_code == 200


def test_the_page_works_below_a_proxys_path() -> None:
    """Whatever a proxy puts before, or hands on as `root_path`, the files are found beside it."""
    app = create_app(Settings(database="sqlite://"))
    client = TestClient(app, base_url="http://127.0.0.1", root_path="/rheo/stat")
    for path in ("/rheo/stat/", "/rheo/stat/runs/gpt"):
        page = client.get(path, headers=BROWSER)
        assert page.status_code == 200
        for address in loaded(page):
            assert address.startswith("http://127.0.0.1/rheo/stat/static/")
            assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html", "text/html"),
        (BROWSER["accept"], "text/html"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html;q=0", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_index_is_for_machines(http: httpx.Client, accept: str, kind: str) -> None:
    """`/` is the page for whoever asks for HTML, and JSON for everybody else."""
    answer = http.get("/", headers={"accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert "Accept" in answer.headers["vary"].split(", ")


def test_files_are_kept_for_good(http: httpx.Client, app_js: str) -> None:
    """A browser asks for a file once: its address says what is in it, and so does its tag."""
    file = http.get(app_js)
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert file.headers["content-type"] == "text/javascript; charset=utf-8"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.content == (WEB / "app.js").read_bytes()
    for sent in (file.headers["etag"], f'"x", W/{file.headers["etag"]}'):
        again = http.get(app_js, headers={"if-none-match": sent})
        assert (again.status_code, again.content) == (304, b"")
    assert http.get(app_js, headers={"if-none-match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [("gzip, deflate, br", "gzip"), ("*", "gzip"), ("gzip;q=0, *", None), ("br", None), ("", None)],
)
def test_files_are_compressed_where_asked_for(
    http: httpx.Client, app_js: str, accepts: str, coding: str | None
) -> None:
    """Whoever takes gzip gets fewer bytes of the same file, under a tag of its own."""
    file = http.get(app_js, headers={"accept-encoding": accepts})
    plain = http.get(app_js, headers={"accept-encoding": "identity"})
    assert file.headers.get("content-encoding") == coding
    assert file.content == plain.content
    assert file.headers["vary"] == "Accept-Encoding"
    assert (file.headers["etag"] == plain.headers["etag"]) == (coding is None)


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "index.html",
        "../app.js",
        "../../app.py",
        "..%2f..%2fapp.py",
        "..%5c..%5capp.py",
        "%2e%2e/%2e%2e/app.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "swagger/page.html",
        "vendor",
        "vendor/",
        "vendor/VENDOR.md",
        "app.js/",
        "app.js%00.css",
        "APP.JS",
    ],
)
def test_no_other_file_is_served(http: httpx.Client, app_js: str, name: str) -> None:
    """P10: what the page does not load is not there, and no path leads out of its folder."""
    folder = app_js.removesuffix("app.js")
    url = http.base_url.copy_with(raw_path=(folder + name).encode())
    answer = http.send(httpx.Request("GET", url))
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_another_version_of_the_files_is_not_there(http: httpx.Client, app_js: str) -> None:
    """Files of two versions are never mixed: an address of another digest is refused, unkept."""
    answer = http.get(f"/static/{16 * '0'}/app.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


def test_nothing_of_the_address_stands_in_the_page(http: httpx.Client) -> None:
    """P10: a link cannot write into the document: it is the same for whatever is in its path."""
    evil = "/runs/%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    page = http.get(evil, headers=BROWSER)
    assert (page.status_code, "alert" in page.text) == (200, False)
    split = http.get(f"{evil}%0d%0aset-cookie:%20x=y", headers=BROWSER)
    assert split.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in split.headers
    assert http.get("/runs/" + 40 * "a/", headers=BROWSER).status_code == 404

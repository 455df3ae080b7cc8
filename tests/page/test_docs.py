"""`/docs` in a real browser, signed in, below a proxy's path, without the internet."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Guarded

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
SIGN_IN = """
async (token) => (await fetch("v1/session", {
  method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({token}),
})).status
"""
NGINX = """
daemon off; pid nginx.pid; error_log stderr; events {{}}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxied;
  fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{
    listen 127.0.0.1:{port};
    location /of/ours/ {{ proxy_pass {service}/; proxy_set_header Host $http_host; }}
  }}
}}
"""


@pytest.fixture
def below(guarded: Guarded, tmp_path: Path) -> Iterator[str]:
    """Return where the guarded server is below a path, behind a proxy that knows nothing of it."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, service=guarded.url))
    nginx = subprocess.Popen([program, "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
    address = f"http://localhost:{port}/of/ours/"
    for _ in range(100):
        try:
            httpx.get(f"{address}livez")
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            break
    yield address
    nginx.terminate()
    nginx.wait(30)


@pytest.fixture
def page() -> Iterator[Any]:
    """Return a page of a browser that notes what it asks for, and what it complains of."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_init_script(WATCH)
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        browser.close()


def test_a_request_is_tried_in_the_documentation(below: str, page: Any, guarded: Guarded) -> None:
    """
    All operations are there, and one is sent where the service is and answered, by a cookie.

    No other host is asked, nothing breaks the policy, and the cookie is for the API alone.
    """
    page.goto(f"{below}docs")
    page.wait_for_selector(".opblock", timeout=60_000)
    document = guarded.ask(None, "GET", "/openapi.json").json()
    assert page.locator(".opblock").count() == sum(map(len, document["paths"].values()))
    assert page.evaluate(SIGN_IN, guarded.secrets["operator"]) == 201
    (cookie,) = page.context.cookies()
    assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == (
        "/of/ours/v1",
        True,
        "Strict",
    )
    tried = page.locator("#operations-tokens-read_access")
    tried.locator(".opblock-summary").first.click()
    tried.get_by_text("Try it out").click()
    tried.get_by_text("Execute", exact=True).click()
    answer = tried.locator(".live-responses-table")
    answer.get_by_text("200", exact=True).first.wait_for()
    assert '"operator"' in answer.inner_text()
    assert {urlsplit(url).netloc for url in page.asked if url.startswith("http")} == {
        urlsplit(below).netloc
    }
    assert page.complaints == []

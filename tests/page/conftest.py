"""The page in a real browser, on a real server with real workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from tests.conftest import PROGRAM, Guarded, RunningServer, open_tokens
from tests.page.training import BODY, Training
from tests.ports import free_port

from rheostat import Client

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

QUICK = f"""
import rheostat.server.http.presence as writing
from rheostat.server.runs import presence
presence.LEAST_AGAIN, writing.PERIOD = 1, 0.25
{PROGRAM}"""
"""A server that asks for beats once a second, so that tests need not wait for them."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
ROLES = ("viewer", "operator", "admin")
REFUSALS = "Failed to load resource"
"""What a browser's console says of each answer that is no success: journeys have refusals."""


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


def chromium() -> str:
    """Return where the system's browser is; skip the tests where there is none."""
    named = os.environ.get("RHEOSTAT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("the page's tests need Chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """
    One browser for a module's tests; each has a context of its own.

    Not for the session: Playwright keeps a loop of asyncio running, beside which no other test
    could begin one.
    """
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class OpenPage(Protocol):
    """Opens the page as somebody sees it."""

    def __call__(self, path: str, url: str | None = None, **context: Any) -> Any:
        """Return it, at a path of a server."""


@pytest.fixture(scope="session")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all journeys that leave it running."""
    running = RunningServer(tmp_path_factory.mktemp("page"), {}, QUICK)
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for one test alone."""
    running = RunningServer(tmp_path_factory.mktemp("page"), {}, QUICK)
    yield running
    running.close()


@pytest.fixture
def guarded_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One server that requires tokens, with one of each role, for one test alone."""
    with asking_for_tokens(tmp_path_factory.mktemp("page")) as running:
        yield running


@contextmanager
def asking_for_tokens(folder: Path) -> Iterator[Guarded]:
    """Run a server that requires tokens, with one of each role."""
    database = f"sqlite:///{folder / 'rheostat.db'}"
    with ThreadPoolExecutor(1) as thread:  # in this one, Playwright's loop runs
        secrets = thread.submit(_tokens, database).result()
    running = RunningServer(folder, {"auth": "true"}, QUICK)
    yield Guarded(running.url, database, secrets)
    running.close()


@pytest.fixture
def below(guarded_page: Guarded, tmp_path: Path) -> Iterator[str]:
    """Return where the guarded server is below a path, behind a proxy that knows nothing of it."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, service=guarded_page.url))
    nginx = subprocess.Popen([program, "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
    address = f"http://localhost:{port}/of/ours"
    for _ in range(100):
        try:
            httpx.get(f"{address}/livez")
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            break
    yield address
    nginx.terminate()
    nginx.wait(30)


def sign_in(page: Any, secret: str) -> None:
    """Sign in with a token."""
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def _tokens(database: str) -> dict[str, str]:
    with open_tokens(database) as tokens:
        return {role: tokens.create(role, role)["token"] for role in ROLES}


@pytest.fixture
def open_page(browser: Any, quick_server: RunningServer) -> Iterator[OpenPage]:
    """
    Open pages, and hold each journey to what holds for all of them.

    No request goes to another host, the content policy is never violated, and no error is logged.
    """
    complaints: list[str] = []
    with ExitStack() as stack:

        def open_one(path: str, url: str | None = None, **context: Any) -> Any:
            url = url or quick_server.url
            window = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **context})
            stack.callback(window.close)
            window.add_init_script(WATCH)
            window.on("request", lambda each: _of_host(each.url, url, complaints))
            page = window.new_page()
            page.set_default_timeout(30_000)
            page.on("console", lambda each: _said(each, complaints))
            page.on("pageerror", lambda error: complaints.append(f"{error.message} {error.stack}"))
            page.goto(url + path)
            return page

        yield open_one
    assert not complaints


def _of_host(asked: str, url: str, complaints: list[str]) -> None:
    if not asked.startswith((url, "data:", "blob:")):
        complaints.append(f"asks another host: {asked}")


def _said(message: Any, complaints: list[str]) -> None:
    if message.type in {"error", "warning"} and not message.text.startswith(REFUSALS):
        complaints.append(message.text)


StartTraining = Callable[..., Training]


@pytest.fixture
def start_training(quick_server: RunningServer) -> Iterator[StartTraining]:
    """Create runs and train them, until the test ends."""
    with ExitStack() as stack:

        def start(name: str, url: str | None = None, /, body: Any = BODY, **more: Any) -> Training:
            address = url or quick_server.url
            with Client(address, author="ann") as client:
                client.create_run(name, **body)
            training = Training(address, name, **more)
            stack.callback(training.close)
            return training

        yield start


@pytest.fixture(scope="session")
def gpt(quick_server: RunningServer) -> Iterator[Training]:
    """One training of four ranks that tests look at, and leave as it is."""
    with Client(quick_server.url, author="ann") as client:
        client.create_run("gpt", **BODY)
    training = Training(quick_server.url, "gpt", report=_losses, pace=0.03)  # longer than all tests
    training.until(100)
    yield training
    training.close()


def _losses(run: Any, step: int) -> None:
    if step % 5 == 4:
        run.report(step + 1, {"loss": 2 + 3 / (1 + step / 100)})


@pytest.fixture
def api(quick_server: RunningServer) -> Iterator[httpx.Client]:
    """Return an HTTP client of the server."""
    with httpx.Client(base_url=f"{quick_server.url}/v1", timeout=60) as client:
        yield client

"""
The application without its fast lane: the same answers, to whatever is asked of values.

The tests that `test_begin` has of the wire run here once more, on a server without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import RunningServer, open_tokens
from tests.server.test_begin import *  # noqa: F403 - its tests, and what they share
from tests.server.test_fastlane import BLOCK, HITS, MISSES, SPEC, Headers, Reply, ask

WITHOUT = """
from functools import partial
from rheostat.server import app, fastlane, serve, settings
fastlane.FastLane = None  # whoever makes one all the same does not start
app.create_app = partial(app.create_app, fast_lane=False)
serve.serve(settings.Settings())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server without the fast lane."""
    running = RunningServer(tmp_path_factory.mktemp("without"), {}, WITHOUT)
    yield running.url
    running.close()


class Pair:
    """Two servers of one database, of which one has the fast lane, and a block that is settled."""

    def __init__(self, folder: Path) -> None:
        self._database = f"sqlite:///{folder / 'pair.db'}"
        with open_tokens(self._database) as tokens:
            worker, operator = (tokens.create(r, r)["token"] for r in ("worker", "operator"))
        self.token: Headers = [("authorization", f"Bearer {worker}")]
        self._folder = folder
        with self._start("first").client() as http:
            http.headers["authorization"] = f"Bearer {operator}"
            run = http.post("/v1/runs", json=SPEC).raise_for_status().json()["id"]
            self.path = f"/v1/runs/{run}/values"
            http.get(f"{self.path}?{BLOCK}").raise_for_status()
        self.close()  # the answer that settles a block says so, and no later one does
        self.running = [self._start("with"), self._start("without", WITHOUT)]
        self.fast, self.slow = (int(str(each.settings["port"])) for each in self.running)

    def _start(self, name: str, *program: str) -> RunningServer:
        folder = self._folder / name
        folder.mkdir()
        settings: dict[str, object] = {"auth": "true", "database": self._database}
        self.running = [RunningServer(folder, settings, *program)]
        return self.running[0]

    def close(self) -> None:
        """Stop them."""
        for each in self.running:
            each.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return the two servers."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.close()


@pytest.mark.parametrize("name", [*HITS, *MISSES])
def test_without_the_fast_lane_answers_are_the_same(pair: Pair, name: str) -> None:
    """P1: the line that puts the fast lane before the application changes no answer."""
    method, query, headers = {**HITS, **MISSES}[name]
    if not any(key == "authorization" for key, _ in headers):
        headers = [*headers, *pair.token]

    def reply(port: int) -> tuple[int, list[tuple[str, str]], object]:
        found: Reply = ask(port, method, f"{pair.path}?{query}", headers)
        return found.lasting

    assert reply(pair.slow) == reply(pair.fast) == reply(pair.fast)

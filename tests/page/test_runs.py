"""The list of runs: which there are, and which of them wants looking at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.conftest import RunningServer
from tests.page.conftest import OpenPage, StartTraining
from tests.page.training import COSINE

from rheostat.server.runs.revision import Note
from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store
from rheostat.server.store.operations import create
from rheostat.server.store.store import Store

MANY = 1000
TEAMS = ("nlp", "vision")
STAGES = ("pretrain", "mid", "decay")


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server with a thousand runs, of some teams and stages."""
    folder = tmp_path_factory.mktemp("thousand")
    with ThreadPoolExecutor(1) as thread:  # in this one, Playwright's loop runs
        thread.submit(_fill, Settings(database=f"sqlite:///{folder / 'rheostat.db'}")).result()
    running = RunningServer(folder, {})
    with running.client() as http:
        http.post("/v1/runs/run-0500/pause", json={}).raise_for_status()
    yield running.url
    running.stop()


def _fill(settings: Settings) -> None:
    store = open_store(settings)
    asyncio.run(_create_all(store))
    store.close()


async def _create_all(store: Store) -> None:
    note = Note("ann", "")
    await asyncio.gather(*(store.write(create.create, _body(n), note) for n in range(MANY)))


def _body(number: int) -> dict[str, Any]:
    labels = {"team": TEAMS[number % 2], "stage": STAGES[number % 3]}
    if number % 10 == 0:
        labels["frozen"] = "yes"
    parameters = {"lr": {**COSINE, "steps": 1000 + number}}
    return {"name": f"run-{number:04}", "parameters": parameters, "total": 9000, "labels": labels}


def looks(page: Any) -> dict[str, int]:
    """Return how many runs each of the buttons above the list has."""
    texts = page.locator(".looks button").all_inner_texts()
    words = (text.split() for text in texts)
    return {" ".join(name): int(many.replace(",", "")) for *name, many in words}


def test_an_empty_service_says_how_to_begin(open_page: OpenPage, own_server: RunningServer) -> None:
    """Who has just started it reads what to do next."""
    page = open_page("/", url=own_server.url)
    page.get_by_text("There is no run yet.").wait_for()
    assert own_server.url in page.locator("pre").inner_text()
    page.locator(".empty").get_by_role("link", name="New run").click()
    page.get_by_role("heading", name="New run").wait_for()


def test_a_row_tells_what_a_run_does(open_page: OpenPage, gpt: Any, api: httpx.Client) -> None:
    """Name, labels, curve, progress, pace, workers and the newest change, and a link to more."""
    page = open_page("/")
    page.get_by_label("Filter").fill("gpt")
    row = page.locator("tr", has=page.get_by_role("link", name="gpt", exact=True))
    row.get_by_text("4 alive").wait_for()
    text = row.inner_text()
    assert "team=nlp" in text
    assert "/ 20,000" in text
    assert "/s" in text
    assert "created" in text
    assert "ann" in text
    assert row.get_by_role("img", name="lr from 0.0004").count() == 1
    row.get_by_role("link", name="gpt").click()
    page.get_by_role("heading", name="gpt").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Runs").wait_for()


def test_a_thousand_runs_are_rows_of_which_some_are_drawn(
    open_page: OpenPage, thousand: str
) -> None:
    """What is off the screen costs nothing, and is there when one scrolls."""
    page = open_page("/", url=thousand)
    page.get_by_role("link", name="run-0000").wait_for()
    assert page.locator("tbody tr").count() < 60
    assert page.locator("table").get_attribute("aria-rowcount") == str(MANY + 1)
    page.keyboard.press("End")
    page.get_by_role("link", name="run-0999").wait_for()
    assert page.locator("tbody tr").count() < 60


SELECTORS: dict[str, Callable[[int], bool]] = {
    "team=nlp": lambda n: n % 2 == 0,
    "team!=nlp": lambda n: n % 2 == 1,
    "stage in (pretrain, mid),!frozen": lambda n: n % 3 < 2 and n % 10 > 0,
    "stage notin (decay) frozen": lambda n: n % 3 < 2 and n % 10 == 0,
    "RUN-09 team=vision": lambda n: n >= 900 and n % 2 == 1,
}


def test_the_filter_is_a_selector(open_page: OpenPage, thousand: str) -> None:
    """Names and labels are asked for as Kubernetes does, from the keyboard."""
    page = open_page("/", url=thousand)
    page.get_by_role("link", name="run-0000").wait_for()
    page.keyboard.press("/")
    for text, fits in SELECTORS.items():
        page.get_by_label("Filter").press("ControlOrMeta+a")
        page.keyboard.type(text)
        expected = sum(map(fits, range(MANY)))
        page.wait_for_function(
            "many => document.querySelector('table')?.getAttribute('aria-rowcount') == many + 1",
            arg=expected,
        )
        assert looks(page)["all"] == expected, text


def test_the_list_is_sorted_by_a_column(open_page: OpenPage, thousand: str) -> None:
    """A click on a column sorts by it, and another one the other way; the heading says so."""
    page = open_page("/", url=thousand)
    name = page.locator("th", has=page.get_by_role("button", name="Run"))
    assert name.get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Run").click()
    page.get_by_role("link", name="run-0999").wait_for()
    assert name.get_attribute("aria-sort") == "descending"


def test_the_paused_one_of_a_thousand_is_one_click_away(open_page: OpenPage, thousand: str) -> None:
    """The buttons above the list say how many there are of each kind, and show them."""
    page = open_page("/", url=thousand)
    page.get_by_role("link", name="run-0000").wait_for()
    assert looks(page)["paused"] == 1
    page.get_by_role("button", name="paused").click()
    page.get_by_role("link", name="run-0500").wait_for()
    assert page.locator("tbody tr:not(.room)").count() == 1


def test_the_stuck_run_is_found(
    open_page: OpenPage, start_training: StartTraining, own_server: RunningServer
) -> None:
    """A run whose workers have all gone before its end has a mark, a state and a button."""
    stuck = start_training("stuck-one", own_server.url, ranks=2)
    fine = start_training("fine", own_server.url, ranks=2)
    stuck.until(10)
    fine.until(10)
    stuck.close()
    page = open_page("/", url=own_server.url)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.looks button')]"
        ".some((button) => button.textContent == 'stuck 1')",
        timeout=30_000,
    )
    page.get_by_role("button", name="stuck").click()
    row = page.locator("tbody tr:not(.room)")
    assert "stuck-one" in row.inner_text()
    assert row.get_by_role("img", name="needs attention").count() == 1

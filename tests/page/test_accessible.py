"""The page for everybody: no violation that axe finds, in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import RunningServer
from tests.page.conftest import OpenPage
from tests.page.training import BODY, Training

from rheostat import Client, plateau

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"runOnly": ["color-contrast"]}
VIEWS = {
    "runs": "/",
    "run": "/runs/shown",
    "workers": "/runs/shown/workers",
    "controllers": "/runs/shown/controllers",
    "tree": "/runs/shown/tree",
    "definition": "/runs/shown/definition",
    "new": "/new",
}
PHONE = {"width": 390, "height": 844}
FITS = "width => document.documentElement.scrollWidth <= width"
"""A chart is drawn again a frame after its place got narrower: the page is asked until it fits."""


@pytest.fixture(scope="module")
def shown(quick_server: RunningServer) -> Iterator[str]:
    """Return the name of a run that has something in each of its views."""
    with Client(quick_server.url, author="ann") as client:
        client.create_run("shown", **BODY)
        control = client.control("shown")
        control.arm("plateau", plateau(metric="loss", factor=0.5, patience=3, after=200))
    training = Training(quick_server.url, "shown", ranks=2, report=_report)
    training.until(60)
    http = httpx.Client(base_url=f"{quick_server.url}/v1/runs/shown")
    halve = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "spike"}
    http.post("/revisions", json={**halve, "effective": 15_000})
    http.post("/proposals", json={"kind": "change", "body": halve})
    http.post("/rewind", json={"to": 30, "message": "back"})
    yield "shown"
    training.close()
    http.close()


def _report(run: Any, step: int) -> None:
    if step % 10 == 9:
        run.report(step + 1, {"loss": 3 - step / 1000})
    if step == 20:
        run.saved(step, tag="first", uri="s3://ckpt/20", bytes=84_000_000_000)


def violations(page: Any, rules: Any = RULES) -> list[str]:
    """Return what axe finds, with where."""
    found = axe.Axe().run(page, options=rules).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(open_page: OpenPage, shown: str, view: str) -> None:
    """WCAG 2.2 AA, as far as a program can tell: contrast in both themes, names, roles, order."""
    page = open_page(VIEWS[view], color_scheme="light")
    page.locator(".chart, .numbers, .card, tbody a").first.wait_for()
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, CONTRAST) == []
    page.set_viewport_size(PHONE)
    page.wait_for_function(FITS, arg=PHONE["width"])


def test_axe_finds_nothing_in_a_dialog(open_page: OpenPage, shown: str) -> None:
    """A dialog has a name, its fields have labels, and a wrong one says so."""
    page = open_page("/runs/shown", color_scheme="light")
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("factor").fill("half")
    page.locator(".fault").wait_for()
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, CONTRAST) == []
    page.set_viewport_size(PHONE)
    page.wait_for_function(FITS, arg=PHONE["width"])


def test_axe_finds_nothing_in_rare_dialogs(open_page: OpenPage, shown: str) -> None:
    """So it is in the dialogs behind the menu, in the menu itself, and in that of a controller."""
    page = open_page("/runs/shown/controllers", color_scheme="light")
    page.get_by_label("More", exact=True).press("Enter")
    assert violations(page) == []
    for name in ("Total…", "Finish…", "Delete…", "Arm…"):
        button = page.get_by_role("button", name=name)
        if not button.is_visible():
            page.get_by_label("More", exact=True).press("Enter")
        button.click()
        page.locator("dialog .field").first.wait_for()
        if name == "Arm…":
            page.get_by_label("kind", exact=True).select_option("guard")
            page.locator("dialog summary").first.click()
        page.emulate_media(color_scheme="light")
        assert violations(page) == [], name
        page.emulate_media(color_scheme="dark")
        assert violations(page, CONTRAST) == [], name
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")


def test_axe_would_find_something(open_page: OpenPage, shown: str) -> None:
    """The program that looks is really there: a field without a label is found."""
    page = open_page("/new")
    page.locator(".card").first.wait_for()
    page.evaluate("document.querySelector('main').append(document.createElement('select'))")
    assert any(each.startswith("select-name") for each in violations(page))

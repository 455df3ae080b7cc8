"""What is refused is shown where it is wrong; what is lost, or foreign, does no harm."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.conftest import Names, RunningServer
from tests.page.conftest import OpenPage, StartTraining
from tests.page.training import BODY

HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def fresh(api: httpx.Client, new_name: Names) -> str:
    """Return the name of a run that nobody trains."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    return name


def test_each_preset_is_previewed(open_page: OpenPage, fresh: str) -> None:
    """A preset fills the form, and what it would do is there at once."""
    page = open_page(f"/runs/{fresh}")
    page.get_by_role("button", name="Change…").click()
    for preset in ("Hold 1,000", "Decay now", "Zero for 100", "Halve"):
        with page.expect_response(re.compile("dry_run=true")) as answer:
            page.get_by_role("button", name=preset).click()
        assert answer.value.ok, preset
    page.get_by_role("img", name=re.compile("^lr.*becomes")).wait_for()


def test_a_wrong_field_is_told_at_the_field(open_page: OpenPage, fresh: str) -> None:
    """What the service refuses stands beside the input, which says that it is invalid."""
    page = open_page(f"/runs/{fresh}")
    page.get_by_role("button", name="Change…").click()
    factor = page.get_by_label("factor")
    factor.fill("a half")
    field = page.locator(".field", has=factor)
    field.locator(".fault").wait_for()
    assert factor.get_attribute("aria-invalid") == "true"
    assert page.get_by_role("button", name="Apply").is_disabled()
    factor.fill("0.5")
    page.wait_for_function("() => !document.querySelector('.fault')")
    assert page.get_by_role("button", name="Apply").is_enabled()


def test_a_guard_is_broken_only_by_force(
    open_page: OpenPage, fresh: str, api: httpx.Client
) -> None:
    """A violation is shown while typing; a box that says so overrides it, and is recorded."""
    page = open_page(f"/runs/{fresh}")
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("factor").fill("-1")
    page.get_by_text("below its guard").first.wait_for()
    page.get_by_label("Break the guard").check()
    page.get_by_role("button", name="Apply").click()
    page.locator("[data-revision='2']", has_text="forced").wait_for()
    assert api.get(f"runs/{fresh}/revisions/2").json()["forced"]


def test_two_operators_do_not_overwrite_each_other(
    open_page: OpenPage, fresh: str, api: httpx.Client
) -> None:
    """Whoever comes second is told what changed, sees the preview anew, and decides again."""
    page = open_page(f"/runs/{fresh}")
    page.get_by_role("button", name="Change…").click()
    page.locator(".effect").wait_for()
    bob = {"Rheostat-Author": "bob"}
    sent = {**HALVE, "message": "loss spike"}
    api.post(f"runs/{fresh}/revisions", json=sent, headers=bob).raise_for_status()
    page.get_by_role("button", name="Apply").click()
    told = page.locator(".banner", has_text="Somebody was faster.")
    told.wait_for()
    assert re.search(r"Revision 2 of bob: lr × 0.5 “loss spike”", told.inner_text())
    assert api.get(f"runs/{fresh}").json()["revision"] == 2
    page.get_by_role("button", name="Apply").click()
    page.locator("[data-revision='3']").wait_for()


def test_other_people_s_text_is_text(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """P10: a message, label, author, metric, note or tag that looks like HTML is shown as it is."""
    name = new_name()
    body = {**BODY, "name": name, "labels": {"team": EVIL}, "about": EVIL}
    run = api.post("runs", json=body).json()["id"]
    author = {"Rheostat-Author": EVIL}
    api.post(f"runs/{name}/revisions", json={**HALVE, "message": EVIL}, headers=author)
    api.post(f"runs/{name}/notes", json={"text": EVIL})
    api.post(f"runs/{name}/proposals", json={"kind": "change", "body": {**HALVE, "message": EVIL}})
    api.get(f"runs/{run}/values", params={"generation": 1, "start": 0, "count": 64})
    page = open_page(f"/runs/{name}")
    page.locator(".history .item").nth(2).wait_for()
    assert page.get_by_text(EVIL).count() >= 4
    for tab in ("controllers", "tree", "workers", "definition"):
        page.goto(f"{page.url.split('/runs/')[0]}/runs/{name}/{tab}")
        page.locator(".history .item").nth(2).wait_for()
    assert page.locator("img[src='x']").count() == 0
    page.goto(f"{page.url.split('/runs/')[0]}/")
    page.get_by_role("link", name=name).wait_for()
    assert page.locator("img[src='x']").count() == 0


def test_a_name_turns_nothing_around(open_page: OpenPage, fresh: str, api: httpx.Client) -> None:
    """P10: an author who writes from right to left has the rest of the line where it belongs."""
    turned = {b"Rheostat-Author": "\u202eeve".encode()}
    api.post(f"runs/{fresh}/revisions", json=HALVE, headers=turned).raise_for_status()
    page = open_page(f"/runs/{fresh}")
    line = page.locator("[data-revision='2'] .soft", has=page.locator("bdi"))
    assert "\u202eeve" in line.text_content()
    author, time = (line.locator(each).bounding_box() for each in ("bdi", "time"))
    assert author["x"] + author["width"] <= time["x"]


def test_a_service_that_is_away_is_told_with_the_age_of_what_is_shown(
    open_page: OpenPage, own_server: RunningServer
) -> None:
    """P9: the page keeps what it knows, says how old that is, and goes on by itself."""
    with own_server.client() as http:
        http.post("/v1/runs", json={**BODY, "name": "gpt"}).raise_for_status()
    page = open_page("/runs/gpt", url=own_server.url)
    page.locator(".history .item").wait_for()
    with own_server.gone():
        banner = page.locator(
            ".banner", has_text=re.compile("is lost. What is shown is of .*ago|now")
        )
        banner.wait_for()
        assert page.get_by_role("heading", name="gpt").is_visible()
    banner.wait_for(state="detached")
    with own_server.client() as http:
        http.post("/v1/runs/gpt/revisions", json=HALVE).raise_for_status()
    page.locator("[data-revision='2']").wait_for()


def test_a_run_that_is_not_there_is_told(open_page: OpenPage) -> None:
    """A link to a run that was removed says so, and leads to the others."""
    page = open_page("/runs/no-such-run")
    page.get_by_role("alert").wait_for()
    page.get_by_role("link", name="All runs").wait_for()


def test_a_change_by_the_keyboard_alone(open_page: OpenPage, fresh: str, api: httpx.Client) -> None:
    """Everything is reached by Tab and Enter, with the focus to be seen."""
    page = open_page(f"/runs/{fresh}")
    button = page.get_by_role("button", name="Change…")
    button.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("button => button == document.activeElement"):
            break
    assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.locator(".effect").wait_for()
    apply = page.get_by_role("button", name="Apply")
    for _ in range(40):
        page.keyboard.press("Tab")
        if apply.evaluate("button => button == document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("[data-revision='2']").wait_for()
    assert api.get(f"runs/{fresh}").json()["revision"] == 2
    assert page.get_by_role("dialog").count() == 0


def test_unknown_metrics_do_not_disturb(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """A run without reports says how to report, and shows its curves all the same."""
    name = new_name()
    start_training(name, ranks=1).until(5)
    page = open_page(f"/runs/{name}")
    page.get_by_text("No metric was reported yet").wait_for()
    page.get_by_role("img", name=re.compile("^lr")).wait_for()

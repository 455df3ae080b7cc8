"""Longer, finished, deleted: what the page does to a run that is ordered rarely."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.page.conftest import OpenPage
from tests.page.test_change import numbers
from tests.page.training import COSINE

WHOLE = {**COSINE, "steps": "100%"}


@pytest.fixture
def run(api: httpx.Client, new_name: Names) -> str:
    """Return the name of a run of 1,000 steps that was read to its middle."""
    name = new_name()
    made = api.post("runs", json={"name": name, "parameters": {"lr": WHOLE}, "total": 1000}).json()
    asked = {"generation": 1, "start": 0, "count": 500}
    api.get(f"runs/{made['id']}/values", params=asked).raise_for_status()
    return name


def chosen(page: Any, what: str) -> Any:
    """Open what the menu of rare orders has, from the keyboard, and return its dialog."""
    page.get_by_label("More", exact=True).press("Enter")
    page.get_by_role("button", name=what).press("Enter")
    return page.get_by_role("dialog")


def test_a_total_is_seen_before_it_is_set(open_page: OpenPage, run: str, api: httpx.Client) -> None:
    """P2: the numbers that were shown for another total are those of the plan once it is set."""
    page = open_page(f"/runs/{run}")
    dialog = chosen(page, "Total…")
    dialog.get_by_label("total").fill("300")
    dialog.locator(".fault", has_text="500").wait_for()
    dialog.get_by_label("total").fill("2000")
    dialog.get_by_label("message").fill("another epoch")
    dialog.get_by_role("button", name="Show the numbers").click()
    previewed = numbers(page, 2)
    dialog.get_by_role("button", name="Set the total").click()
    page.locator("[data-revision='2']", has_text="total 2,000").wait_for()
    planned = api.get(f"runs/{run}/plan", params={"points": 4096}).json()
    values = dict(zip(planned["steps"], planned["parameters"]["lr"], strict=True))
    compared = {step: after for step, (_, after) in previewed.items() if step in values}
    assert compared
    assert compared == {step: values[step] for step in compared}
    assert max(previewed) == 1999
    assert api.get(f"runs/{run}").json()["total"] == 2000


def test_a_run_is_finished(open_page: OpenPage, run: str, api: httpx.Client) -> None:
    """Its end is where it is settled to, or where one says; who and why stand in its history."""
    page = open_page(f"/runs/{run}")
    dialog = chosen(page, "Finish…")
    dialog.get_by_label("end").fill("200")
    dialog.get_by_role("button", name="Finish the run").click()
    dialog.get_by_text("step 200 is settled").wait_for()
    dialog.get_by_label("end").fill("700")
    dialog.get_by_label("message").fill("good enough")
    dialog.get_by_role("button", name="Finish the run").click()
    page.locator(".head .state.finished").wait_for()
    page.locator("[data-revision='2']", has_text="good enough").wait_for()
    assert api.get(f"runs/{run}").json()["end"] == 700
    assert page.get_by_role("button", name="Change…").is_disabled()


def test_a_run_is_deleted_by_who_types_its_name(
    open_page: OpenPage, run: str, api: httpx.Client
) -> None:
    """P6: nothing is lost by one click; afterwards the list is there, without the run."""
    page = open_page(f"/runs/{run}")
    dialog = chosen(page, "Delete…")
    delete = dialog.get_by_role("button", name="Delete the run")
    dialog.get_by_label("type").fill(run[:-1])
    assert delete.is_disabled()
    dialog.get_by_label("type").fill(run)
    delete.click()
    page.get_by_role("heading", name="Runs").wait_for()
    assert api.get(f"runs/{run}").status_code == 404


def test_a_run_that_others_were_forked_from_stays(
    open_page: OpenPage, run: str, api: httpx.Client
) -> None:
    """Why a run cannot be deleted is said where one tried."""
    fork = {"name": f"{run}-b", "from": {"run": run, "generation": 1, "step": 100}}
    api.post("runs", json=fork).raise_for_status()
    page = open_page(f"/runs/{run}")
    dialog = chosen(page, "Delete…")
    dialog.get_by_label("type").fill(run)
    dialog.get_by_role("button", name="Delete the run").click()
    dialog.get_by_role("alert").get_by_text("forked").wait_for()
    assert api.get(f"runs/{run}").status_code == 200

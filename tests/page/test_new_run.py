"""Composing a new run by the page."""

from __future__ import annotations

import json

import httpx
from tests.conftest import Names
from tests.page.conftest import OpenPage


def test_a_run_is_composed_of_kinds(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """The fields are those of the kinds; what is wrong is shown at its field, before and after."""
    name = new_name()
    page = open_page("/new")
    page.get_by_label("name", exact=True).fill(name)
    page.get_by_label("labels").fill("team=nlp")
    kinds = page.get_by_label("kind")
    kinds.first.select_option("wsd")
    page.get_by_label("peak").fill("3e-4")
    page.get_by_label("warmup", exact=True).fill("5%")
    page.locator("summary", has_text="stable").click()
    page.get_by_label("decay optional", exact=True).fill("-20")
    page.get_by_role("button", name="Create the run").click()
    page.locator(".fault").wait_for()
    page.get_by_label("decay optional", exact=True).fill("20%")
    page.get_by_role("img", name="lr").wait_for()
    page.get_by_role("button", name="Create the run").click()
    page.get_by_role("heading", name=name).wait_for()
    made = api.get(f"runs/{name}").json()
    assert made["parameters"]["lr"]["kind"] == "wsd"
    assert made["parameters"]["lr"]["decay"] == 2000
    assert made["labels"] == {"team": "nlp"}


def test_a_parameter_comes_from_the_library(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """A schedule of the library is copied into the run."""
    name, schedule = new_name(), new_name()
    line = {"kind": "linear", "start": 1, "end": 0, "steps": 100}
    api.put(f"schedules/{schedule}", json={"definition": line}).raise_for_status()
    page = open_page("/new")
    page.get_by_label("name", exact=True).fill(name)
    page.get_by_label("from the library").select_option(label=f"{schedule}, version 1")
    page.get_by_role("button", name="Create the run").click()
    page.get_by_role("heading", name=name).wait_for()
    assert api.get(f"runs/{name}").json()["parameters"]["lr"] == line


def test_another_library_s_configuration_is_pasted(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """What is pasted becomes definitions; PyTorch's plateau becomes a controller that is armed."""
    name = new_name()
    page = open_page("/new")
    page.get_by_label("name", exact=True).fill(name)
    page.get_by_role("button", name="Paste").click()
    page.get_by_label("library", exact=True).fill("torch")
    page.get_by_role("textbox", name="configuration").fill("{}")
    page.get_by_role("button", name="Convert").click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    scheduler = {"name": "ReduceLROnPlateau", "params": {"patience": 2}, "base_value": 0.1}
    page.get_by_role("textbox", name="configuration").fill(json.dumps(scheduler))
    page.get_by_role("button", name="Convert").click()
    page.get_by_text("It is armed with plateau").wait_for()
    page.get_by_role("button", name="Create the run").click()
    page.get_by_role("heading", name=name).wait_for()
    made = api.get(f"runs/{name}").json()
    assert made["controllers"]["plateau"]["patience"] == 2
    assert made["parameters"]["lr"] == {"kind": "constant", "value": 0.1}

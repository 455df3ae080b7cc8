"""Controllers by the page: armed, changed and disarmed, in forms of what the service tells."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.page.conftest import OpenPage
from tests.page.training import BODY

PLATEAU = {"kind": "plateau", "metric": "val_loss", "factor": 0.5, "patience": 7}


@pytest.fixture
def run(api: httpx.Client, new_name: Names) -> str:
    """Return the name of a run of which a loss was reported once."""
    name = new_name()
    made = api.post("runs", json={**BODY, "name": name}).json()["id"]
    api.get(f"runs/{made}/values", params={"generation": 1, "start": 0, "count": 64})
    body = {"generation": 1, "reports": [{"step": 10, "metrics": {"val_loss": 3.0}}]}
    api.post(f"runs/{made}/reports", json=body).raise_for_status()
    return name


def config(api: httpx.Client, run: str, name: str) -> Any:
    """Return what a controller of a run is armed as."""
    return api.get(f"runs/{run}/controllers/{name}").raise_for_status().json()["config"]


def test_a_plateau_is_armed_by_its_form(open_page: OpenPage, run: str, api: httpx.Client) -> None:
    """What is refused stands at its field; what was left out is the reading's own default."""
    page = open_page(f"/runs/{run}/controllers")
    page.get_by_role("button", name="Arm…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("as in").select_option("keras")
    dialog.get_by_label("metric").fill("val_loss")
    dialog.locator("summary").first.click()
    dialog.get_by_label("factor").fill("2")
    dialog.get_by_label("parameters").fill("lr, weight_decay")
    dialog.get_by_label("after", exact=True).fill("200")
    dialog.get_by_role("button", name="Arm", exact=True).click()
    field = dialog.locator(".field", has=page.get_by_label("factor"))
    assert "1" in field.locator(".fault").inner_text()
    dialog.get_by_label("factor").fill("0.5")
    dialog.get_by_role("button", name="Arm", exact=True).click()
    page.locator(".controller", has_text="plateau").wait_for()
    armed = config(api, run, "plateau")
    assert (armed["reading"], armed["metric"], armed["factor"]) == ("keras", "val_loss", 0.5)
    assert armed["parameters"] == ["lr", "weight_decay"]
    assert armed["effective"] == {"after": 200}
    assert armed["patience"] == 10  # ReduceLROnPlateau's own, of Keras


def test_a_guard_says_what_it_changes(open_page: OpenPage, run: str, api: httpx.Client) -> None:
    """What a guard does is made of the edits that a change is made of, in a name of its own."""
    page = open_page(f"/runs/{run}/controllers")
    page.get_by_role("button", name="Arm…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("kind", exact=True).select_option("guard")
    dialog.get_by_label("name").fill("spike")
    dialog.get_by_label("metric").fill("loss")
    dialog.get_by_label("sigma").fill("6")
    dialog.get_by_label("edit", exact=True).select_option("hold")
    dialog.get_by_label("steps").fill("100")
    dialog.get_by_role("button", name="Arm", exact=True).click()
    page.locator(".controller", has_text="spike").wait_for()
    armed = config(api, run, "spike")
    assert armed["changes"]["lr"] == [{"edit": "hold", "steps": 100}]
    assert armed["above"] == {"sigma": 6}


def test_a_controller_is_changed_and_disarmed(
    open_page: OpenPage, run: str, api: httpx.Client
) -> None:
    """Its form begins with what it is armed as, and keeps what is not touched; then it is gone."""
    api.put(f"runs/{run}/controllers/slow", json=PLATEAU).raise_for_status()
    page = open_page(f"/runs/{run}/controllers")
    card = page.locator(".controller", has_text="slow")
    card.get_by_role("button", name="Change…").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("factor").input_value() == "0.5"
    dialog.get_by_label("patience").fill("3")
    dialog.get_by_role("button", name="Arm as it is here").click()
    card.get_by_text("0 of 3").wait_for()
    armed = config(api, run, "slow")
    assert {name: armed[name] for name in PLATEAU} == {**PLATEAU, "patience": 3}
    card.get_by_role("button", name="Disarm").click()
    page.get_by_text("Nothing decides by itself").wait_for()
    assert api.get(f"runs/{run}/controllers").json()["items"] == []

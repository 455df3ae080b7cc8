"""The tree of a run: rewinding and forking, by the page."""

from __future__ import annotations

import httpx
import pytest
from tests.conftest import Names
from tests.page.conftest import OpenPage
from tests.page.training import BODY


@pytest.fixture
def trained(api: httpx.Client, new_name: Names) -> str:
    """Return a run that is settled until 256, with a change at 64 and a checkpoint at 100."""
    name = new_name()
    run = api.post("runs", json={**BODY, "name": name}).json()["id"]
    halve = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "effective": 164}
    api.post(f"runs/{name}/revisions", json=halve).raise_for_status()
    for start in range(0, 256, 64):
        asked = {"generation": 1, "start": start, "count": 64}
        api.get(f"runs/{run}/values", params=asked).raise_for_status()
    saved = {
        "generation": 1,
        "source": "rank-0",
        "checkpoints": [{"step": 100, "tag": "step-100", "uri": "s3://ckpt/100"}],
    }
    answer = api.post(f"runs/{run}/checkpoints", json=saved)
    if answer.is_error:
        saved = {"generation": 1, "source": "rank-0", "step": 100, "tag": "step-100"}
        api.post(f"runs/{run}/checkpoints", json=saved).raise_for_status()
    return name


def test_a_rewind_shows_what_it_drops_and_wants_the_name(
    open_page: OpenPage, trained: str, api: httpx.Client
) -> None:
    """P6: what is lost is on the screen before the name is typed; nothing happens without it."""
    page = open_page(f"/runs/{trained}/tree")
    row = page.locator("tr", has_text="step-100")
    row.get_by_role("button", name="Rewind…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("1 revision dropped").wait_for()
    assert "lr × 0.5" in dialog.inner_text()
    assert "step-100" in dialog.inner_text()
    rewind = dialog.get_by_role("button", name="Rewind to 100")
    assert rewind.is_disabled()
    dialog.get_by_label("type").fill(trained)
    rewind.click()
    page.locator("[data-revision='3']", has_text="rewinds to 100").wait_for()
    run = api.get(f"runs/{trained}").json()
    assert (run["generation"], run["settled_until"]) == (2, 100)
    page.locator(".tree .now", has_text="G2").wait_for()


def test_a_fork_leaves_the_run_as_it_is(
    open_page: OpenPage, trained: str, api: httpx.Client
) -> None:
    """A fork is a run of its own, which the page then shows."""
    page = open_page(f"/runs/{trained}/tree")
    page.locator("tr", has_text="step-100").get_by_role("button", name="Fork…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("name of the new run").fill(f"{trained}-b")
    dialog.get_by_text("1 revision left out").wait_for()
    dialog.get_by_role("button", name="Fork", exact=True).click()
    page.get_by_role("heading", name=f"{trained}-b").wait_for()
    assert api.get(f"runs/{trained}-b").json()["settled_until"] == 100
    assert api.get(f"runs/{trained}").json()["settled_until"] == 256

"""One run: what its page tells of it, and what happens where one clicks."""

from __future__ import annotations

import re
from typing import Any

import httpx
from tests.conftest import Names
from tests.page.conftest import OpenPage, StartTraining
from tests.page.training import BODY, Training


def fact(page: Any, name: str) -> str:
    """Return what the header says."""
    text: str = page.locator(".facts div", has=page.locator(f"dt:text-is('{name}')")).inner_text()
    return text.partition("\n")[2].strip()


def test_the_header_tells_where_the_training_is(open_page: OpenPage, gpt: Training) -> None:
    """State, place, pace and workers stand in a header that stays, and move with the training."""
    page = open_page("/runs/gpt")
    page.get_by_text("4 alive").wait_for()
    assert page.locator(".head .state").inner_text() == "● live"
    before = int(fact(page, "settled until").replace(",", ""))
    page.wait_for_function(
        "before => Number([...document.querySelectorAll('.facts div')][1]"
        ".querySelector('dd').textContent.replace(/,/g, '')) > before",
        arg=before,
    )
    assert re.fullmatch(r"[\d.,]+/s", fact(page, "pace"))
    assert page.locator(".head").evaluate("head => getComputedStyle(head).position") == "sticky"


def test_what_is_shown_first_is_asked_for_once(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """To open a run takes one request for each part of it, whatever comes first."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    page = open_page("/docs")
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url) if "/v1/" in each.url else None)
    page.goto(f"{page.url.removesuffix('/docs')}/runs/{name}")
    page.locator(".chart canvas").first.wait_for()
    page.locator(".history .item").first.wait_for()
    page.get_by_text("No metric was reported yet").wait_for()
    assert sorted(asked) == sorted(set(asked))
    assert len(asked) == 7  # who looks, the run, workers, history, plan, surface, events


def test_charts_have_words_and_a_table(
    open_page: OpenPage, gpt: Training, api: httpx.Client
) -> None:
    """Whoever does not see a chart has its summary, and the same numbers as the ledger has."""
    page = open_page("/runs/gpt")
    chart = page.get_by_role("img", name=re.compile("^lr"))
    chart.wait_for()
    assert re.search(r"From 4e-4|From 0\.0004", chart.get_attribute("aria-label"))
    page.get_by_role("button", name="Table").click()
    rows = page.locator(".numbers tbody tr", has_text="applied").evaluate_all(
        "rows => rows.map((row) => [row.dataset.step, row.querySelector('td').textContent])"
    )
    asked = {"generation": 1, "start": 0, "stop": 50}
    served = api.get("runs/gpt/ledger", params=asked).json()["segments"][0]["values"]["lr"]
    compared = [(int(step), float(value)) for step, value in rows if int(step) < len(served)]
    assert compared
    assert all(value == served[step] for step, value in compared)


def test_a_zoom_asks_for_what_is_on_the_screen(open_page: OpenPage, gpt: Training) -> None:
    """A range that is dragged is asked for at the points that fit, not cut out of the whole."""
    page = open_page("/runs/gpt")
    plot = page.locator(".u-over").first
    plot.wait_for()
    box = plot.bounding_box()
    with page.expect_request(re.compile(r"/plan\?start=\d+&stop=\d+&points=\d+")) as asked:
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
        page.mouse.up()
    start, stop = map(int, re.findall(r"(?:start|stop)=(\d+)", asked.value.url))
    assert abs(start - 4000) < 200
    assert abs(stop - 10_000) < 300
    with page.expect_request(re.compile(r"/plan\?points=")):
        page.get_by_role("button", name="Whole run").click()


def test_why_a_value_is_what_it_is(open_page: OpenPage, new_name: Names, api: httpx.Client) -> None:
    """For any step the page tells value, revision, author, message and definition."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    change = {
        "changes": {"lr": {"edit": "scale", "factor": 0.5}},
        "effective": 500,
        "message": "loss spike",
    }
    api.post(f"runs/{name}/revisions", json=change, headers={"Rheostat-Author": "bob"})
    page = open_page(f"/runs/{name}")
    page.get_by_label("Why at step").fill("600")
    page.keyboard.press("Enter")
    why = page.locator(".why", has_text="At 600")
    why.get_by_text("loss spike").wait_for()
    explained = api.get(f"runs/{name}/explain", params={"step": 600}).json()["parameters"]["lr"]
    assert str(explained["value"])[:8] in why.inner_text()
    assert "by revision 2 of bob" in why.inner_text()
    assert "cosine" in why.inner_text()
    why.get_by_label("Close").click()
    plot = page.locator(".u-over").first
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] / 2, "y": 60})
    page.locator(".why h2").wait_for()
    at = int(page.locator(".why h2").inner_text().removeprefix("At ").replace(",", ""))
    assert abs(at - 10_000) < 60


def test_a_pause_holds_all_ranks_until_it_is_resumed(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """Pause and resume are one click each, and the header tells."""
    name = new_name()
    training = start_training(name)
    training.until(20)
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Pause").click()
    page.locator(".head .state.paused").wait_for()
    held = {max(each) for each in training.applied}
    page.get_by_role("button", name="Resume").click()
    page.locator(".head .state.live").wait_for()
    training.until(max(held) + 20)


def test_a_stop_ends_all_ranks_at_one_step(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """P2: who stops by the page sees all ranks end at the step that it tells, saved."""
    name = new_name()
    training = start_training(name)
    training.until(20)
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Stop…").click()
    page.get_by_label("message").fill("diverged")
    page.get_by_role("button", name="Stop all ranks").click()
    page.locator(".head .state.stopped").wait_for()
    for thread in training.threads:
        thread.join(timeout=20)
    ends = {max(each) + 1 for each in training.applied}
    assert len(ends) == 1
    end = ends.pop()
    assert f"stops at {end:,}" in page.locator("[data-revision='2']").inner_text()
    page.get_by_role("button", name="Go on…").click()
    assert page.get_by_label("to step").input_value() == str(end)


def test_a_checkpoint_is_done_by_all_ranks(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """One click, and the history says that the ranks have saved."""
    name = new_name()
    start_training(name).until(20)
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Checkpoint").click()
    item = page.locator("[data-revision='2']", has_text="signal checkpoint")
    item.get_by_text("done").wait_for()
    item.get_by_role("button", name="By rank").click()
    item.get_by_text("rank-3: done at").wait_for()


def test_a_signal_is_a_form_of_what_the_training_understands(
    open_page: OpenPage, gpt: Training, new_name: Names, api: httpx.Client
) -> None:
    """The surface that a run declares makes the form; what is refused is shown at its field."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Signal…").click()
    page.get_by_role("combobox", name="signal").select_option("switch-data")
    page.get_by_label("stage").fill("7")
    page.get_by_role("button", name="Send").click()
    fault = page.locator(".field", has=page.get_by_label("stage")).locator(".fault")
    fault.wait_for()
    page.get_by_label("stage").fill("2")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("signal switch-data stage=2").wait_for()


def test_a_pending_change_is_taken_back(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """What has yet to take effect has a button that takes it back, recorded."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    change = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "effective": 500}
    api.post(f"runs/{name}/revisions", json=change).raise_for_status()
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("takes back revision 2").wait_for()
    assert api.get(f"runs/{name}").json()["pending"] == []


def test_an_applied_change_is_undone_by_another(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """Undo opens a change that goes back to what was in force before, previewed like any."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    before = api.get(f"runs/{name}").json()["parameters"]["lr"]
    halve = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
    api.post(f"runs/{name}/revisions", json=halve).raise_for_status()
    run = api.get(f"runs/{name}").json()
    api.get(
        f"runs/{run['id']}/values", params={"generation": 1, "start": 0, "count": 64}
    ).raise_for_status()
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Undo…").click()
    page.locator(".effect").wait_for()
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("as revision 1 had it").wait_for()
    later = api.get(f"runs/{name}/explain", params={"step": 5000}).json()
    assert later["parameters"]["lr"]["definition"] == before


def test_a_proposal_is_accepted_or_declined(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """A proposal waits under a banner; a yes makes a revision, a no says why."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    for factor in (0.5, 0.25):
        body = {"changes": {"lr": {"edit": "scale", "factor": factor}}, "message": "flat"}
        api.post(f"runs/{name}/proposals", json={"kind": "change", "body": body})
    page = open_page(f"/runs/{name}")
    page.get_by_role("link", name="Look at it").click()
    first = page.locator(".proposal", has_text="lr × 0.5")
    first.get_by_role("button", name="Accept").click()
    page.locator("[data-revision='2']", has_text="lr × 0.5").wait_for()
    page.get_by_role("button", name="Decline…").click()
    page.get_by_label("message").fill("too early")
    page.get_by_role("button", name="Decline", exact=True).click()
    page.get_by_text("None waits for an answer.").wait_for()
    states = [each["state"] for each in api.get(f"runs/{name}/proposals").json()["items"]]
    assert states == ["accepted", "declined"]


def test_a_rank_that_applied_another_value_is_named(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """P12: the rank, the step and both values are on the page within a window of its proof."""
    name = new_name()
    start_training(name, ranks=2, wrong_at=20)
    page = open_page(f"/runs/{name}/workers")
    page.get_by_text("Applied otherwise than served").wait_for(timeout=30_000)
    row = page.locator("table").nth(1).locator("tbody tr").first
    assert row.locator("th").inner_text() == "1"
    assert row.locator("td").nth(1).inner_text() == "20"
    page.locator(".banner.warn", has_text="worker 1 applied lr").wait_for()


def test_a_metric_is_charted_with_what_is_not_finite(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """What was reported is drawn on the axis of the curves, and a NaN is told."""
    name = new_name()
    made = api.post("runs", json={**BODY, "name": name}).json()
    api.get(f"runs/{made['id']}/values", params={"generation": 1, "start": 0, "count": 64})
    reports = [{"step": n, "metrics": {"val_loss": 3 - n / 50}} for n in range(10, 50, 10)]
    reports.append({"step": 50, "metrics": {"val_loss": "NaN"}})
    api.post(f"runs/{made['id']}/reports", json={"generation": 1, "reports": reports})
    page = open_page(f"/runs/{name}")
    chart = page.get_by_role("img", name=re.compile(r"^val_loss \(1 not finite\)"))
    chart.wait_for()
    assert "5 reports" in chart.get_attribute("aria-label")


def test_a_change_is_told_to_who_does_not_see_it(
    open_page: OpenPage, new_name: Names, api: httpx.Client
) -> None:
    """A live region says what happened, and at which step."""
    name = new_name()
    api.post("runs", json={**BODY, "name": name}).raise_for_status()
    page = open_page(f"/runs/{name}")
    page.locator(".history .item").wait_for()
    page.wait_for_timeout(300)
    change = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "effective": 8200}
    api.post(f"runs/{name}/revisions", json=change).raise_for_status()
    page.locator("#live", has_text="Change 2 is effective at 8,200").wait_for(state="attached")

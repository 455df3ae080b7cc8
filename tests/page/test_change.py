"""Changing a run by the page: what is previewed is what is applied."""

from __future__ import annotations

import re
from typing import Any

import httpx
from tests.conftest import Names
from tests.page.conftest import OpenPage, StartTraining

SLOW = """() => {
  const ask = window.fetch;
  window.fetch = (url, options) => String(url).includes("dry_run") ? new Promise((give, fail) => {
    const timer = setTimeout(() => ask(url, options).then(give, fail), 2500);
    const given_up = () => { clearTimeout(timer); fail(options.signal.reason) };
    options.signal.addEventListener("abort", given_up);
  }) : ask(url, options);
}"""
"""Makes every rehearsal take longer than the page waits from one to the next."""


def numbers(page: Any, columns: int) -> dict[int, list[float]]:
    """Return the rows of the table that the preview shows: the step, and its values."""
    rows: list[list[str]] = page.locator(".preview tbody tr").evaluate_all(
        "rows => rows.map((row) => [row.dataset.step, ..."
        "[...row.querySelectorAll('td')].map((cell) => cell.textContent)])"
    )
    assert all(len(row) == columns + 1 for row in rows)
    return {int(step): [float(each) for each in values] for step, *values in rows}


def ledger(api: httpx.Client, name: str, stop: int) -> list[float]:
    """Return what was served of a run's learning rate, from step 0."""
    values: list[float] = []
    while len(values) < stop:
        asked = {"generation": 1, "start": len(values), "stop": stop}
        for segment in api.get(f"runs/{name}/ledger", params=asked).json()["segments"]:
            values += segment["values"]["lr"]
    return values


def test_a_change_reaches_all_ranks_as_it_was_previewed(
    open_page: OpenPage, start_training: StartTraining, new_name: Names, api: httpx.Client
) -> None:
    """P2: the numbers that were previewed are those of the ledger, and of every rank."""
    name = new_name()
    training = start_training(name, pace=0.01)
    training.until(30)
    page = open_page(f"/runs/{name}")
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("effective at").fill(str(training.step() + 1000))  # there is time to apply it
    page.get_by_label("factor").fill("0.25")
    page.get_by_role("button", name="Show the numbers").click()
    page.wait_for_function(
        "() => { const cells = document.querySelectorAll('.preview tbody tr:first-child td');"
        " return cells.length && cells[1].textContent * 4 == cells[0].textContent }"
    )
    previewed = numbers(page, 2)
    page.get_by_label("message").fill("loss spike")
    page.get_by_role("button", name="Apply").click()
    item = page.locator("[data-revision='2']")
    item.get_by_text("proven").wait_for()
    page.wait_for_function(
        "() => document.querySelectorAll('[data-revision=\"2\"] .stages .met').length == 4",
        timeout=90_000,
    )
    assert "× 0.25" in item.inner_text()
    effective = min(previewed)
    until = training.step()
    served = ledger(api, name, until)
    compared = [step for step in previewed if step < until]
    assert effective in compared
    assert [previewed[step][1] for step in compared] == [served[step] for step in compared]
    for rank in training.applied:
        assert all(rank[step] == served[step] for step in range(effective - 5, effective + 5))


def test_a_preview_says_when_the_slowest_rank_has_it(open_page: OpenPage, gpt: Any) -> None:
    """An operator sees the effective step, and the countdown in steps and seconds, while typing."""
    page = open_page(f"/runs/{gpt.name}")
    page.get_by_role("button", name="Change…").click()
    effect = page.locator(".effect")
    effect.wait_for()
    assert re.search(
        r"Takes effect at [\d,]+; reaches the slowest rank in [\d,]+ steps?, about .*\.",
        effect.inner_text(),
    )


def test_a_slow_preview_moves_with_its_workers(
    open_page: OpenPage, start_training: StartTraining, new_name: Names
) -> None:
    """Where workers settle all the time, each rehearsal is waited for, however slow it is."""
    name = new_name()
    training = start_training(name, pace=0.02)
    training.until(10)
    page = open_page(f"/runs/{name}")
    page.evaluate(SLOW)
    page.get_by_role("button", name="Change…").click()
    place = page.locator(".effect .num").first
    for _ in range(3):
        before = place.inner_text()
        place.filter(has_not_text=re.compile(f"^{before}$")).wait_for()

"""Who may see and do what, in the page: signing in, roles, tokens that end."""

from __future__ import annotations

from tests.conftest import Guarded
from tests.page.conftest import OpenPage, sign_in
from tests.page.training import BODY


def test_signing_in_and_out(open_page: OpenPage, guarded_page: Guarded) -> None:
    """Nothing is shown without a token; with one, a cookie that no script reads stands for it."""
    page = open_page("/", url=guarded_page.url)
    sign_in(page, "rheo_no_such_token")
    page.get_by_role("alert").wait_for()
    sign_in(page, guarded_page.secrets["operator"])
    page.get_by_text("There is no run yet.").wait_for()
    assert page.evaluate("document.cookie") == ""
    assert guarded_page.secrets["operator"] not in page.evaluate("JSON.stringify(localStorage)")
    [cookie] = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    assert page.context.cookies() == []


def test_who_may_not_is_told_which_role_it_takes(
    open_page: OpenPage, guarded_page: Guarded
) -> None:
    """A viewer sees everything, and what is refused says which role is needed."""
    guarded_page.ask("operator", "POST", "/v1/runs", json={**BODY, "name": "gpt"})
    page = open_page("/runs/gpt", url=guarded_page.url)
    sign_in(page, guarded_page.secrets["viewer"])
    page.get_by_role("button", name="Pause").click()
    said = page.get_by_role("alert")
    said.wait_for()
    assert "operator" in said.inner_text()


def test_a_token_that_is_revoked_ends_the_session(
    open_page: OpenPage, guarded_page: Guarded
) -> None:
    """Within seconds of a revocation the page asks for a token again."""
    page = open_page("/", url=guarded_page.url)
    sign_in(page, guarded_page.secrets["operator"])
    page.get_by_text("There is no run yet.").wait_for()
    guarded_page.ask("admin", "DELETE", "/v1/tokens/operator").raise_for_status()
    page.get_by_label("Token").wait_for()


def test_a_viewer_previews_and_changes_nothing(open_page: OpenPage, guarded_page: Guarded) -> None:
    """What a change would do is there for who only looks; making it takes the role that is told."""
    guarded_page.ask("operator", "POST", "/v1/runs", json={**BODY, "name": "gpt"})
    page = open_page("/runs/gpt", url=guarded_page.url)
    sign_in(page, guarded_page.secrets["viewer"])
    page.get_by_role("button", name="Change…").click()
    page.locator(".effect").wait_for()
    page.get_by_role("button", name="Show the numbers").click()
    before, after = page.locator(".preview tbody tr").first.locator("td").all_inner_texts()
    assert float(after) == float(before) / 2
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("dialog").get_by_role("alert").get_by_text("this needs operator").wait_for()
    assert guarded_page.ask("viewer", "GET", "/v1/runs/gpt").json()["revision"] == 1

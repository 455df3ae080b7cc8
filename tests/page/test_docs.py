"""The page and `/docs` below a proxy's path, signed in, without the internet."""

from __future__ import annotations

from tests.conftest import Guarded
from tests.page.conftest import OpenPage
from tests.page.training import BODY

SIGN_IN = """
async (token) => (await fetch("v1/session", {
  method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({token}),
})).status
"""


def test_a_request_is_tried_in_the_documentation(
    below: str, open_page: OpenPage, guarded_page: Guarded
) -> None:
    """
    All operations are there, and one is sent where the service is and answered, by a cookie.

    The cookie is for the API alone.
    """
    page = open_page("/docs", url=below)
    page.wait_for_selector(".opblock", timeout=60_000)
    document = guarded_page.ask(None, "GET", "/openapi.json").json()
    assert page.locator(".opblock").count() == sum(map(len, document["paths"].values()))
    assert page.evaluate(SIGN_IN, guarded_page.secrets["operator"]) == 201
    (cookie,) = page.context.cookies()
    assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == (
        "/of/ours/v1",
        True,
        "Strict",
    )
    tried = page.locator("#operations-tokens-read_access")
    tried.locator(".opblock-summary").first.click()
    tried.get_by_text("Try it out").click()
    tried.get_by_text("Execute", exact=True).click()
    answer = tried.locator(".live-responses-table")
    answer.get_by_text("200", exact=True).first.wait_for()
    assert '"operator"' in answer.inner_text()


def test_the_page_is_below_a_proxys_path(
    below: str, open_page: OpenPage, guarded_page: Guarded
) -> None:
    """Every address of the page, and what it asks for, is below the path that a proxy adds."""
    guarded_page.ask("operator", "POST", "/v1/runs", json={**BODY, "name": "gpt"})
    page = open_page("/", url=below)
    page.get_by_label("Token").fill(guarded_page.secrets["operator"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="gpt", exact=True).click()
    page.get_by_role("link", name="Tree").click()
    page.get_by_text("the first, settled until 0").wait_for()
    assert page.url == f"{below}/runs/gpt/tree"
    page.reload()
    page.get_by_text("the first, settled until 0").wait_for()
    page.get_by_role("link", name="New run").click()
    page.get_by_role("heading", name="New run").wait_for()
    assert page.url == f"{below}/new"

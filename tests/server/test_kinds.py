"""`/v1/kinds`: what the service says about definitions is what it takes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from rheostat.schedules import KINDS


def test_every_kind_is_listed(http: httpx.Client) -> None:
    """The list has every kind, as it is described alone."""
    items = http.get("/v1/kinds").json()["items"]
    assert [item["kind"] for item in items] == list(KINDS)
    assert items[0] == http.get(f"/v1/kinds/{items[0]['kind']}").json()


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_can_be_kept_or_needs_a_run(
    kind: str, http: httpx.Client, new_name: Any
) -> None:
    """Each kind's example is a definition that the service takes, with all fields described."""
    described = http.get(f"/v1/kinds/{kind}").json()
    assert described["formula"]
    assert {field["name"] for field in described["fields"]} >= described["example"].keys() - {
        "kind"
    }
    body = {"definition": described["example"], "total": 10_000, "steps_per_epoch": 100}
    answer = http.put(f"/v1/schedules/{new_name()}", json=body)
    assert answer.status_code == (422 if KINDS[kind].follower else 201), answer.text

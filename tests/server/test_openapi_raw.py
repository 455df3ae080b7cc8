"""Requests that no document describes: any bytes, headers and queries, at every operation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "200"))
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
NAMES = sorted(
    {
        parameter["name"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
    }
)
PLACES = [
    (method.upper(), path.replace("{", "").replace("}", ""))
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if not path.endswith("/events")
]

words = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from(["", "true", "null", "1e400", "٣"])
).map(str)
queries = st.lists(st.tuples(st.sampled_from(NAMES), words | numbers), max_size=4)
headers = st.dictionaries(
    st.sampled_from(["accept", "content-type", "if-match", "idempotency-key", "rheostat-author"]),
    words.map(str.strip).map(lambda text: text.encode("latin-1")),
    max_size=3,
)
bodies = st.one_of(
    st.binary(max_size=64),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)


@pytest.fixture(scope="module")
def http(server: str) -> Iterator[httpx.Client]:
    """Return one client for all requests."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(PLACES), query=queries, headers=headers, body=bodies)
def test_any_request_has_an_answer_or_a_clear_refusal(
    http: httpx.Client,
    place: tuple[str, str],
    query: list[tuple[str, str]],
    headers: dict[str, bytes],
    body: bytes,
) -> None:
    """P10: never a 500, and whatever is refused is a problem document with the status it has."""
    sent = {b"content-type": b"application/json"}
    sent |= {name.encode(): value for name, value in headers.items()}
    method, path = place
    answer = http.request(method, f"{path}?{urlencode(query)}", headers=sent, content=body)
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code

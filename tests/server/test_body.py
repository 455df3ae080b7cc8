"""Bodies that are JSON only nearly, or too much of it (P10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheostat.errors import Malformed
from rheostat.server.http.body import DEEPEST, LARGE, loads

REFUSED = {
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a number beyond float64": b'{"a": 1e999}',
    "an integer of 5000 digits": b"1" * 5000,
    "a key twice": b'{"a": 1, "b": {"c": 2, "c": 3}}',
    "a key twice, once escaped": rb'{"a": 1, "\u0061": 2}',
    "a key twice beside colons in strings": b'{"a:b": ":::", "c": 1, "c": 1}',
    "a lone surrogate": rb'{"a": "\ud800"}',
    "bytes that are not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "a control character": b'{"a": "\x01"}',
    "a trailing comma": b"[1, 2,]",
    "a comment": b"{} // nothing",
    "single quotes": b"{'a': 1}",
    "two documents": b"{}{}",
    "nesting just too deep": b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
    "nesting without end": b'{"a":' * 10_000,
    "nothing": b"",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_doubtful_json_is_refused(body: bytes, http: httpx.Client, problem: Any) -> None:
    """P10: what is not JSON of one clear meaning is refused, never read some way or other."""
    with pytest.raises(Malformed):
        loads(body)
    headers = {"content-type": "application/json"}
    problem(http.post("/v1/evaluate", content=body, headers=headers), "malformed")


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        (rb'{"a": ["b", {"c": "d\u0000"}]}', "a[1].c", "d\0"),
        (rb'{"a\u0000": 1}', "a\0", "a\0"),
        (rb'"\u0000"', "body", "\0"),
    ],
)
def test_nul_is_refused_where_it_stands(
    body: bytes, field: str, value: str, http: httpx.Client, problem: Any
) -> None:
    """P10: NUL is sound JSON, and no value of any field: the answer names the field that has it."""
    headers = {"content-type": "application/json"}
    refused = problem(http.post("/v1/evaluate", content=body, headers=headers), "invalid")
    (wrong,) = refused["errors"]
    assert (wrong["field"], wrong["value"]) == (field, value)


def test_nesting_up_to_the_limit_is_read() -> None:
    """The deepest body that is allowed is read as it is."""
    body = b"[" * DEEPEST + b"]" * DEEPEST
    assert loads(body) == json.loads(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab:"), inner),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_sound_json_is_read_exactly(value: Any) -> None:
    """Sound JSON is read to the same value, floats bit for bit."""
    for ascii_only in (False, True):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert repr(loads(body)) == repr(value)


def test_a_body_that_announces_too_much_is_refused(send_raw: Any, problem: Any) -> None:
    """P10: the limit is checked against `Content-Length` before anything is read."""
    head = "POST /v1/evaluate HTTP/1.1", "host: localhost", "connection: close"
    sent = "\r\n".join((*head, "content-length: 1000000000000000", "", "")).encode()
    assert problem(send_raw(sent), "too-large")["limit"] == 8 * 2**20


def test_a_body_without_a_length_is_counted(http: httpx.Client, problem: Any) -> None:
    """P10: a chunked body is refused once it is over the limit, however it goes on."""

    def endless() -> Iterator[bytes]:
        for _ in range(9):
            yield b" " * 2**20

    headers = {"content-type": "application/json"}
    problem(http.post("/v1/evaluate", content=endless(), headers=headers), "too-large")


def test_a_body_at_the_limit_is_read(http: httpx.Client) -> None:
    """Of the largest body that is allowed, every byte is read."""
    body = b'{"definition": {"kind": "constant", "value": 0.5}, "step": 0}'
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = http.post("/v1/evaluate", content=body.ljust(8 * 2**20), headers=headers)
    assert answer.json() == {"value": 0.5}


def test_a_large_table_comes_back_bit_for_bit(http: httpx.Client) -> None:
    """A body that is read in a thread gives the values that were sent."""
    values = [1 / (n + 3) for n in range(LARGE // 8)]
    body = {"definition": {"kind": "table", "values": values}, "stop": len(values)}
    assert http.post("/v1/evaluate", json=body).json()["values"] == values


def test_what_needs_no_content_is_taken_without(http: httpx.Client, new_name: Any) -> None:
    """A run is joined and finished by a bare POST, as one types it."""
    name = new_name()
    body = {"parameters": {"lr": {"kind": "constant", "value": 1.0}}}
    http.put(f"/v1/runs/{name}", json=body).raise_for_status()
    assert http.post(f"/v1/runs/{name}/join").raise_for_status().json()["generation"] == 1
    assert http.post(f"/v1/runs/{name}/finish").raise_for_status().json()["end"] == 0

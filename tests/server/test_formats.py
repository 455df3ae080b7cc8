"""One answer in many formats: which one is chosen, and that all say the same (P1)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rheostat.formats import Format
from rheostat.server.http.curves import write_json
from rheostat.server.http.negotiation import wanted

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 997}
ASKED = {"definition": COSINE, "start": 3, "stop": 20_000, "stride": 2}
STEPS = np.arange(3, 20_000, 2)

ALL = tuple(Format)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ACCEPTED = [
    (None, ALL, "json"),
    ("", ALL, "json"),
    ("*/*", ALL, "json"),
    ("application/octet-stream", ALL, "f64"),
    ("application/x-npy, application/json;q=0.9", ALL, "npy"),
    ("application/json;q=0.2, text/csv;q=0.3", ALL, "csv"),
    ("TEXT/CSV", ALL, "csv"),
    ("text/html, image/*;q=0.8, */*;q=0.1", ALL, "png"),
    ("image/*, image/png;q=0.1", ALL, "svg"),
    ("*/*;q=0.5, application/json;q=0", ALL, "f64"),
    ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", ALL, "png"),
    ("text/html", ALL, None),
    ("application/json;q=0", (Format.JSON,), None),
    ("application/json;q=much", (Format.JSON,), None),
    ("image/png", (Format.JSON, Format.F64), None),
    (",;,;q=,", (Format.JSON,), None),
]


@pytest.mark.parametrize(("accept", "offered", "expected"), ACCEPTED)
def test_accept_is_weighed(accept: str | None, offered: Any, expected: str | None) -> None:
    """Of what is offered, the format with the greatest quality wins (RFC 9110, 12.5.1)."""
    assert wanted(accept, offered) == expected


def test_the_query_wins_over_accept(http: httpx.Client) -> None:
    """`?format=` decides, whatever `Accept` says, and caches are told that both matter."""
    headers = {"accept": "image/png"}
    answer = http.post("/v1/evaluate?format=csv", json=ASKED, headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["vary"] == "Accept"


def test_a_refusal_lists_what_there_is(http: httpx.Client, problem: Any) -> None:
    """A 406 names each format that the answer has, with its media type."""
    document = problem(http.post("/v1/evaluate?format=bmp", json=ASKED), "not-acceptable")
    assert document["available"]["npy"] == "application/x-npy"
    assert document["errors"][0]["value"] == "bmp"
    assert set(document["available"]) == set(ALL)


def _read(answer: httpx.Response, chosen: str) -> np.ndarray[Any, Any]:
    match chosen:
        case "json":
            return np.array(answer.json()["values"])
        case "f64":
            return np.frombuffer(answer.content, "<f8")
        case "npy":
            (values,) = np.load(io.BytesIO(answer.content))
            return np.array(values)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["step"]) for row in rows] == STEPS.tolist()
    return np.array([float(row["value"]) for row in rows])


@pytest.mark.parametrize("chosen", ["json", "f64", "npy", "csv"])
def test_every_format_carries_the_same_bits(chosen: str, http: httpx.Client) -> None:
    """P1: the values are bit-identical in every format, and those of the formula."""
    answer = http.post(f"/v1/evaluate?format={chosen}", json=ASKED)
    values = _read(answer, chosen)
    other = np.frombuffer(http.post("/v1/evaluate?format=f64", json=ASKED).content, "<f8")
    assert values.tobytes() == other.tobytes()
    phase = np.pi * np.minimum(STEPS, 997) / 997
    formula = 1e-5 + (1e-3 - 1e-5) * (1 + np.cos(phase)) / 2
    np.testing.assert_allclose(values, formula, rtol=1e-12, atol=1e-18)  # 1e-15 of the peak


def test_binary_answers_prove_their_parameters(http: httpx.Client) -> None:
    """Binary answers hold a digest of the names of what follows each other, sorted."""
    for chosen in (item for item in Format if item.content == "binary"):
        answer = http.post(f"/v1/evaluate?format={chosen}", json=ASKED)
        assert answer.headers["rheostat-parameters"] == hashlib.sha256(b"value").hexdigest()


def test_csv_ends_its_lines_as_its_standard_says(http: httpx.Client) -> None:
    """CSV lines end with CR LF (RFC 4180), and numbers are the shortest exact text."""
    body = {"definition": {"kind": "linear", "start": 0.1, "end": 1e-7, "steps": 1}, "stop": 2}
    answer = http.post("/v1/evaluate?format=csv", json=body)
    assert answer.text == "step,value\r\n0,0.1\r\n1,1e-7\r\n"


@pytest.mark.parametrize(("chosen", "limit"), [("json", 1_000_000), ("f64", 10_000_000)])
def test_a_curve_over_its_limit_is_refused(
    chosen: str, limit: int, http: httpx.Client, problem: Any
) -> None:
    """P10: a curve that is one value too long is refused, by its format's own limit."""
    body = {"definition": {"kind": "constant", "value": 1}, "stop": limit + 1}
    document = problem(http.post(f"/v1/evaluate?format={chosen}", json=body), "too-large")
    assert document["limit"] == limit
    assert document["errors"][0]["field"] == "stop"


def test_a_curve_at_the_binary_limit_is_answered(http: httpx.Client) -> None:
    """The longest curve that is allowed arrives whole."""
    body = {"definition": {"kind": "linear", "start": 0, "end": 1, "steps": 10**7}, "stop": 10**7}
    with http.stream("POST", "/v1/evaluate?format=f64", json=body) as answer:
        assert int(answer.headers["content-length"]) == 8 * 10**7
        *_, last = answer.iter_bytes(8 * 10**6)
    assert np.frombuffer(last, "<f8")[-1] == (10**7 - 1) / 10**7


@given(
    arrays.arrays(np.float64, st.sampled_from([0, 1, 2048, 5000]), elements=FINITE),
    st.integers(0, 3),
)
def test_arrays_anywhere_in_json_read_back_exactly(values: np.ndarray[Any, Any], kept: int) -> None:
    """JSON numbers read back to the same float64, wherever in a document their array stands."""
    steps = np.arange(len(values)) * 2**40
    document = {"a": values, "b": [{"c": values[:kept], "d": "\u0000"}], "steps": steps, "z": 0.1}
    read = json.loads(write_json(document))
    assert np.array(read["a"], float).tobytes() == values.tobytes()
    assert np.array(read["b"][0]["c"], float).tobytes() == values[:kept].tobytes()
    assert (read["steps"], read["b"][0]["d"], read["z"]) == (steps.tolist(), "\0", 0.1)

"""Bodies, queries and headers that cost much to read: others are answered meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.hostile.attacks import ATTACKS, BODIES, Attack, compact, keys
from tests.hostile.ending import ends

from rheostat.errors import Invalid, Malformed, TooLarge
from rheostat.server.http.body import MOST_MEMBERS, MOST_OF, loads

PATIENCE = 5.0
"""Seconds within which others are answered: far more than it takes, on a machine that is busy."""


@pytest.fixture(scope="module")
def victim(server: str) -> Iterator[str]:
    """Return the id of a run that others settle."""
    with httpx.Client(base_url=server, timeout=60) as http:
        body = {"parameters": {"lr": {"kind": "constant", "value": 1}}}
        yield http.put("/v1/runs/victim", json=body).json()["id"]
        http.delete("/v1/runs/victim")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_others_are_answered_meanwhile(
    attack: Attack, http: httpx.Client, server: str, victim: str
) -> None:
    """P13: while anybody sends anything within the limits, /livez and settled reads go on."""
    sending = threading.Thread(target=attack.send, args=(server, None))
    sending.start()
    settled = f"/v1/runs/{victim}/values?generation=1&start=0&count=1"
    while True:
        over = not sending.is_alive()
        for path in ("/livez", settled):
            answer = http.get(path)
            assert answer.status_code == 200
            assert answer.elapsed.total_seconds() < PATIENCE
        if over:
            break
        time.sleep(0.02)


@pytest.mark.parametrize("name", BODIES)
def test_no_body_makes_the_service_fail(name: str, http: httpx.Client, victim: str) -> None:
    """P10: the answer is the service's own word, short, and never a 500."""
    assert victim
    method, path, make = BODIES[name]
    if name.startswith(("a run", "a million values", "noise", "points of", "a table of a million")):
        return  # these are sound, and are sent above
    headers = {"content-type": "application/json"}
    where = path.replace("NEW", "evil").partition("?")[0]
    answer = http.request(method, where, content=make(), headers=headers)
    assert answer.status_code < 500, answer.text[:300]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json().get("errors", [])) <= 50
        assert len(answer.content) < 100_000


@pytest.mark.parametrize("character", MOST_OF)
def test_bodies_of_too_many_parts_are_refused(character: bytes) -> None:
    """P10, P13: how often a body may have a character is counted before anything is made of it."""
    most, what = MOST_OF[character]
    body = b'"' + character * most + b'"'
    with ends(0.2), pytest.raises(TooLarge) as refused:
        loads(body.replace(b'"', b'""') if character == b'"' else body + character)
    assert refused.value.errors[0].field == "body"
    assert what in (refused.value.errors[0].bound or "")


def test_bodies_of_as_many_parts_as_are_allowed_are_read() -> None:
    """A million points, 20,000 objects, and 2,000 members of one object are read."""
    points = b"[" + b"[7.5,1]," * 999_999 + b"[7.5,1]]"
    objects = b"[" + b'{"a":1,"b":2},' * 19_999 + b'{"a":1,"b":2}]'
    for body, count in ((points, 1_000_000), (objects, 20_000), (keys(MOST_MEMBERS), 2_000)):
        with ends():
            assert len(loads(body)) == count


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (keys(MOST_MEMBERS + 1), "body"),
        (b'{"a":[1,{"b":' + keys(MOST_MEMBERS + 1) + b"}]}", "a[1].b"),
    ],
)
def test_objects_of_too_many_members_are_refused(body: bytes, field: str) -> None:
    """P10: an object of more members than any has is refused by its path."""
    with ends(0.2), pytest.raises(Invalid) as refused:
        loads(body)
    assert refused.value.errors[0].field == field
    assert refused.value.errors[0].bound == f"≤ {MOST_MEMBERS} members"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[7,1]," * 1_000_000 + b'0],"a":0}',
        b'{"a":"' + rb"\"\\" * 900_000 + b':","b":{"c":1,"c":2}}',
        b'{"a":"' + b"x" * 7_000_000 + rb'","\u0061":1}',
        b"[" + compact({"a": "::", "b": 1})[:-1] + b',"b"  :  2}]',
    ],
)
def test_twins_among_keys_are_found_in_linear_time(body: bytes) -> None:
    """P10, P13: a key that appears twice is found, however much there is around it."""
    with ends(1), pytest.raises(Malformed, match="appears twice"):
        loads(body)


def test_colons_in_texts_are_no_twins() -> None:
    """A text full of colons, quotation marks and braces is a text."""
    text = '{"a":1,"a":2}\\' * 1_000
    with ends(0.5):
        assert loads(compact({"a": text, "b": [text]})) == {"a": text, "b": [text]}

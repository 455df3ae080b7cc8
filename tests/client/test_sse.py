"""Server-sent events as the HTML standard has them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.client.sse import Message, Parser

BLOCKS = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
STREAM = (
    ": a comment\r\n\r\n"
    "event: revised\rdata: one\r\ndata: two\n\r\n"
    "id: 7\nretry: 10\nevent: gone\n\n"
    "data:  spaced\u2028\x0b\x85 and whole\n\n"
    "data\n\ndata:\ndata: x\n\n"
    "data: cut off"
).encode()
FOUND = [
    Message("revised", "one\ntwo"),
    Message("", " spaced\u2028\x0b\x85 and whole"),
    Message("", ""),
    Message("", "\nx"),
]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (BLOCKS, ["first event", "second event"]),
        ("data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        ("data:test\n\ndata: test\n\n", ["test", "test"]),
    ],
)
def test_the_examples_of_the_standard(stream: str, data: list[str]) -> None:
    """The examples of section 9.2.6 of the HTML standard are read as it says."""
    assert [message.data for message in Parser().feed(stream.encode())] == data


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_it_does_not_matter_how_the_bytes_arrive(cuts: list[int]) -> None:
    """The events are the same, wherever a stream is cut into pieces."""
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = Parser()
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert [message for piece in pieces for message in parser.feed(piece)] == FOUND

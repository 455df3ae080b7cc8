"""Server-sent events as the HTML standard has them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.client.answers import Broken
from rheostat.client.sse import Parser, ServerSentEvent

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
    ServerSentEvent("revised", "one\ntwo"),
    ServerSentEvent("", " spaced\u2028\x0b\x85 and whole"),
    ServerSentEvent("", ""),
    ServerSentEvent("", "\nx"),
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


def test_lines_in_many_pieces_take_linear_time() -> None:
    """A line of megabytes that comes byte by byte is put together once."""
    parser = Parser()
    parser.feed(b"data: ")
    for _ in range(200_000):
        parser.feed(b"a")

    [message] = parser.feed(b"\n\n")

    assert len(message.data) == 200_000


@pytest.mark.parametrize(
    "piece", [b"a" * 65536, b"data: " + b"a" * 65536 + b"\n", b"data\n" * 9999]
)
def test_events_have_a_longest(piece: bytes) -> None:
    """P10: what never ends is given up, whether it is a line or an event of many."""
    parser = Parser()

    def feed() -> None:
        for _ in range(3000):
            parser.feed(piece)

    with pytest.raises(Broken, match="longer than"):
        feed()


@pytest.mark.parametrize(
    "pieces", [[b"data: x\r", b"\ndata: y\r", b"\r"], [b"data: x\r", b"data: y\r\r", b":"]]
)
def test_ends_of_lines_that_are_cut(pieces: list[bytes]) -> None:
    """A carriage return at the end of a piece ends its line, with or without a line feed."""
    parser = Parser()

    found = [message.data for piece in [*pieces, b"\n\n"] for message in parser.feed(piece)]

    assert found == ["x\ny"]

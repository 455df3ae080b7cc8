"""The table of runs as the page asks for it: again and again, and as cheaply as that has to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from rheostat.server.http.recent import RecentAnswers

RUN = {"parameters": {"lr": {"kind": "linear", "start": 1, "end": 0, "steps": 8}}, "total": 8}


def test_a_table_has_what_a_list_has(http: httpx.Client, new_name: Callable[[], str]) -> None:
    """The same runs in the same order, by the same filters and pages, with a curve of each."""
    prefix = new_name()
    for name in ("a", "b", "c"):
        body = {"name": f"{prefix}-{name}", "labels": {"only": prefix + name}, **RUN}
        http.post("/v1/runs", json=body).raise_for_status()
    query: dict[str, Any] = {"prefix": prefix, "limit": 2}
    listed = http.get("/v1/runs", params=query).json()
    shown = http.get("/v1/runs", params={**query, "overview": True}).json()
    assert shown["next"] == listed["next"]
    for row, item in zip(shown["items"], listed["items"], strict=True):
        assert {key: item[key] for key in row.keys() & item.keys()} == {
            key: row[key] for key in row.keys() & item.keys()
        }
        values = [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
        assert row["curve"] == {"parameter": "lr", "steps": [*range(8)], "values": values}
    rest = http.get("/v1/runs", params={**query, "overview": True, "cursor": shown["next"]}).json()
    assert [row["name"] for row in rest["items"]] == [f"{prefix}-c"]
    labelled: dict[str, Any] = {"selector": f"only={prefix}b", "overview": True}
    (row,) = http.get("/v1/runs", params=labelled).json()["items"]
    assert row["name"] == f"{prefix}-b"


def test_a_table_comes_compressed_to_who_takes_it(
    http: httpx.Client, new_name: Callable[[], str]
) -> None:
    """What each page asks for every few seconds is small on the line, and the same."""
    name = new_name()
    http.post("/v1/runs", json={"name": name, **RUN}).raise_for_status()
    query: dict[str, Any] = {"prefix": name, "overview": True}
    plain = http.get("/v1/runs", params=query, headers={"accept-encoding": "identity"})
    small = http.get("/v1/runs", params=query, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.num_bytes_downloaded < plain.num_bytes_downloaded
    assert small.headers["vary"] == "Accept-Encoding"
    assert small.json() == plain.json()


def test_the_same_question_is_answered_once() -> None:
    """P13: who asks what others ask costs nothing more, within a second, nor while it is made."""

    async def ask() -> None:
        answers, made = RecentAnswers(), 0

        async def make() -> bytes:
            nonlocal made
            made += 1
            await asyncio.sleep(0.01)
            return b"%d" % made

        assert await asyncio.gather(*(answers.get("a", make) for _ in range(9))) == 9 * [b"1"]
        assert await answers.get("a", make) == b"1"
        assert await answers.get("b", make) == b"2"
        answers._made.clear()  # a second later
        assert await answers.get("a", make) == b"3"

    asyncio.run(ask())


def test_a_failure_is_nobody_elses() -> None:
    """P9: all who wait are told, and whoever asks next is answered; one may leave before."""

    async def ask() -> None:
        answers = RecentAnswers()

        async def fail() -> bytes:
            await asyncio.sleep(0.01)
            raise ValueError("away")

        async def make() -> bytes:
            await asyncio.sleep(0.01)
            return b"there"

        failed = await asyncio.gather(
            *(answers.get("a", fail) for _ in range(2)), return_exceptions=True
        )
        assert [type(each) for each in failed] == [ValueError, ValueError]
        leaving = asyncio.create_task(answers.get("a", make))
        staying = asyncio.create_task(answers.get("a", make))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == b"there"

    asyncio.run(ask())


def test_what_is_remembered_is_bounded() -> None:
    """P13: a few answers are kept, and none that is large."""

    async def ask() -> RecentAnswers:
        answers = RecentAnswers(80)
        for number in range(50):
            await answers.get(number, lambda: asyncio.sleep(0, 10 * b"x"))
            await answers.get(("large", number), lambda: asyncio.sleep(0, 11 * b"x"))
        return answers

    answers = asyncio.run(ask())
    assert list(answers._made) == list(range(42, 50))
    assert answers.figures == (0, 100, 80, 80)

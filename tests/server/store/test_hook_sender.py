"""Who sends to hooks: loops and receivers as they are, on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.hooks.receiver import Receiver, receiving

from rheostat.errors import Unavailable
from rheostat.server.hooks import posting
from rheostat.server.hooks.hook import NewHook
from rheostat.server.hooks.posting import Poster
from rheostat.server.hooks.targets import Networks
from rheostat.server.http import hook_sender
from rheostat.server.http.hook_sender import HookSender
from rheostat.server.http.metric_table import HOOK_ATTEMPTS, HOOK_WAITING
from rheostat.server.http.metrics import Metrics
from rheostat.server.runs.revision import Note
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store
from rheostat.server.store.operations import deliveries, hooks, telling
from rheostat.server.store.operations.revise import RevisionRequest, revise

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HERE = Networks.parse(["127.0.0.0/8"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return somebody who is told."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(hook_sender, "TICK", 0.02)
    monkeypatch.setattr(hook_sender, "IDLE", 0.05)
    monkeypatch.setattr(hook_sender, "PACE", 1000.0)


def put(desk: Desk, url: str, name: str = "a", **fields: Any) -> None:
    """Set a hook that is told of changes."""
    new = NewHook(url=url, events=["revised"], **fields).checked(HERE)
    desk.write(hooks.put, name, new, "ann")


async def halve(store: Store, many: int = 1) -> None:
    """Change a run so many times."""
    for number in range(many):
        await store.write(revise, "gpt", RevisionRequest({"lr": 1 / (number + 2)}, note=Note("b")))


@asynccontextmanager
async def sending(store: Store, metrics: Metrics | None = None) -> AsyncIterator[HookSender]:
    """Run what sends, as one process does."""
    figures = metrics or Metrics()
    sender = HookSender(store, Poster(HERE), figures, "https://page.example")
    task = asyncio.create_task(sender.keep_sending())
    try:
        yield sender
    finally:
        task.cancel()
        await sender.close()


async def until(what: Callable[[], bool], otherwise: str = "it did not happen") -> None:
    """Wait until something holds, or fail."""
    async with asyncio.timeout(60):
        try:
            while not what():  # noqa: ASYNC110 - a thread of the receiver does it
                await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(otherwise)


async def state(store: Store, name: str = "a") -> Counter[str]:
    """Return how many messages of a hook are in which state."""
    found, _ = await store.read(deliveries.page, name, None, 0, 1000)
    return Counter(each["state"] for each in found)


async def delivered(store: Store, many: int) -> None:
    """Wait until so many messages are known to have arrived."""
    async with asyncio.timeout(60):
        while (await state(store))["delivered"] < many:  # noqa: ASYNC110 - the database has it
            await asyncio.sleep(0.01)


def test_what_happens_is_sent(desk: Desk, receiver: Receiver) -> None:
    """A change reaches the receiver, with a link; and the figures say so."""
    put(desk, receiver.url)
    desk.create()
    metrics = Metrics()

    async def main() -> None:
        async with sending(desk.store, metrics):
            await halve(desk.store, 3)
            await until(lambda: len(receiver.received) == 3)
            await delivered(desk.store, 3)

    asyncio.run(main())
    assert [each.json["data"]["revision"] for each in receiver.received] == [2, 3, 4]
    assert receiver.received[0].json["data"]["link"].startswith("https://page.example/runs/run_")
    text = metrics.text().decode()
    assert f'{HOOK_ATTEMPTS.shown}{{outcome="delivered"}} 3.0' in text
    assert HOOK_WAITING.name in text


def test_two_processes_send_each_message_once(
    desk: Desk, desk_at: Callable[[str], Desk], receiver: Receiver
) -> None:
    """However many processes share a database, a message that was taken at once comes once."""
    put(desk, receiver.url)
    desk.create()
    other = desk_at(desk.url)

    async def main() -> None:
        async with sending(desk.store), sending(other.store), sending(other.store):
            await halve(desk.store, 20)
            await until(lambda: len(receiver.received) >= 20)
            await delivered(desk.store, 20)
            await asyncio.sleep(0.2)  # nobody sends it once more

    asyncio.run(main())
    other.store.close()
    assert Counter(each.id for each in receiver.received).most_common(1)[0][1] == 1
    assert len(receiver.received) == 20


def test_who_dies_after_sending_sends_again(desk: Desk, receiver: Receiver) -> None:
    """P4: a process that ends between sending and writing it down: it comes again, by its id."""
    put(desk, receiver.url)
    desk.create()

    async def main() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deliveries, "settle", _away)
            async with sending(desk.store):
                await halve(desk.store)
                await until(lambda: len(receiver.received) == 1)
                await asyncio.sleep(0.1)
        assert (await state(desk.store)) == {"waiting": 1}
        await desk.store.write(_now)
        async with sending(desk.store):
            await until(lambda: len(receiver.received) == 2)
            await delivered(desk.store, 1)

    asyncio.run(main())
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)


def _away(*_: Any) -> None:
    raise Unavailable("the process has died", reason="busy")


def _now(records: Any) -> None:
    from sqlalchemy import update

    from rheostat.server.store import tables

    records.connection.execute(update(tables.deliveries).values(next_at="2000"))


def test_hooks_that_hang_delay_nobody(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: of fifty hooks forty never answer: the others are told, and so is whoever asks."""
    monkeypatch.setattr(posting, "TIMEOUT", 300.0)  # none of them fails while this lasts
    with ExitStack() as stack:
        hanging = stack.enter_context(receiving())
        hanging.hangs = True
        for number in range(40):
            put(desk, hanging.url, f"hangs-{number:02}")
        for number in range(10):
            put(desk, receiver.url, f"well-{number}")
        desk.create()

        async def main() -> None:
            async with sending(desk.store):
                await halve(desk.store)
                await until(lambda: len(hanging.received) == 40)
                await halve(desk.store, 4)
                await until(lambda: len(receiver.received) == 50)
                found = Counter[str]()
                for number in range(10):
                    found += await state(desk.store, f"well-{number}")
                assert found["delivered"] >= 40
                # each hangs with its first message, and holds back its own alone
                assert len(hanging.received) == 40

        asyncio.run(main())


def test_a_receiver_that_comes_back_gets_what_waited(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that waited while a receiver was away is lost, and nothing comes twice."""
    monkeypatch.setattr("rheostat.server.hooks.schedule.REST", 0.01)
    monkeypatch.setattr("rheostat.server.hooks.schedule.FIRST", 0.01)
    put(desk, receiver.url)
    desk.create()
    receiver.answers.extend([503, 500, 301])

    async def main() -> None:
        async with sending(desk.store):
            await halve(desk.store, 4)
            await delivered(desk.store, 4)

    asyncio.run(main())
    assert len(receiver.received) == 7
    assert len({each.id for each in receiver.received}) == 4


def test_a_database_that_is_away_ends_nothing(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: what cannot be read or written for a while is told afterwards."""
    put(desk, receiver.url)
    desk.create()
    real, away = telling.look, True

    def look(*arguments: Any) -> Any:
        return _away() if away else real(*arguments)

    monkeypatch.setattr(telling, "look", look)

    async def main() -> None:
        nonlocal away
        async with sending(desk.store) as sender:
            began = sender._well
            await halve(desk.store)
            await until(lambda: sender._well > began)  # it has not heard workers since then
            assert receiver.received == []
            away = False
            await until(lambda: len(receiver.received) == 1)

    asyncio.run(main())


def test_neither_secret_nor_path_is_logged(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """P10: the log names the hook, its host and what went wrong, and nothing that is secret."""
    put(desk, receiver.url.replace("/x", "/hidden"))
    desk.create()
    receiver.answers.append(500)

    async def main() -> None:
        async with sending(desk.store):
            await halve(desk.store)
            await until(lambda: bool(caplog.records))

    asyncio.run(main())
    (hook,) = desk.read(hooks.every)
    said = caplog.text
    assert "the hook a (127.0.0.1) did not take msg_" in said
    assert "answered 500" in said
    assert "hidden" not in said
    assert hook.secrets[0] not in said


def test_another_process_goes_on(desk_at: Callable[[str], Desk], desk: Desk) -> None:
    """A process that stops leaves its turn: the next one need not wait until it is over."""
    with receiving() as receiver:
        put(desk, receiver.url)
        desk.create()
        other = desk_at(desk.url)

        async def main() -> None:
            async with sending(desk.store):
                await halve(desk.store)
                await until(lambda: len(receiver.received) == 1)
            async with sending(other.store):
                await halve(other.store)
                await until(lambda: len(receiver.received) == 2)

        asyncio.run(main())
        other.store.close()


def test_limits_of_a_store_do_not_matter(tmp_path: Any) -> None:
    """Without a hook nothing is written, and nothing is sent."""
    store = Store(f"sqlite:///{tmp_path / 'x.db'}", Limits())
    store.start()

    async def main() -> None:
        async with sending(store) as sender:
            await asyncio.sleep(0.2)
            assert sender._done == {}
            assert await store.read(telling.look, "x") == telling.Outlook(
                (), taken=False, lease=0.0, news=(), more=False
            )

    asyncio.run(main())
    store.close()

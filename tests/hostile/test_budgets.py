"""Bytes that a process holds for others: bounded in sum, counted until they have gone."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from tests.hostile.conftest import ENDED, Inside, Start, rest, until
from tests.hostile.test_connections import EVALUATION, GET, POST

from rheostat.errors import Unavailable
from rheostat.server.http import connections
from rheostat.server.http.budgets import SMALL, Budget
from rheostat.server.http.turns import Turns

MIB = 1024 * 1024
RUN = {"parameters": {"lr": {"kind": "constant", "value": 1}}}


def large(size: int, *, whole: bool = True) -> bytes:
    """Return a request with a body of a size, but for its last byte unless it is ``whole``."""
    body = EVALUATION[:-1].ljust(size - 1) + b"}"
    head = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size
    return head + (body if whole else body[:-1])


def curve(server: Inside, stop: int, form: str = "f64", **options: int) -> socket.socket:
    """Ask for a long curve, and do not read it."""
    definition = {"kind": "cosine", "start": 1, "end": 0, "steps": stop}
    body = json.dumps({"definition": definition, "stop": stop}).encode()
    head = POST.replace(b"evaluate", b"evaluate?format=%b" % form.encode())
    request = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    return server.connect(request, SO_RCVBUF=4096, **options)


def others_are_served(server: Inside) -> None:
    """P13: whatever large things are under way, small requests are answered."""
    assert server.ask("GET", "/livez").status == 200
    run = server.ask("PUT", "/v1/runs/small", RUN)
    assert run.status in {200, 201}
    settled = f"/v1/runs/{json.loads(run.body)['id']}/values?generation=1&start=0&count=64"
    assert server.ask("GET", settled).status == 200
    assert server.ask("POST", "/v1/runs/small/join", {}).status == 200


def test_bodies_that_stop_make_room_for_those_that_come(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: bodies that stop before their end are cut off when another one needs their room."""
    monkeypatch.setattr("rheostat.server.app.SLOW_BODY", 0.2)
    server = start(max_receiving_bytes=MIB)
    receiving: Budget = server.app.state.receiving
    with ExitStack() as stack:
        stopped = [
            stack.enter_context(server.connect(large(400_000, whole=False))) for _ in range(2)
        ]
        until(lambda: receiving.used > 700_000)
        time.sleep(0.3)
        others_are_served(server)
        with server.connect(large(500_000)) as another:
            assert rest(another).status == 200
        cut = rest(stopped[0])
        assert (cut.status, cut.problem["reason"]) == (503, "busy")
        assert server.figure(ENDED % "cut off while bytes were short") == 1
        assert receiving.used <= MIB
        stopped[1].sendall(b"}")  # that one had enough room left
        assert rest(stopped[1]).status == 200
    until(lambda: receiving.used == 0)


def test_a_body_for_which_there_is_no_room_is_refused(start: Start) -> None:
    """P10: when bodies that are under way take all bytes, one more is 503 and may come again."""
    server = start(max_receiving_bytes=MIB)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(server.connect(large(500_000, whole=False)))
        until(lambda: server.app.state.receiving.used > 900_000)
        with server.connect(large(500_000)) as another:
            refused = rest(another)
        assert (refused.status, refused.problem["reason"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) > 0
        assert str(MIB) in refused.problem["detail"]
        others_are_served(server)
    until(lambda: server.app.state.receiving.used == 0)


def test_a_body_larger_than_all_room_is_read_alone(start: Start) -> None:
    """A budget that is smaller than the longest body does not forbid it."""
    server = start(max_receiving_bytes=100_000)
    with server.connect(large(300_000)) as connection:
        assert rest(connection).status == 200


def test_small_bodies_have_their_own_room(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: thousands of small bodies that stop are bounded, too, and make room."""
    monkeypatch.setattr("rheostat.server.app.SMALL_BODIES", 4 * SMALL)
    monkeypatch.setattr("rheostat.server.app.SLOW_BODY", 0.2)
    server = start()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.connect(large(SMALL - 100, whole=False)))
        time.sleep(0.5)
        for _ in range(8):
            stack.enter_context(server.connect(large(SMALL - 100, whole=False)))
            time.sleep(0.25)
        others_are_served(server)
        assert server.figure(ENDED % "cut off while bytes were short") >= 8


@pytest.mark.parametrize("form", ["f64", "npy", "json", "csv"])
def test_answers_that_nobody_reads_make_room(
    start: Start, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """P13: large answers are counted until they have left, and the slow ones go in need."""
    monkeypatch.setattr("rheostat.server.app.SLOW_ANSWER", 0.5)
    server = start(max_sending_bytes=64 * MIB)
    sending: Budget = server.app.state.sending
    count = {"f64": 4_000_000, "npy": 4_000_000, "json": 900_000, "csv": 800_000}[form]
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(curve(server, count, form))
            time.sleep(0.8)
            assert sending.used <= 64 * MIB
        until(lambda: sending.used > 0)
        others_are_served(server)
        answer = read_all(curve(server, count, form))
        assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
        assert server.figure(ENDED % "cut off while bytes were short") >= 1
    until(lambda: sending.used == 0)


def read_all(connection: socket.socket) -> bytes:
    """Read an answer as fast as it comes."""
    with connection:
        return rest(connection).received


def test_an_answer_for_which_there_is_no_room_is_refused(start: Start) -> None:
    """P10: while others take all bytes, one more large answer is 503 before it is computed."""
    server = start(max_sending_bytes=40 * MIB)
    with ExitStack() as stack:
        stack.enter_context(curve(server, 4_000_000))
        until(lambda: server.app.state.sending.used > 30 * MIB)
        refused = server.ask(
            "POST",
            "/v1/evaluate?format=f64",
            {**json.loads(EVALUATION[:-10] + b"}"), "stop": 3_000_000},
        )
        assert (refused.status, refused.problem["reason"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) > 0
        others_are_served(server)
    until(lambda: server.app.state.sending.used == 0)


def test_every_large_answer_is_counted(start: Start) -> None:
    """P13: also one that is no curve, such as a run with a long definition, leaves in pieces."""
    server = start(max_sending_bytes=12 * MIB)
    size = 5 * MIB
    values = {"kind": "table", "values": [0.123456789 + i for i in range(size // 16)]}
    assert server.ask("PUT", "/v1/runs/long", {"parameters": {"lr": values}}).status == 201
    with ExitStack() as stack:
        for _ in range(2):
            request = GET.replace(b"/livez", b"/v1/runs/long") + b"\r\n"
            stack.enter_context(server.connect(request, SO_RCVBUF=4096))
        until(lambda: server.app.state.sending.used > 2 * size)
        refused = server.ask("GET", "/v1/runs/long")
        assert (refused.status, refused.problem["reason"]) == (503, "busy")
        others_are_served(server)
    until(lambda: server.app.state.sending.used == 0)
    assert server.ask("GET", "/v1/runs/long").status == 200


def test_a_large_block_is_counted_once_for_all_who_read_it(start: Start) -> None:
    """P13: the ranks of a run that ask for a large block together are all sent the one that is."""
    server = start(max_sending_bytes=10 * MIB)
    many = {f"lr/g{number}": {"kind": "constant", "value": number} for number in range(200)}
    run = json.loads(server.ask("PUT", "/v1/runs/wide", {"parameters": many}).body)["id"]
    path = f"/v1/runs/{run}/values?generation=1&start=0&count=4096&format=f64"
    whole = server.ask("GET", path)
    size = 4096 * 200 * 8
    assert len(whole.body) == size
    with ExitStack() as stack:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        ranks = [stack.enter_context(server.connect(request, SO_RCVBUF=4096)) for _ in range(20)]
        until(lambda: server.app.state.sending.used)
        assert server.app.state.sending.used <= size
        threads = [threading.Thread(target=_require, args=(rank, whole.body)) for rank in ranks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    until(lambda: server.app.state.sending.used == 0)


def _require(connection: socket.socket, body: bytes) -> None:
    received = bytearray()
    while not (len(received) > len(body) and received.endswith(body)):
        piece = connection.recv(MIB)
        assert piece
        received += piece


def test_what_waits_to_be_sent_is_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: small answers that nobody reads are bounded as well, all of them together."""
    monkeypatch.setattr(connections, "UNSENT", 200_000)
    monkeypatch.setattr(connections, "LOOK_EVERY", 0.1)
    server = start()
    request = (GET.replace(b"/livez", b"/v1/kinds") + b"\r\n") * 400
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(server.connect(request, SO_RCVBUF=4096))
        until(lambda: server.figure(ENDED % "answers not taken") > 0)
        others_are_served(server)


def test_memory_that_is_not_there_is_a_refusal(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: a request for which no memory can be had is 503, wherever that shows; others go on."""

    def no_memory(*_args: Any, **_options: Any) -> Any:
        raise MemoryError

    server = start()
    assert server.ask("PUT", "/v1/runs/a", RUN).status == 201
    places = {
        "rheostat.server.routes.evaluate.evaluate": (
            "POST",
            "/v1/evaluate",
            json.loads(EVALUATION),
        ),
        "rheostat.server.http.curves.write": ("POST", "/v1/evaluate", json.loads(EVALUATION)),
        "rheostat.server.store.operations.show.show": ("GET", "/v1/runs/a", None),
        "rheostat.server.store.operations.revise.revise": (
            "POST",
            "/v1/runs/a/revisions",
            {"changes": {"lr": {"edit": "scale", "factor": 0.5}}},
        ),
    }
    for place, (method, path, body) in places.items():
        with monkeypatch.context() as patch:
            patch.setattr(place, no_memory)
            refused = server.ask(method, path, body)
            assert (refused.status, refused.problem["reason"]) == (503, "busy"), place
            assert int(refused.headers["retry-after"]) > 0
        assert server.ask(method, path, body).status in {200, 201}, place


def test_large_bodies_are_worked_on_in_turn() -> None:
    """P13: what is worked on at a time has a bounded sum; others wait, in their order."""

    async def work() -> list[str]:
        turns, done = Turns(10), []

        async def one(name: str, size: int) -> None:
            await turns.wait(size)
            done.append(f"+{name}")
            await asyncio.sleep(0.01)
            done.append(f"-{name}")
            turns.done(size)

        await asyncio.gather(one("a", 6), one("b", 4), one("c", 20), one("d", 1))
        return done

    assert asyncio.run(work()) == ["+a", "+b", "-a", "-b", "+c", "-c", "+d", "-d"]


def test_a_turn_that_does_not_come_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: who waits for long is told to come again; a turn that nobody takes is not lost."""
    monkeypatch.setattr("rheostat.server.http.turns.PATIENCE", 0.05)

    async def work() -> None:
        turns = Turns(10)
        await turns.wait(10)
        with pytest.raises(Unavailable):
            await turns.wait(1)
        waiting = asyncio.create_task(turns.wait(5))
        await asyncio.sleep(0)
        waiting.cancel()
        turns.done(10)
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(turns.wait(10), 1)

    asyncio.run(work())


def test_a_budget_is_what_its_holdings_have() -> None:
    """What is held is counted once, however often it is given back, and an object once for all."""
    budget = Budget(100, "things", seconds=0)
    body = b"x" * 40
    one, two = budget.take(40, shared=body), budget.take(40, shared=body)
    other = budget.take(10)
    other.grow(20)
    assert budget.used == 70
    with pytest.raises(Unavailable):
        budget.take(31)
    for each in (one, one, other, other):
        each.release()
    assert budget.used == 40
    two.release()
    assert budget.used == 0


def test_the_oldest_makes_room_first() -> None:
    """In need, the one goes that has had its room for longest, and no more than are needed."""
    budget, gone = Budget(100, "things", seconds=0), list[int]()
    held = [budget.take(30, lambda n=number: gone.append(n)) for number in range(3)]  # type: ignore[misc]
    held[0].keep()
    budget.take(40)
    assert (gone, budget.used) == ([1], 100)
    budget.take(30)
    assert (gone, budget.used) == ([1, 2], 100)
    with pytest.raises(Unavailable):
        budget.take(1)


def test_nothing_is_computed_for_who_has_hung_up(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: curves that wait for their turn are dropped when their callers leave."""
    computed: list[int] = []
    held, go = threading.Event(), threading.Event()

    def slow(_definition: Any, places: Any) -> Any:
        computed.append(len(places))
        held.set()
        go.wait(30)
        return np.zeros(len(places))

    monkeypatch.setattr("rheostat.server.app.CURVES_AT_ONCE", 1)
    monkeypatch.setattr("rheostat.server.routes.evaluate.evaluate", slow)
    server = start()
    with curve(server, 10_000):
        assert held.wait(30)
        for _ in range(10):
            curve(server, 20_000).close()
        others_are_served(server)
        go.set()
        until(lambda: server.app.state.sending.used == 0)
    assert computed == [10_000]

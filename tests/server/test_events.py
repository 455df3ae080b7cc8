"""Event streams of real servers: over processes, restarts, limits and ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.conftest import open_tokens

from rheostat import Client, scale

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}


class Listener:
    """Reads a stream of events in a thread of its own, until it ends."""

    def __init__(self, url: str, run: str, headers: Mapping[str, str]) -> None:
        self.events: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.answer: httpx.Response | None = None
        self._open = threading.Event()
        self._asked = (f"{url}/v1/runs/{run}/events", headers)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def opened(self) -> Listener:
        """Wait until the answer has begun."""
        assert self._open.wait(60)
        return self

    def ended(self) -> list[dict[str, Any]]:
        """Wait until the stream has ended, and return its events."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.events

    @property
    def runs(self) -> bool:
        """Whether the stream is still open."""
        return self._thread.is_alive()

    def until(self, kind: str) -> None:
        """Wait until there was an event of a kind."""
        while kind not in self.kinds:
            assert self.runs, f"it ended with {self.kinds}"
            time.sleep(0.02)

    @property
    def kinds(self) -> list[str]:
        """What has happened so far."""
        return [event["kind"] for event in self.events]

    def _read(self) -> None:
        url, headers = self._asked
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            self.answer = answer
            text = ""
            for piece in answer.iter_text():
                *blocks, text = (text + piece).split("\n\n")
                for block in blocks:
                    self._take(block)
                self._open.set()
        self._open.set()

    def _take(self, block: str) -> None:
        if block.startswith(":"):
            self.comments.append(block)
            return
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        event = json.loads(fields["data"])
        assert (fields["id"], fields["event"]) == (str(event["number"]), event["kind"])
        assert fields.keys() == {"id", "event", "data"}
        self.events.append(event)


def listen(url: str, run: str, after: int | None = None, **headers: str) -> Listener:
    """Open a stream."""
    known = {} if after is None else {"Last-Event-ID": str(after)}
    return Listener(url, run, {**headers, **known})


@contextmanager
def operating(url: str, name: str) -> Iterator[Any]:
    """Yield the control of a new run."""
    with Client(url, author="ann") as client:
        client.create_run(name, {"lr": LINE})
        yield client.control(name)


def settle(url: str, control: Any, start: int, count: int) -> None:
    """Settle some steps, as a worker."""
    shown = control.show()
    asked = {"generation": shown["generation"], "start": start, "count": count}
    where = f"{url}/v1/runs/{shown['id']}/values"
    httpx.get(where, params=asked, timeout=60).raise_for_status()


def test_a_stream_tells_what_happens_and_ends_with_the_run(server: str, new_name: Any) -> None:
    """Each event once, in its order, with its number; after the last one, the stream ends."""
    with operating(server, name := new_name()) as control:
        listener = listen(server, name).opened()
        settle(server, control, 0, 8)
        control.change({"lr": scale(0.5)}, effective=20, message="loss\nspike\u2028")
        listener.until("revised")
        control.cancel(2)
        control.rewind(4)
        control.finish()
        events = listener.ended()
    assert [event["kind"] for event in events] == [
        *("settled", "revised", "cancelled", "rewound", "finished")
    ]
    assert [event["number"] for event in events] == [1, 2, 3, 4, 5]
    assert events[1]["message"] == "loss\nspike\u2028"
    assert listener.answer is not None
    headers = listener.answer.headers
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Rheostat-Run"] == events[0]["id"]
    assert listen(server, name, after=2).ended() == events[2:]


def test_nothing_comes_after_the_end(server: str, http: httpx.Client, new_name: Any) -> None:
    """Who has all events of a finished run gets 204, which tells browsers not to come again."""
    with operating(server, name := new_name()) as control:
        control.finish()
    where = f"/v1/runs/{name}/events"
    assert http.get(where, params={"after": 1}).status_code == 204
    assert http.get(where).text.count("event: finished") == 1


def test_the_header_goes_before_the_parameter(
    server: str, http: httpx.Client, new_name: Any
) -> None:
    """A browser that resumes repeats the address, and says in the header how far it came."""
    with operating(server, name := new_name()) as control:
        for _ in range(3):
            control.change({"lr": scale(0.5)})
        control.finish()
    where = f"/v1/runs/{name}/events"
    resumed = http.get(where, params={"after": 1}, headers={"Last-Event-ID": "3"})
    assert [line for line in resumed.text.splitlines() if line.startswith("id")] == ["id: 4"]


@pytest.mark.parametrize("known", ["-1", "x", "", "1e3", "7", str(2**53)])
def test_a_wrong_number_is_refused(
    known: str, http: httpx.Client, server: str, new_name: Any, problem: Any
) -> None:
    """P10: what is no number of an event of this run is named, in the header and the query."""
    with operating(server, name := new_name()):
        pass
    where = f"/v1/runs/{name}/events"
    problem(http.get(where, params={"after": known}), "invalid")
    problem(http.get(where, headers={"Last-Event-ID": known}), "invalid")


def test_replicas_share_nothing_but_the_database(start_server: Any) -> None:
    """What is done through one server is told by the other one's streams, each event once."""
    first = start_server()
    second = start_server(database=first.settings["database"])
    with operating(first.url, "gpt") as control:
        listeners = [listen(url, "gpt") for url in (first.url, second.url)]
        listeners += [listen(second.url, "gpt") for _ in range(3)]
        for listener in listeners:
            listener.opened()
        for step in range(10):
            settle(first.url, control, step, 1)
            control.change({"lr": scale(0.5)})
        control.finish()
        for listener in listeners:
            events = listener.ended()
            numbers = [event["number"] for event in events]
            assert numbers == sorted(set(numbers))
            revisions = [event["revision"] for event in events if event["kind"] == "revised"]
            assert revisions == [*range(2, 12)]
            assert events[-1]["end"] == 10


def test_workers_of_one_server_tell_the_same(start_server: Any) -> None:
    """However connections fall to workers, each stream has each change once."""
    running = start_server(workers=2)
    with operating(running.url, "gpt") as control:
        listeners = [listen(running.url, "gpt").opened() for _ in range(8)]
        for _ in range(5):
            control.change({"lr": scale(0.5)})
        control.finish()
        for listener in listeners:
            assert [event["number"] for event in listener.ended()] == [1, 2, 3, 4, 5, 6]


def test_following_survives_kill_9(start_server: Any) -> None:
    """P4: a client that follows a run sees each acknowledged change once, through two crashes."""
    running = start_server()
    seen: list[Any] = []
    follows = threading.Event()

    def follow() -> None:
        for event in watcher.control("gpt").events():
            seen.append(event)
            follows.set()

    with operating(running.url, "gpt") as control, Client(running.url) as watcher:
        thread = threading.Thread(target=follow)
        thread.start()
        control.change({"lr": scale(0.5)})
        assert follows.wait(60)  # it is patient from when it has heard something
        for _ in range(3):
            for _ in range(4):
                control.change({"lr": scale(0.5)})
            settle(running.url, control, control.show()["settled_until"], 8)
            running.kill()
            running.restart()
        control.finish()
        thread.join(60)
    numbers = [event["number"] for event in seen]
    assert numbers == sorted(set(numbers))
    assert [e["revision"] for e in seen if e["kind"] == "revised"] == [*range(2, 15)]
    assert (seen[-1]["kind"], seen[-1]["end"]) == ("finished", 24)


def test_a_deleted_run_ends_its_streams(server: str, new_name: Any) -> None:
    """There is nothing more to tell; who comes again gets 404."""
    with operating(server, name := new_name()) as control:
        listener = listen(server, name).opened()
        control.delete()
        assert listener.ended() == []


def test_streams_are_bounded(start_server: Any, problem: Any) -> None:
    """One more than there may be is refused for some seconds; each that ends leaves its place."""
    running = start_server(max_event_streams=2)
    with operating(running.url, "gpt") as control, running.client() as http:
        listeners = [listen(running.url, "gpt").opened() for _ in range(2)]
        refused = http.get("/v1/runs/gpt/events")
        problem(refused, "rate-limited")
        assert int(refused.headers["Retry-After"]) > 0
        assert "rheostat_event_streams 2.0" in http.get("/metrics").text
        control.finish()
        for listener in listeners:
            listener.ended()
        assert http.get("/v1/runs/gpt/events").status_code == 200


def test_who_leaves_makes_room(start_server: Any) -> None:
    """A listener that hangs up without a word holds no place."""
    running = start_server(max_event_streams=1)
    with operating(running.url, "gpt"), running.client() as http:
        for _ in range(5):
            where = f"{running.url}/v1/runs/gpt/events"
            with httpx.stream("GET", where, timeout=60) as answer:
                next(answer.iter_bytes())
            while "rheostat_event_streams 1.0" in http.get("/metrics").text:
                time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_do_not_hold_up_a_stop(workers: int, start_server: Any) -> None:
    """A server that is told to stop ends its streams, and needs no second word."""
    running = start_server(workers=workers, log_level="warning")
    with operating(running.url, "gpt"):
        listeners = [listen(running.url, "gpt").opened() for _ in range(4)]
        assert running.stop() == 0
        for listener in listeners:
            assert listener.ended() == []
    assert running.log == ""


def test_a_revoked_token_ends_its_streams(guarded: Any, new_name: Any) -> None:
    """Whoever may no longer look is told nothing more, within seconds."""
    name = new_name()
    body = {"name": name, "parameters": {"lr": LINE}}
    guarded.ask("operator", "POST", "/v1/runs", json=body).raise_for_status()
    with open_tokens(guarded.database) as tokens:
        secret = tokens.create(name[:100], "viewer")["token"]
        listener = listen(guarded.url, name, Authorization=f"Bearer {secret}").opened()
        tokens.revoke(name[:100])
    done = 0
    while listener.runs and done < 200:
        change = {"changes": {"lr": scale(1.0)}}
        guarded.ask("operator", "POST", f"/v1/runs/{name}/revisions", json=change)
        done += 1
        time.sleep(0.2)
    assert len(listener.ended()) < done

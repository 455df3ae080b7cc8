"""Which revision a training is in, and each that comes into force: told once, where it is read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import FakeService
from tests.client.test_run import quiet

from rheostat import AsyncClient, At, Client, Revision, scale
from rheostat.client.answers import Answer, Broken
from rheostat.client.revisions import Coming, InForce, number_at, of_answer, of_header
from rheostat.errors import Finished

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
SPEC: dict[str, Any] = {"parameters": {"lr": LINE}}


class TellingService(FakeService):
    """The service in memory, whose blocks say which revisions give their values."""

    names_them = True

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match unquote(request.url.path).split("/")[2:]:
            case ["runs", "run-1", "revisions", number]:
                return httpx.Response(200, json=self.revision(int(number)))
            case ["runs", "run-1", "values"]:
                answer = super()._answer(request)
                if self.names_them:
                    answer.headers["Rheostat-Revisions"] = self._names(request.url.params)
                return answer
        return super()._answer(request)

    def _names(self, params: httpx.QueryParams) -> str:
        """Return what the header of a block says."""
        start, width = int(params["start"]), self.resolution
        marks = [(0, 1), *((at * width, n) for n, (at, _) in enumerate(self.revisions, 2))]
        before = max((at, n) for at, n in marks if at <= start)[1]
        stop = start + int(params["count"]) * width
        inside = sorted((at, n) for at, n in marks if start < at < stop)
        return ",".join(f"{n}@{at}" for at, n in [(start, before), *inside])

    def revision(self, number: int) -> dict[str, Any]:
        """Return a revision as the history has it."""
        at, factor = (0, 1.0) if number == 1 else self.revisions[number - 2]
        return {
            "revision": number,
            "effective": at,
            "author": "ann",
            "message": f"by {factor}",
            "kind": "change",
            "changes": {"lr": [{"edit": "scale", "factor": factor}]},
        }


@pytest.fixture
def service() -> TellingService:
    """Return a service in memory that tells its revisions, of which `client` is one."""
    return TellingService()


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


@pytest.mark.parametrize("stride", [1, 3, 40])
def test_each_is_told_once_at_the_step_where_it_is_read(
    client: Client, service: TellingService, stride: int
) -> None:
    """At the first step read that it holds for, on the thread that reads, before that goes on."""
    at = {2: 7, 3: 30, 4: 150}
    for number, step in at.items():
        service.change(0.5 / number, step)
    now, told = -1, []

    def on_change(revision: Revision) -> None:
        told.append((now, revision.number, revision.effective, threading.get_ident()))

    run = client.run("gpt", on_change=on_change)
    for now in range(0, 400, stride):
        run.value("lr", now)
        run.values(now)
    used = {max((n for n in at if at[n] <= step), default=1) for step in range(0, 400, stride)}
    seen = {number: (step, effective) for step, number, effective, _ in told}
    assert len(seen) == len(told)
    assert used - {1} <= seen.keys()  # one that no step used is told if its block was read
    assert seen == {number: (stride * -(-at[number] // stride), at[number]) for number in seen}
    assert {thread for *_, thread in told} == {threading.get_ident()}


def test_the_log_says_each(
    client: Client, service: TellingService, caplog: pytest.LogCaptureFixture
) -> None:
    """At the level INFO each has a line, though nobody has asked to be called."""
    service.change(0.5, 5)
    with caplog.at_level("INFO", logger="rheostat"):
        run = client.run("gpt")
        for step in range(10):
            run.value("lr", step)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["rheostat: run gpt: revision 2 from step 5, ann: by 0.5"]


def test_it_says_who_and_why(client: Client, service: TellingService) -> None:
    """Author, message, kind and changes are those of the history."""
    service.change(0.5, 5)
    told: list[Revision] = []
    run = client.run("gpt", on_change=told.append)
    for step in range(10):
        run.value("lr", step)
    changes = {"lr": [{"edit": "scale", "factor": 0.5}]}
    assert told == [Revision(2, 5, "ann", "by 0.5", "change", changes)]


def test_what_was_in_force_before_is_not_told(client: Client, service: TellingService) -> None:
    """A worker that joins late, or again, hears of what comes, not of what was."""
    service.change(0.5, 5)
    service.change(0.5, 30)
    told: list[int] = []
    run = client.run("gpt", on_change=lambda revision: told.append(revision.number))
    for step in range(10, 20):
        run.value("lr", step)
    assert told == []
    for step in (*range(20, 40), *range(25, 40)):  # going back tells nothing again
        run.value("lr", step)
    assert told == [3]
    run.rejoin(run.checkpoint(32))
    for step in range(32, 60):
        run.value("lr", step)
    assert told == [3]


def test_looking_up_stays_looking_up(client: Client, service: TellingService) -> None:
    """P8: what is held is told without a request, and nobody who does not ask costs any."""
    service.change(0.5, 60)
    told: list[int] = []
    run = client.run("gpt", on_change=lambda revision: told.append(revision.number))
    for step in range(59):
        run.value("lr", step)
    quiet(run)
    asked = len(service.requests)
    service.before = lambda _: httpx.Response(503)
    assert run.value("lr", 60) == 0.5 / 61
    assert (told, len(service.requests)) == ([2], asked)


def test_nobody_who_asks_for_none_costs_a_request(client: Client, service: TellingService) -> None:
    """Without `on_change` no revision is asked for, and a block is looked up to its end."""
    service.change(0.5, 60)
    run = client.run("gpt")
    for step in range(100):
        run.value("lr", step)
    assert not any("/revisions/" in request.url.path for request in service.requests)


def test_no_training_waits_for_the_words(client: Client, service: TellingService) -> None:
    """P9: where the service does not say what a revision is, values go on; it is told later."""
    service.change(0.5, 5)
    told: list[tuple[int, int]] = []
    now = 0

    def before(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503) if "/revisions/" in request.url.path and now < 20 else None

    service.before = before
    run = client.run("gpt", on_change=lambda r: told.append((r.number, r.effective)))
    for now in range(20):
        run.value("lr", now)
    assert told == []
    for now in range(20, 200):
        run.value("lr", now)
    assert told == [(2, 5)]


def test_a_callback_that_comes_later_hears_what_comes(
    client: Client, service: TellingService
) -> None:
    """Set on a run that is being read, it is told from then on, at the next block at the latest."""
    service.change(0.5, 5)
    service.change(0.5, 101)
    run = client.run("gpt")
    told: list[int] = []
    for step in range(100):
        run.value("lr", step)
    run.on_change = lambda revision: told.append(revision.number)
    run.value("lr", 100)
    assert told == []
    for step in range(101, 400):
        run.value("lr", step)
    assert told == [3]


def test_at_tells_values_revision_and_signals_together(
    client: Client, service: TellingService
) -> None:
    """The revision is that which gives the values of the step, within what is held and at edges."""
    service.change(0.5, 5)
    service.change(0.5, 11)
    run = client.run("gpt")
    for step in (*range(40), 3, 12, 4):
        number = 1 + (step >= 5) + (step >= 11)
        value = 0.5 ** (number - 1) / (step + 1)
        assert run.at(step) == At({"lr": value, "weight_decay": -value}, number, ())
    service.end = 100
    with pytest.raises(Finished):
        client.run("gpt").at(100)  # the run above may hold more than 100 steps by now


def test_a_step_within_a_cell_has_the_revision_of_its_cell(
    client: Client, service: TellingService
) -> None:
    """On a grid that is coarser than 1, the revision is that of the value."""
    service.resolution = 10
    service.revisions = [(2, 0.5)]
    run = client.run("gpt")
    assert [run.at(step).revision for step in (0, 9, 19, 20, 25)] == [1, 1, 1, 2, 2]


def test_what_is_left_out_on_the_way_is_not_invented(
    client: Client, service: TellingService
) -> None:
    """A block without the header has values all the same, and names no revision."""
    service.names_them = False
    run = client.run("gpt", on_change=lambda _: pytest.fail("nothing to tell"))
    for step in range(50):
        run.value("lr", step)
    assert run.at(50).revision is None


@pytest.mark.parametrize(
    "text",
    [
        *("3", "@96", "3@", "3@96,", "3@96;4@97", "-3@96", "0@96", "3@95", "3@97", "x@y", "3#96"),
        *("3@96,4@96", "3@96,4@128", "3@96,5@90", "99999999999@96", "3@96,0@100", "٣@96"),
        "3@96" + ",4@97" * 20_000,
    ],
)
def test_a_garbled_header_is_not_believed(text: str) -> None:
    """A block that names revisions in another form, or not its own, is no block."""
    with pytest.raises(Broken):
        of_header(_answer({"Rheostat-Revisions": text}), 96, 128)


def test_a_header_says_which_from_where() -> None:
    """What is right is read, and what is not there is nothing."""
    told = of_header(_answer({"Rheostat-Revisions": "3@96,7@100"}), 96, 128)
    assert told == (InForce(96, 3), InForce(100, 7))
    assert [number_at(told, step) for step in (95, 96, 99, 100, 127)] == [None, 3, 3, 7, 7]
    assert of_header(_answer({}), 96, 128) == ()


def test_a_block_with_garbled_revisions_is_asked_for_again(
    client: Client, service: TellingService
) -> None:
    """P9: nothing of it is used, and the next answer is."""
    spoiled = [True]

    def before(request: httpx.Request) -> httpx.Response | None:
        if not (spoiled and request.url.path.endswith("/values")):
            return None
        spoiled.pop()
        answer = service._answer(request)
        answer.headers["Rheostat-Revisions"] = "junk"
        return answer

    service.before = before
    assert client.run("gpt").value("lr", 0) == 1.0
    assert len(service.reads) == 2


@pytest.mark.parametrize(
    "changed",
    [
        *({"revision": 0}, {"revision": "2"}, {"effective": -1}, {"effective": True}),
        *({"author": 7}, {"message": None}, {"kind": 1}, {"changes": []}),
    ],
)
def test_what_is_no_revision_is_none(changed: dict[str, Any]) -> None:
    """Whatever else the service answers, it is not taken for what a revision says."""
    service = TellingService()
    service.change(0.5, 5)
    sound = service.revision(2)
    assert of_answer(_json(sound)).number == 2
    with pytest.raises(Broken):
        of_answer(_json({**sound, **changed}))


@given(
    marks=st.dictionaries(st.integers(1, 60), st.integers(2, 50), max_size=8),
    steps=st.lists(st.integers(0, 60), min_size=1, max_size=12),
)
def test_each_is_owed_where_its_step_is_crossed(marks: dict[int, int], steps: list[int]) -> None:
    """Those in (furthest step read, step] are told, by rising step; none at the first, or back."""
    unique = {number: at for at, number in sorted(marks.items())}
    places = sorted([InForce(0, 1), *(InForce(at, number) for number, at in unique.items())])
    coming, furthest = Coming(), steps[0]
    for at, number in places:
        coming.learned(number, Revision(number, at, None, "", "change", {}), places)
    for step in steps:
        coming.reached(places, step)
        due = [number for at, number in places if furthest < at <= step]
        assert [revision.number for revision in coming.take()] == due
        furthest = max(furthest, step)


def test_a_fork_does_not_take_its_own_words_for_those_of_its_past() -> None:
    """Below the step at which a fork leaves, numbers are those of the run it came from."""
    places = [InForce(0, 1), InForce(10, 2)]
    coming = Coming()
    coming.reached(places, 0)
    coming.learned(2, Revision(2, 500, "bo", "much later", "change", {}), places)
    coming.reached(places, 20)
    assert coming.take() == []
    assert coming.unknown(places) == []


def test_workers_are_told_what_the_operator_wrote(
    real: Client, new_name: Callable[[], str]
) -> None:
    """Against the service: two workers, one of asyncio, hear the same words at the same step."""
    name = new_name()
    control = real.control(name)
    heard: list[Revision] = []
    run = real.run(name, create=SPEC, on_change=heard.append)
    for step in range(50):
        run.value("lr", step)
    made = control.change({"lr": scale(0.5)}, message="loss spike")
    control.note("seen")  # it puts nothing in force
    for step in range(50, made["effective"]):
        run.value("lr", step)
    assert heard == []
    run.value("lr", made["effective"])
    changes = {"lr": [{"edit": "scale", "factor": 0.5}]}
    number, effective = made["revision"], made["effective"]
    assert heard == [Revision(number, effective, None, "loss spike", "change", changes)]
    assert [run.at(effective - 1).revision, run.at(effective).revision] == [1, number]

    async def again() -> list[Revision]:
        told: list[Revision] = []
        async with AsyncClient(real.settings.base_url) as client:
            other = await client.run(name, on_change=told.append)
            for step in range(effective + 1):
                await other.value("lr", step)
        return told

    assert asyncio.run(again()) == heard


def test_a_rewind_tells_what_it_puts_in_force_and_nothing_old(
    real: Client, new_name: Callable[[], str]
) -> None:
    """A training resumed below a rewind hears of the rewind's change, and not of what was left."""
    name = new_name()
    run = real.run(name, create=SPEC)
    for step in range(100):
        run.value("lr", step)
    run.change({"lr": scale(0.5)}, message="too soon")
    for step in range(100, 200):
        run.value("lr", step)
    checkpoint = run.checkpoint(40)
    run.rewind(60, {"lr": scale(0.1)}, message="spike")
    heard: list[tuple[str, str, int]] = []
    resumed = real.run(name, checkpoint=checkpoint)
    resumed.on_change = lambda r: heard.append((r.kind, r.message, r.effective))
    for step in range(40, 200):
        resumed.value("lr", step)
    assert heard == [("rewind", "spike", 60)]


def _answer(headers: dict[str, str], body: bytes = b"") -> Answer:
    found = httpx.Headers([(name.encode(), text.encode()) for name, text in headers.items()])
    return Answer(200, found, body)


def _json(body: dict[str, Any]) -> Answer:
    return Answer(200, httpx.Headers({}), httpx.Response(200, json=body).content)

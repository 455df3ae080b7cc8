"""Definitions are read within bounds, and while one is read nobody else waits for it."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.ending import ends

from rheostat.errors import Invalid
from rheostat.limits import MAX_NESTING, MAX_TEXTS, MAX_TEXTS_IN_ALL
from rheostat.schedules import convert, parse
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.spec import parse_run
from rheostat.server.runs.validation import Limits, Units
from rheostat.server.store import Store
from rheostat.server.store.operations import close, create, fork, revise, rewind, schedules, values

LAST = 2**53 - 1
ONE = {"kind": "constant", "value": 1}
SLOW = {"kind": "table", "values": [7.0, 77.0]}
"""What the planted parser takes its time for."""


def sequence(*steps: Any) -> dict[str, Any]:
    """Return a sequence of parts of these lengths."""
    return {"kind": "sequence", "parts": [{"schedule": ONE, "steps": length} for length in steps]}


def test_what_is_left_is_found_in_linear_time() -> None:
    """P13: a rest before many shares is what they leave, and takes no longer than they do."""
    shares = [f"0.{i:030d}%" for i in range(1, 480)]
    with ends(0.5):
        found = parse(sequence("rest", *shares), total=LAST).to_json()["parts"]
    left = LAST - sum(Fraction(share[:-1]) for share in shares) / 100 * LAST
    assert found[0]["steps"] == round(left)
    assert sum(part["steps"] for part in found) == LAST


def test_nested_rests_are_found_in_linear_time() -> None:
    """P13: so do sequences inside of what is left of others."""
    inner: Any = ONE
    for _level in range(3):
        parts = [{"schedule": ONE, "steps": "0.000000000001%"}] * 150
        inner = {"kind": "sequence", "parts": [{"schedule": inner, "steps": "rest"}, *parts]}
    with ends(0.5):
        assert parse(inner, total=LAST).length == LAST


@pytest.mark.parametrize("rests", [2, 490])
def test_there_is_one_rest(rests: int) -> None:
    """P10: a second rest in a row would be nothing long, which nobody means: it is refused."""
    with ends(0.5), pytest.raises(Invalid) as refused:
        parse(sequence(*["rest"] * rests, 5), total=100)
    assert refused.value.errors[0].field == "definition.parts[1].steps"
    assert len(refused.value.errors) <= 20


@pytest.mark.parametrize("kind", ["piecewise", "multistep"])
def test_shares_in_lists_are_few(kind: str) -> None:
    """P10, P13: as many texts as are allowed are read in a moment, and one more is refused."""
    shares = [f"0.{i:06d}%" for i in range(1, MAX_TEXTS + 1)]

    def data(*more: str) -> dict[str, Any]:
        steps = [*shares, *more]
        if kind == "multistep":
            return {"kind": kind, "start": 1, "factor": 0.999, "milestones": steps}
        return {"kind": kind, "points": [[step, 1] for step in steps]}

    with ends():
        assert parse(data(), total=LAST).length == round(Fraction(shares[-1][:-1]) / 100 * LAST)
    many = data(*["0.5%"] * 400_000)
    with ends(0.5), pytest.raises(Invalid) as refused:
        parse(many, total=LAST)
    assert refused.value.errors[0].bound == f"≤ {MAX_TEXTS} texts"


def test_shares_of_all_parameters_are_few() -> None:
    """P13: what one run may have of them is limited, too."""
    curve = {"kind": "multistep", "start": 1, "factor": 0.9, "milestones": ["1%"] * 9_000}
    body = {"name": "x", "parameters": {f"p{i}": curve for i in range(100)}, "total": 1000}
    with ends(0.5), pytest.raises(Invalid) as refused:
        parse_run(body, Units(), Limits())
    assert refused.value.errors[0].bound == f"<= {MAX_TEXTS_IN_ALL}"


WRONG: list[Any] = [
    {"kind": "table", "values": ["x"] * 800_000},
    {"kind": "table", "values": [None] * 1_000_000},
    {"kind": "table", "values": [[]] * 1_000_000},
    {"kind": "table", "values": [{}] * 1_000_000},
    {"kind": "table", "values": [True] * 1_000_000},
    {"kind": "piecewise", "points": [[1, None]] * 400_000},
    {"kind": "piecewise", "points": [[1]] * 400_000},
    {"kind": "multistep", "start": 1, "factor": 1, "milestones": [-1] * 1_000_000},
    {"kind": "multistep", "start": 1, "factor": 1, "milestones": [0.5] * 1_000_000},
    {"kind": "sum", "of": [{"kind": "constant", **dict.fromkeys("abcdefgh", 0)}] * 999},
    {"kind": "sum", "of": [{"kind": "constant", **dict.fromkeys(map(str, range(99)))}] * 999},
    {"kind": "sum", "of": [{"kind": "sum", "of": []}] * 999},
    [ONE] * 150_000,
    {str(i): 0 for i in range(800_000)},
]


@pytest.mark.parametrize("data", WRONG, ids=range(len(WRONG)))
def test_many_errors_are_not_made(data: Any) -> None:
    """P10, P13: where nearly everything is wrong, the first few errors are made, and no more."""
    with ends(1), pytest.raises(Invalid) as refused:
        parse(data)
    assert 1 <= len(refused.value.errors) <= 20


def test_what_is_looked_up_counts() -> None:
    """P13: a schedule is looked up once, and what all references come to is limited."""
    table = {"kind": "table", "values": [0.5] * 100_000}
    asked = []

    def lookup(name: str, version: int | None) -> Any:
        asked.append((name, version))
        return table

    reference = {"kind": "schedule", "name": "large"}
    with ends(), pytest.raises(Invalid) as refused:
        parse({"kind": "sum", "of": [reference] * 900}, lookup=lookup)
    assert (len(asked), len(refused.value.errors)) == (1, 1)


def test_a_conversion_that_would_nest_too_deep_is_refused() -> None:
    """P10: what a converter builds is held to the limits before it is written out."""
    inner: dict[str, Any] = {"name": "ConstantLR", "params": {"total_iters": 1}}
    for _level in range(MAX_NESTING):
        inner = {"name": "SequentialLR", "params": {"schedulers": [inner], "milestones": []}}
    with pytest.raises(Invalid):
        convert("torch", inner["name"], inner["params"], 0.1)


def test_jumps_lie_side_by_side() -> None:
    """As many jumps as one likes nest no deeper than one."""
    points = [[i // 2, float(i)] for i in range(2, 800)]
    with ends():
        definition = convert("ignite", "PiecewiseLinear", {"milestones_values": points}, 0.1)
    assert [definition.values(range(399))[step] for step in (1, 2, 200)] == [3.0, 5.0, 401.0]


class Parser:
    """A parser that waits whenever it reads `SLOW`, until it is let go; it notes its threads."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("rheostat.schedules.parse")
        parse_ = module._parse
        self.entered, self.go = threading.Event(), threading.Event()
        self.threads = set[str]()
        self._cached = module._parsed

        def slow(data: Any, context: Any) -> Any:
            self.threads.add(threading.current_thread().name)
            if "77.0" in str(data):
                self.entered.set()
                assert self.go.wait(60)
            return parse_(data, context)

        patch.setattr(module, "_parse", slow)
        self.forget()

    def forget(self) -> None:
        """Have everything parsed anew."""
        self._cached.cache_clear()

    def hold(self) -> None:
        """Wait again."""
        self.forget()
        self.entered.clear()
        self.go.clear()


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parser]:
    """Plant a parser that takes its time."""
    parser = Parser(monkeypatch)
    yield parser
    parser.go.set()
    parser.forget()


class Desk:
    """A store, and the runs ``mine`` and ``other``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.open()
        self.mine, self.other = (
            str(self.write(create.create, {"name": name, "parameters": {"lr": ONE}}, Note())["id"])
            for name in ("mine", "other")
        )
        self.settle(self.mine, 0)
        self.settle(self.other, 0)

    def open(self) -> None:
        """Open the database, as a new process would."""
        self.store = Store(self.url, Limits())
        self.store.start()

    def write(self, *call: Any) -> Any:
        """Run an operation."""
        return asyncio.run(self.store.write(*call))

    def settle(self, run: str, start: int) -> list[float]:
        """Settle a cell."""
        block = self.write(values.settle, run, BlockRequest(1, start, 1))
        return [float(column[0]) for column in block.values]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a store on SQLite."""
    desk = Desk(f"sqlite:///{tmp_path / 'rheostat.db'}")
    yield desk
    desk.store.close()


NEW = {"name": "new", "parameters": {"lr": SLOW}}
CHANGE = {"lr": {**SLOW, "clock": "run"}}
BLEND = {"lr": {"edit": "replace", "definition": SLOW, "clock": "run", "blend": 5}}
FORK = {"name": "fork", "from": {"run": "mine"}, "changes": CHANGE}
OPERATIONS: dict[str, Callable[[Desk], Any]] = {
    "create": lambda desk: desk.write(create.create, NEW, Note()),
    "ensure": lambda desk: desk.write(create.ensure, NEW, Note()),
    "fork": lambda desk: desk.write(fork.fork, FORK, Note()),
    "rewind": lambda desk: desk.write(
        rewind.rewind, "mine", rewind.RewindRequest(0, changes=CHANGE)
    ),
    "revise": lambda desk: desk.write(revise.revise, "mine", revise.RevisionRequest(CHANGE)),
    "blend": lambda desk: desk.write(revise.revise, "mine", revise.RevisionRequest(BLEND)),
    "rehearse": lambda desk: asyncio.run(
        desk.store.read(revise.rehearse, "mine", revise.RevisionRequest(CHANGE), 10)
    ),
}
"""What parses definitions of a request."""

LATER: dict[str, Callable[[Desk], Any]] = {
    "settle": lambda desk: desk.settle(desk.mine, 1),
    "revise": lambda desk: desk.write(
        revise.revise, "mine", revise.RevisionRequest({"lr": {"edit": "scale", "factor": 0.5}})
    ),
    "cancel": lambda desk: desk.write(revise.cancel, "mine", 2, None, Note()),
    "rewind": lambda desk: desk.write(rewind.rewind, "mine", rewind.RewindRequest(1)),
    "fork": lambda desk: desk.write(fork.fork, {**FORK, "changes": None}, Note()),
    "finish": lambda desk: desk.write(close.finish, "mine", None, Note()),
    "ensure": lambda desk: desk.write(
        create.ensure, {"name": "mine", "parameters": {"lr": ONE}}, Note()
    ),
}
"""What reads stored definitions again, in a process that has not seen them."""


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start work in a thread; its result will be in the list."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


@pytest.mark.parametrize("name", OPERATIONS)
def test_nobody_waits_for_the_parsing_of_a_request(name: str, desk: Desk, parser: Parser) -> None:
    """P5, P13: while a request's definitions are read, another run's settling read is answered."""
    thread, results = in_background(lambda: OPERATIONS[name](desk))
    assert parser.entered.wait(30)
    assert desk.settle(desk.other, 1) == [1.0]
    assert results == []
    parser.go.set()
    thread.join(30)
    assert results
    assert not {each for each in parser.threads if "writer" in each}


@pytest.mark.parametrize("name", LATER)
def test_nobody_waits_for_the_parsing_of_what_is_stored(
    name: str, desk: Desk, parser: Parser
) -> None:
    """P5, P13: a run's stored definitions are not read while others wait, either."""
    parser.go.set()
    desk.write(revise.revise, "mine", revise.RevisionRequest(CHANGE, 1))
    desk.store.close()
    parser.hold()
    desk.open()
    desk.settle(desk.other, 1)
    thread, results = in_background(lambda: LATER[name](desk))
    assert parser.entered.wait(30)
    assert desk.settle(desk.other, 2) == [1.0]
    assert results == []
    parser.go.set()
    thread.join(30)
    assert results
    assert not {each for each in parser.threads if "writer" in each}


def test_what_was_parsed_is_parsed_anew_when_it_no_longer_holds(desk: Desk, parser: Parser) -> None:
    """P7: changes are read for the run that there is when they take effect, not for one before."""
    body = {"name": "again", "parameters": {"lr": ONE}}
    parts = [{"schedule": SLOW, "steps": "50%"}, {"schedule": ONE}]
    change = {"lr": {"kind": "sequence", "parts": parts, "clock": "run"}}
    desk.write(create.create, {**body, "total": 100}, Note())
    thread, results = in_background(
        lambda: desk.write(revise.revise, "again", revise.RevisionRequest(change))
    )
    assert parser.entered.wait(30)
    desk.write(close.delete, "again")
    desk.write(create.create, {**body, "total": 1000}, Note())
    parser.go.set()
    thread.join(30)
    (pending,) = results[0]["pending"]
    assert pending["changes"]["lr"][0]["parts"][0]["steps"] == 500


def test_large_operations_take_turns_with_the_others(desk: Desk) -> None:
    """P13: each large operation has a transaction of its own, and others come in between."""
    waits, go, order = threading.Event(), threading.Event(), list[str]()

    def hold(_records: Any) -> None:
        waits.set()
        assert go.wait(30)

    def note(name: str) -> Callable[[Any], None]:
        return lambda _records: order.append(name)

    submit = desk.store._writer.submit
    futures = [submit(hold)]
    assert waits.wait(30)

    def first(_records: Any) -> None:
        order.append("large 0")
        futures.append(submit(note("between")))

    futures += [submit(first, large=True)]
    futures += [submit(note(f"large {i}"), large=True) for i in (1, 2)]
    futures += [submit(note("small")), submit(note("small"))]
    go.set()
    for future in futures:
        future.result(30)
    assert order == ["large 0", "small", "small", "between", "large 1", "large 2"]


def test_references_are_looked_up_before_the_writer(desk: Desk, parser: Parser) -> None:
    """A schedule of the library is found by a run that names it, and nobody waits for that."""
    parser.go.set()
    five = parse({"kind": "constant", "value": 5})
    desk.write(schedules.put, "decay", five, None, lambda _: None)
    body = {"name": "new", "parameters": {"lr": {"kind": "schedule", "name": "decay"}}}
    run = str(desk.write(create.create, body, Note())["id"])
    assert desk.settle(run, 0) == [5.0]
    assert not {each for each in parser.threads if "writer" in each}

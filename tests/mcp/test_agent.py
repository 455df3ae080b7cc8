"""An agent behind its tools: what a script decides, what a model may invent, and what is undone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Thread
from typing import Any

import pytest
from tests.conftest import Guarded, Names
from tests.waiting import until

from rheostat import Client, revert
from rheostat.errors import LimitReached, Refused
from rheostat.mcp.agent import (
    MOST_CALLS,
    Agent,
    Call,
    Called,
    Message,
    ModelPolicy,
    ScriptedPolicy,
    Shown,
    ToolSchema,
)
from rheostat.mcp.tools import TOOLS, Tools

RATES = {"lr/a": 1.0, "lr/b": 0.25}
SPECIFICATION: dict[str, Any] = {
    "total": 200,
    "goal": {"metric": "loss", "direction": "min"},
}
LIMIT = "changes=2/day, gap=20, parameters=lr/*, edits=scale, ratio=2"
LOSSES = {10: 1.0, 20: 0.9, 30: 2.0, 40: 2.1, 50: 2.2, 60: 2.3, 70: 2.4}


class Connect:
    """Clients of the service that requires tokens, each with a token of its own."""

    def __init__(self, guarded: Guarded, stack: ExitStack, new_name: Names) -> None:
        self.guarded, self.new_name, self._stack = guarded, new_name, stack
        self.admin = self.known(guarded.secrets["admin"])

    def known(self, secret: str) -> Client:
        """Return a client with a token."""
        return self._stack.enter_context(Client(self.guarded.url, token=secret))

    def new(self, role: Any, limit: str | None = None) -> Client:
        """Return a client with a new token."""
        return self.known(self.admin.tokens.create(self.new_name(), role, limit=limit)["token"])


@pytest.fixture
def connect(guarded: Guarded, new_name: Names) -> Iterator[Connect]:
    """Return what makes clients with new tokens."""
    with ExitStack() as stack:
        yield Connect(guarded, stack, new_name)


class Training:
    """A run with one worker, who settles as far as it reports."""

    def __init__(self, connect: Connect, worker: Client) -> None:
        self.name = connect.new_name()
        parameters = {name: {"kind": "constant", "value": rate} for name, rate in RATES.items()}
        self.operator = connect.admin.control(self.name)
        connect.admin.create_run(self.name, parameters, **SPECIFICATION)
        self._worker = worker.run(self.name)
        self._step = 0

    def report(self, step: int, loss: float) -> None:
        """Train up to a step, and report a loss there."""
        self._worker.block(self._step, step - self._step)
        self._step = step
        self._worker.report(step, {"loss": loss}, wait=True)

    def used(self) -> dict[str, list[float]]:
        """Return the rates that were used at the reports so far."""
        served = self.operator.ledger()
        values = {name: [v for s in served for v in s["values"][name]] for name in RATES}
        return {name: column[9::10] for name, column in values.items()}


def came(called: Called) -> tuple[str, Any]:
    """Return what was called, and the step, the number or the refused field that came of it."""
    if isinstance(called.refusal, Refused):
        return called.call.tool, called.refusal.errors[0].field
    answer = called.answer or {}
    return called.call.tool, answer.get("effective", answer.get("proposal"))


def lived(training: Training, proposing: Client, changing: Client) -> dict[int, list[Any]]:
    """Have an agent look after a training whose loss rises; return its calls by report."""
    policy = ScriptedPolicy(rest=10)
    agent = Agent(Tools(proposing), training.name, policy)
    found = {}
    for step, loss in LOSSES.items():
        training.report(step, loss)
        found[step] = [came(called) for called in agent.look()]
        if step == 30:
            training.operator.accept(1)
            tools = Tools(changing, allow_changes=True)
            agent = Agent(tools, training.name, policy)
    training.operator.decline(2)
    training.operator.change({"lr/*": revert(1)}, message="it was the data")
    training.report(80, 1.0)
    return found


def told(training: Training) -> list[Any]:
    """Return the history of a training, without the times of the day."""
    keys = ("revision", "kind", "effective", "changes", "author", "message", "cause")
    return [[each[key] for key in keys] for each in training.operator.history()]  # type: ignore[literal-required]


def test_an_agent_proposes_changes_is_refused_and_is_undone(connect: Connect) -> None:
    """
    A script does to the run what its tokens let it, twice the same, and an operator takes it back.

    Two changes a day, 20 steps apart: it proposes at 30, changes at 40, is told at 50 that 60 is
    far enough, and is refused a third change at 70.
    """
    worker, proposing = connect.new("worker"), connect.new("proposer")
    changing = connect.new("operator", LIMIT)
    first, second = Training(connect, worker), Training(connect, worker)
    calls = lived(first, proposing, changing)
    assert calls == {
        10: [],
        20: [],
        30: [("propose_change", 1)],
        40: [("change", 40)],
        50: [("change", "effective"), ("change", 60)],
        60: [],
        70: [("change", "changes"), ("propose_change", 2)],
    }
    assert first.used() == {
        "lr/a": [1.0, 1.0, 1.0, 0.5, 0.25, 0.25, 0.125, 1.0],
        "lr/b": [0.25, 0.25, 0.25, 0.125, 0.0625, 0.0625, 0.03125, 0.25],
    }
    assert lived(second, proposing, changing) == calls
    assert told(second) == told(first)
    assert second.used() == first.used()


def shown(newest: Any, step: int = 100, **more: Any) -> Shown:
    """Return what a policy is shown of a run: its newest report, and where it is."""
    brief = {"newest": newest, "settled_until": step, "generation": 1, "proposals": 0}
    brief |= {"metric": "loss", "goal": {"metric": "loss", "direction": "min"}, **more}
    return Shown(brief, ("propose_change",), ())


@pytest.mark.parametrize(
    ("values", "direction", "acts"),
    [
        ((1.0, 1.2), "min", False),
        ((1.0, 1.21), "min", True),
        ((2.0, 1.0, 1.21), "min", True),
        ((1.0, "NaN"), "min", True),
        ((1.0, "Infinity"), "min", True),
        (("NaN", 5.0), "min", False),
        ((None, 5.0), "min", False),
        ((-1.0, -0.79), "min", True),
        ((0.9, 0.73), "max", False),
        ((0.9, 0.71), "max", True),
        ((0.5, 0.9), "max", False),
    ],
)
def test_a_script_acts_where_a_metric_is_a_fifth_worse(
    values: Sequence[Any], direction: str, *, acts: bool
) -> None:
    """It compares with the best value, in the direction of the goal; what is no number is worse."""
    policy = ScriptedPolicy()
    goal = {"metric": "loss", "direction": direction}
    *before, last = [policy.decide(shown(value, goal=goal)) for value in values]
    assert before == [None] * len(before)
    assert (last is not None) == acts


def test_a_script_rests_and_asks_one_thing_at_a_time() -> None:
    """After a call it lets 100 steps pass; an open proposal stands for its own; a rewind is new."""
    policy = ScriptedPolicy()
    assert policy.decide(shown(1.0)) is None
    call = decided(policy, shown(2.0))
    assert policy.decide(shown(2.0)._replace(called=[Called(call, {"proposal": 1})])) is None
    assert policy.decide(shown(2.0, step=199)) is None
    assert policy.decide(shown(2.0, step=200, proposals=1)) is None
    assert policy.decide(shown(2.0, step=200)) == call
    assert policy.decide(shown(2.0, step=200, generation=2)) is None


def test_a_script_proposes_what_it_may_not_change() -> None:
    """Refused by its limit, it proposes the same; told a step that is refused too, likewise."""
    policy = ScriptedPolicy()
    policy.decide(shown(1.0))
    may = shown(2.0)._replace(tools=("change", "propose_change"))
    call = decided(policy, may)
    near = refused("effective", from_step=150)
    again = decided(policy, may._replace(called=[Called(call, refusal=near)]))
    assert again == Call("change", {**call.arguments, "effective": 150})
    asked = policy.decide(may._replace(called=[Called(again, refusal=near)]))
    assert asked == Call("propose_change", call.arguments)
    spent = refused("changes", from_step=None)
    assert policy.decide(may._replace(called=[Called(call, refusal=spent)])) == asked


def decided(policy: ScriptedPolicy, shown: Shown) -> Call:
    """Return what a policy decides, which is a call."""
    call = policy.decide(shown)
    assert call is not None
    return call


def refused(field: str, **left: Any) -> LimitReached:
    """Return the refusal of a limit."""
    from rheostat.errors import FieldError

    return LimitReached("the token is limited", errors=[FieldError(field, "no")], left=left)


class Model:
    """What stands for a model: it makes the calls that it is given, and keeps what it was shown."""

    def __init__(self, *calls: Call) -> None:
        self._calls = iter(calls)
        self.messages: Sequence[Message] = []
        self.tools: dict[str, ToolSchema] = {}

    def __call__(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Call | None:
        """Return the next call."""
        self.messages, self.tools = messages, {tool["name"]: tool for tool in tools}
        return next(self._calls, None)


def looked(client: Client, run: str, *calls: Call, **allowed: bool) -> tuple[Model, list[Called]]:
    """Have a model make calls, and return it with what came of them."""
    model = Model(*calls)
    return model, [*Agent(Tools(client, **allowed), run, ModelPolicy(model)).look()]


def test_a_model_is_shown_the_run_and_what_came_of_its_calls(connect: Connect) -> None:
    """It reads the brief as data, and each answer and refusal before it decides again."""
    training = Training(connect, connect.new("worker"))
    training.report(10, 3.0)
    halve = {"changes": {"lr/*": {"edit": "scale", "factor": 0.5}}, "why": "it rises"}
    calls = (Call("explain", {"step": 5}), Call("propose_change", {**halve, "why": " "}))
    model, called = looked(
        connect.new("proposer"), training.name, *calls, Call("propose_change", halve)
    )
    told = [json.loads(message["content"]) for message in model.messages[1:]]
    assert [message["role"] for message in model.messages] == [
        *("system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool"),
    ]
    assert (told[0]["newest"], told[0]["goal"]["metric"]) == (3.0, "loss")
    assert told[1] == {"tool": "explain", "arguments": {"step": 5}}
    assert told[2]["parameters"]["lr/a"]["value"] == 1.0
    assert told[4]["type"] == "urn:rheostat:problem:invalid"
    assert told[6]["proposal"] == 1
    assert [each.refusal is None for each in called] == [True, False, True]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (Call("delete_everything"), "tool"),
        (Call("change", {"changes": {}, "why": "I may"}), "tool"),
        (Call("__init__", {"client": None}), "tool"),
        (Call("client"), "tool"),
        (Call("list_runs"), "tool"),
        (Call("explain", {}), "step"),
        (Call("explain", [3]), "arguments"),  # type: ignore[arg-type]
        (Call("explain", {"step": "soon"}), "step"),
        (Call("explain", {"step": 3, "steps": 4}), "steps"),
        (Call("explain", {"step": 3, "run": "another"}), "run"),
        (Call("history", {"last": 10**9}), "last"),
    ],
    ids=str,
)
def test_what_a_model_invents_is_refused_and_told(connect: Connect, call: Call, field: str) -> None:
    """A tool that there is not, another run, or arguments that do not fit are no failure."""
    training = Training(connect, connect.new("worker"))
    _, (called,) = looked(connect.new("operator", LIMIT), training.name, call)
    assert isinstance(called.refusal, Refused)
    assert [error.field for error in called.refusal.errors] == [field]
    assert len(training.operator.history()) == 1


def test_a_model_that_comes_to_no_end_is_stopped(connect: Connect) -> None:
    """One look has so many calls at most."""
    training = Training(connect, connect.new("worker"))
    calls = [Call("explain", {"step": 1})] * (2 * MOST_CALLS)
    _, called = looked(connect.new("viewer"), training.name, *calls)
    assert len(called) == MOST_CALLS


def test_every_tool_of_the_agent_has_a_schema_without_the_run(connect: Connect) -> None:
    """Whoever may do everything has all tools but those that the agent sees to itself."""
    training = Training(connect, connect.new("worker"))
    model, _ = looked(connect.new("operator"), training.name, allow_changes=True)
    assert model.tools.keys() == TOOLS.keys() - {"list_runs", "brief", "wait"}
    for tool in model.tools.values():
        schema: Mapping[str, Any] = tool["input_schema"]
        assert tool["description"]
        assert "run" not in schema["properties"].keys() | set(schema.get("required", ()))
    assert model.tools["change"]["input_schema"]["required"] == ["changes", "why"]


class Seeing:
    """A policy that only looks."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def decide(self, shown: Shown) -> Call | None:
        """Keep the newest value."""
        self.values.append(shown.brief["newest"])
        return None


def test_an_agent_follows_a_run_to_its_end(connect: Connect) -> None:
    """It looks after each report, and comes back when the run is finished."""
    training = Training(connect, connect.new("worker"))
    policy = Seeing()
    seen = policy.values
    agent = Agent(Tools(connect.new("viewer")), training.name, policy)
    following = Thread(target=agent.follow, daemon=True)
    following.start()
    until(lambda: seen)
    for step, loss in LOSSES.items():
        training.report(step, loss)
        until(partial(seen.count, loss))
    training.operator.finish()
    following.join(timeout=60)
    assert not following.is_alive()
    assert [*dict.fromkeys(seen)] == [None, *LOSSES.values()]

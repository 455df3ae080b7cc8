"""A user's program, which is checked and never run: each call says what it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from torch.optim import Optimizer

from rheostat import AsyncClient, AsyncRun, Client, Revision, Run, Signal, hold, ramp, scale, wire
from rheostat.client import Control
from rheostat.torch import RheostatLR

COSINE = {"kind": "cosine", "start": 1e-3, "end": 0.0, "steps": 1000}


def train(optimizer: Optimizer) -> float:
    """Read as a worker does, by hand and through the adapter."""
    with Client("http://rheostat:8000", lookahead=2.0, pace=1000.0) as client:
        run = client.run("gpt-7b", create={"parameters": {"lr": COSINE}}, start=5)
        assert_type(run, Run)
        assert_type(run.value("lr", 5), float)
        assert_type(run.values(5), dict[str, float])
        assert_type(run.block(5, 8)["lr"][0], float)
        assert_type(run.at(5).values, dict[str, float])
        assert_type(run.at(5).revision, int | None)
        run.on_change = lambda revision: assert_type(revision, Revision)
        assert_type(run.parameters, tuple[str, ...])
        scheduler = RheostatLR(optimizer, run, fields={"lr": "lr"}, at_end="flag")
        scheduler.step(update=6)
        assert_type(scheduler.ended, bool)
        assert_type(scheduler.fields, list[dict[str, str]])
        return run.value("lr", 6)


def operate(client: Client) -> None:
    """Look at a run, and change it."""
    run = client.control("gpt-7b")
    assert_type(run, Control)
    state = run.show()
    assert_type(state, wire.RunState)
    assert_type(state["settled_until"], int)
    assert_type(state["end"], int | None)
    assert_type(state["pending"][0]["effective"], int)
    assert_type(run.change({"lr": [hold(10), ramp(0, steps=100)]}), wire.Revised)
    assert_type(run.change({"lr": scale(0.5)}, dry_run=True), wire.Rehearsal)
    assert_type(run.change({"lr": scale(0.5)}, dry_run=bool(state)), wire.Revised | wire.Rehearsal)
    assert_type(run.extend_total(2000), wire.TotalRevised)
    assert_type(run.extend_total(2000, dry_run=True)["after"], dict[str, list[float]])
    assert_type(run.history(), list[wire.Revision])
    assert_type(run.revision(2), wire.ShownRevision)
    assert_type(run.cancel(2), wire.Cancelled)
    assert_type(run.undo()["undone"], int)
    assert_type(run.checkpoints(tag="last"), list[wire.Checkpoint])
    assert_type(run.rewind(100), wire.Rewound)
    assert_type(run.rewind(100, dry_run=True), wire.RewindRehearsal)
    assert_type(run.advance(200), wire.Advanced)
    assert_type(run.fork("gpt-7b-b"), wire.Forked)
    assert_type(run.fork("gpt-7b-b", dry_run=True), wire.ForkRehearsal)
    assert_type(run.plan(points=100), wire.Plan)
    assert_type(run.explain(5)["parameters"]["lr"]["author"], str | None)
    assert_type(run.preview(5, 2)["final"], list[bool])
    assert_type(run.value_at("lr", 5), float)
    assert_type(run.values_at(5), dict[str, float])
    assert_type(run.ledger(), list[wire.Segment])
    assert_type(run.finish(), wire.RunState)


def steer(run: Control) -> None:
    """Stop, hold and signal a training."""
    assert_type(run.stop(signal="checkpoint")["effective"], int)
    assert_type(run.pause(effective=100), wire.Halted)
    assert_type(run.resume(200), wire.Resumed)
    assert_type(run.signal("checkpoint", tag="a"), wire.Signalled)
    assert_type(run.surface(), wire.Surface)


def listen(run: Run) -> None:
    """Train as the run says."""
    for step in run.steps(0, 100):
        assert_type(step, int)
        for signal in run.signals(step):
            assert_type(signal, Signal)
            run.outcome(signal, "done", step=step)
        run.report(step + 1, {"loss": 1.0})
    assert_type(run.ends_at, int | None)
    assert_type(run.flush(), bool)


def follow(run: Control) -> int:
    """Tell events apart by their kind."""
    assert_type(run.events(), Iterator[wire.Event])
    for event in run.events():
        if event["kind"] == "rewound":
            return event["ended"]
    return 0


def look_around(client: Client) -> None:
    """Ask for what the service has besides runs."""
    created = client.create_run("b", {"lr": COSINE}, axis="samples", labels={"team": "a"})
    assert_type(created, wire.RunState)
    assert_type(client.runs(selector="team=a"), list[wire.RunSummary])
    assert_type(client.evaluate(COSINE, 3)["value"], float)
    assert_type(client.evaluate(COSINE, range(10))["values"], list[float])
    assert_type(client.kinds(), list[wire.Kind])
    assert_type(client.kind("cosine")["formula"], str)
    assert_type(client.schedules.list(), list[wire.ScheduleVersion])
    assert_type(client.schedules.get("s"), wire.Schedule)
    assert_type(client.schedules.put("s", COSINE), wire.Schedule)
    assert_type(client.schedules.values("s"), wire.ScheduleCurve)
    assert_type(client.schedules.value("s", 3), wire.ScheduleStep)
    assert_type(client.tokens.list(), list[wire.Token])
    assert_type(client.hooks.list(), list[wire.Hook])
    assert_type(client.hooks.deliveries("a"), list[wire.Delivery])
    assert_type(client.tokens.create("ann", "viewer")["token"], str)


async def wait(client: AsyncClient) -> None:
    """Do the same with await."""
    run = await client.run("gpt-7b")
    assert_type(run, AsyncRun)
    assert_type(await run.value("lr", 5), float)
    assert_type(await run.show(), wire.RunState)
    assert_type(await run.change({"lr": scale(0.5)}, dry_run=True), wire.Rehearsal)
    assert_type(run.events(), AsyncIterator[wire.Event])
    async for step in run.steps(0, 100):
        assert_type(await run.signals(step), tuple[Signal, ...])
    assert_type(await client.evaluate(COSINE, 3), wire.EvaluatedStep)
    assert_type(await client.schedules.list(), list[wire.ScheduleVersion])

"""
`rheostat demo --page`: a server with runs to look at, one of which is about to need somebody.

What trains is simulated, in one process that sleeps most of the time; but each rank is a client of
its own, which reads, beats, reports and obeys as any training does. The loss of the largest run
knows its learning rate: at some step it becomes too high for the data, and the loss rises until
somebody lowers it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from rheostat.errors import Finished, RheostatError, StaleGeneration, Stopped, UnknownRun

if TYPE_CHECKING:
    from rheostat import AsyncClient, AsyncRun, Client

PACE = 5.0
"""Steps in a second."""
TOTAL, BEGUN, HARD = 6_000, 1_800, 1_900
"""Of the largest run: its length, where it is when one begins to look, and where it gets hard."""
SAVED_EVERY, REPORTED_EVERY, VALIDATED_EVERY = 250, 5, 25
"""Steps from one checkpoint, one loss and one validation loss to the next."""
AWAY = 3.0
"""Seconds until a training that has ended, or was refused, looks whether it can go on."""

GPT, DECAY, STUCK, DONE = "gpt-16", "gpt-16-decay", "vit-large", "resnet-50"
RATE = {
    "kind": "warmup",
    "steps": 200,
    "then": {"kind": "cosine", "start": 6e-4, "end": 6e-5, "steps": TOTAL - 200},
}
SPECIFICATION: dict[str, Any] = {
    "total": TOTAL,
    "labels": {"team": "nlp", "stage": "pretrain"},
    "about": "A simulated training of 16 ranks. From step 1,900 on its learning rate is too high.",
    "describe": {
        "lr": {"text": "peak rate of AdamW", "takes_effect": "step"},
        "weight_decay": {"text": "decoupled"},
    },
    "signals": {
        "checkpoint": {
            "text": "save all ranks",
            "arguments": {"tag": {"type": "string", "text": "what to call it"}},
        }
    },
    "goal": {"metric": "val_loss", "direction": "min", "target": 2.1},
}


@dataclass(frozen=True)
class Loss:
    """
    The loss of a simulated training, which follows from its steps and its learning rates alone.

    ``excess`` is how far it is above what it would be. From step ``hard`` on it grows where the
    rate is above ``critical``, and shrinks where it is below.
    """

    seed: str
    excess: float = 0.02
    hard: float = math.inf
    critical: float = math.inf

    def after(self, step: int, rate: float) -> Loss:
        """Return what becomes of it by an update."""
        if step < self.hard:
            return self
        growth = 0.35 * max(min(rate / self.critical - 1, 0.5), -0.6)
        return replace(self, excess=min(max(self.excess * math.exp(growth), 0.02), 3.0))

    def at(self, step: int, noise: float = 0.03) -> float:
        """Return what is measured of it: with noise, which is the same for the same step."""
        drawn = Random(f"{self.seed} {noise} {step}").gauss(0, noise)
        smooth = 2.0 + 5.0 / math.sqrt(1 + step / 30)
        return smooth + (self.excess - 0.02) * (1 + 5 * drawn) + drawn

    def validated(self, step: int) -> float:
        """Return the same on other data: a little higher, and with less noise."""
        return self.at(step, noise=0.004) + 0.05


def uri_of(name: str, step: int) -> str:
    """Return where the checkpoint of a step would be."""
    return f"s3://demo/{name}/step-{step}"


GPT_LOSS = Loss("gpt", hard=HARD, critical=3.2e-4)


@dataclass
class Saved:
    """A checkpoint: in which generation it was written, and how the training was."""

    generation: int
    loss: Loss


@dataclass
class Training:
    """Ranks that train one run together, and go on as a scheduler of jobs lets them."""

    url: str
    name: str
    ranks: int
    pace: float
    loss: Loss
    step: int
    say: Callable[[str], None]
    saved: dict[int, Saved] = field(default_factory=dict)

    async def go_on(self) -> None:
        """Train until nobody wants it any more; after an end or a rewind, as soon as one can."""
        from rheostat import AsyncClient

        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    AsyncClient(self.url, worker=str(rank), pace=self.pace, author="trainer")
                )
                for rank in range(self.ranks)
            ]
            for attempt in count(1):
                try:
                    await self._attempt(clients, f"{self.name}-{attempt}")
                except UnknownRun:
                    self.say(f"{self.name} was deleted")
                    return
                except (Finished, Stopped, StaleGeneration) as refusal:
                    self.say(f"{self.name} ends at step {self.step:,}: {refusal.code}")
                except RheostatError as error:
                    self.say(f"{self.name}: {error}")
                await self._may_go_on(clients[0])

    async def _may_go_on(self, client: AsyncClient) -> None:
        """Wait until the run is one that can be trained, and go back to what can be resumed."""
        control = client.control(self.name)
        while True:
            await asyncio.sleep(AWAY)
            shown = await control.show()
            if shown["state"] in {"live", "paused", "stuck"}:
                break
        here = shown["generations"][-1]
        if here["generation"] != max(each.generation for each in self.saved.values()):
            branch = here["from"]
            self.saved = {at: each for at, each in self.saved.items() if at <= branch}
            self.step = max(self.saved)
            self.loss = self.saved[self.step].loss
            self.say(f"{self.name} resumes at step {self.step:,}, generation {here['generation']}")

    async def _attempt(self, clients: Sequence[AsyncClient], job: str) -> None:
        """Train from a checkpoint on, until the run refuses the next step."""
        at = max(step for step in self.saved if step <= self.step)
        shown = await clients[0].control(self.name).show()
        generation = self.saved[at].generation
        checkpoint = {"id": shown["id"], "generation": generation, "step": at}
        runs = [await client.run(self.name, checkpoint=checkpoint) for client in clients]
        for run in runs:
            run.job = job
        saving: set[asyncio.Task[None]] = set()
        due = asyncio.get_running_loop().time()
        for step in count(self.step):
            values = await asyncio.gather(*(run.values(step) for run in runs))
            for word in (await asyncio.gather(*(run.signals(step) for run in runs)))[0]:
                for rank, run in enumerate(runs):
                    task = asyncio.create_task(self._obey(run, rank, word, step))
                    saving.add(task)
                    task.add_done_callback(saving.discard)
            for run in runs:
                run.applied(step)
            self.loss = self.loss.after(step, values[0]["lr"])
            self.step = step + 1
            await self._tell(runs[0])
            due = max(due + 1 / self.pace, asyncio.get_running_loop().time() - 1)
            await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0))

    async def _tell(self, run: AsyncRun) -> None:
        """Report what is measured now and then, and save now and then, as rank 0 does."""
        step = self.step
        metrics = {}
        if step % REPORTED_EVERY == 0:
            metrics["loss"] = self.loss.at(step)
        if step % VALIDATED_EVERY == 0:
            metrics["val_loss"] = self.loss.validated(step)
        if metrics:
            await run.report(step, metrics)
        if step % SAVED_EVERY == 0:
            self.saved[step] = Saved(run.generation, self.loss)
            await run.saved(step, tag=f"step-{step}", uri=uri_of(self.name, step))

    async def _obey(self, run: AsyncRun, rank: int, word: Any, step: int) -> None:
        """Save, which takes each rank its time, and say so."""
        await asyncio.sleep(1 + 2 * Random(f"{rank} {step}").random())
        if rank == 0:
            self.saved[step] = Saved(run.generation, self.loss)
            tag = dict(word.arguments).get("tag") or f"step-{step}"
            await run.saved(step, tag=tag, uri=uri_of(self.name, step))
        await run.outcome(word, "done", step=step, source=f"rank-{rank}")


class Stage:
    """The runs of the demo, as somebody finds them who comes in the middle."""

    def __init__(self, url: str, ranks: int, say: Callable[[str], None]) -> None:
        self.url, self.ranks, self.say = url, ranks, say

    def set(self) -> list[Training]:
        """Make all runs with their past, and return the trainings that go on."""
        from rheostat import Client, ramp, scale

        with (
            Client(self.url, author="trainer", beats=False) as trainer,
            Client(self.url, author="ann") as ann,
            Client(self.url, author="ben") as ben,
        ):
            ann.schedules.put("warmup-cosine", RATE)
            self._finished(trainer, ann)
            self._stuck(trainer)
            parameters: dict[str, Any] = {"lr": RATE, "weight_decay": 0.1}
            trainer.create_run(GPT, parameters, **SPECIFICATION)
            past = Past(trainer, GPT, GPT_LOSS)
            past.train(600)
            control = ann.control(GPT)
            control.change({"weight_decay": scale(0.8)}, message="as in the run before this one")
            past.train(1_200)
            control.change({"lr": scale(0.9)}, message="val_loss flattens early")
            past.train(BEGUN)
            change = {"lr": ramp(0, steps=1_000, shape="1-sqrt")}
            ben.control(GPT).change(change, effective=5_000, message="cool down")
            self._watch(ann)
            fork = ben.control(GPT).fork(
                DECAY,
                step=1_500,
                changes={"lr": ramp(0, steps=900, shape="1-sqrt")},
                message="what would it be worth by now?",
                labels={"team": "nlp", "stage": "decay"},
            )
        saved = {at: each for at, each in past.saved.items() if at <= fork["settled_until"]}
        return [
            Training(self.url, GPT, self.ranks, PACE, GPT_LOSS, BEGUN, self.say, past.saved),
            Training(
                *(self.url, DECAY, min(self.ranks, 4), 3.0, Loss("gpt"), 1_500, self.say), saved
            ),
        ]

    def _watch(self, client: Client) -> None:
        """Arm a plateau that asks before it lowers the rate."""
        from rheostat import plateau

        controller = plateau(metric="val_loss", factor=0.5, patience=10, action="propose")
        client.control(GPT).arm("plateau", controller)

    def _stuck(self, client: Client) -> None:
        """Make a run whose workers have said something once, and then no more."""
        import httpx

        rate = {"kind": "wsd", "peak": 1e-3, "warmup": 500, "stable": 7_000, "decay": 2_500}
        labels = {"team": "vision", "stage": "pretrain"}
        made = client.create_run(STUCK, {"lr": rate}, total=10_000, labels=labels)
        past = Past(client, STUCK, Loss("vit"))
        past.train(2_400)
        said = [
            {"worker": str(rank), "host": f"node-{rank // 4}", "session": "a", "job": "vit-1"}
            | {"step": 2_400 - 1, "pace": 4.0}
            for rank in range(8)
        ]
        body = {"generation": 1, "workers": said}
        httpx.post(f"{self.url}/v1/runs/{made['id']}/beats", json=body).raise_for_status()

    def _finished(self, client: Client, operator: Client) -> None:
        from rheostat import scale

        rate = {"kind": "step", "start": 0.1, "every": 600, "factor": 0.1}
        labels = {"team": "vision", "stage": "baseline"}
        client.create_run(DONE, {"lr": rate, "momentum": 0.9}, total=1_800, labels=labels)
        past = Past(client, DONE, Loss("resnet"))
        past.train(900)
        control = operator.control(DONE)
        control.change({"lr": scale(2)}, message="the second stage can take more")
        past.train(1_800)
        control.finish(message="76.1 % top-1")


class Past:
    """What a run did before anybody looked: read and reported at once, without a pause."""

    def __init__(self, client: Client, name: str, loss: Loss) -> None:
        self.run, self.loss, self.step = client.run(name), loss, 0
        self.saved = {0: Saved(1, loss)}

    def train(self, until: int) -> None:
        """Settle all steps below one, and report what was measured."""
        for start in range(self.step, until, 64):
            self.run.block(start, min(64, until - start))
        for step in range(self.step + 1, until + 1):
            if step % VALIDATED_EVERY == 0:
                metrics = {"val_loss": self.loss.validated(step)}
                self.run.report(step, {**metrics, "loss": self.loss.at(step)})
            if step % SAVED_EVERY == 0:
                self.saved[step] = Saved(1, self.loss)
                self.run.saved(step, tag=f"step-{step}", uri=uri_of(self.run.name, step))
        self.step = until
        self.run.flush()


async def perform(trainings: Sequence[Training], seconds: float | None) -> None:
    """Train for some seconds, or until somebody ends it."""
    tasks = [asyncio.create_task(training.go_on()) for training in trainings]
    try:
        await asyncio.wait_for(asyncio.gather(*tasks), seconds)
    except TimeoutError:
        return

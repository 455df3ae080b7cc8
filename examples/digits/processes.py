"""The ranks and the operator, each in a process of its own."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from typing import Any

from torch.multiprocessing import start_processes

from digits.plan import RANKS, Plan

Progress = Sequence[int]
"""How many steps each rank has done, in shared memory."""


class Training:
    """Starts ``train(rank, plan, progress)`` on all ranks, and, if any, ``operate`` beside them."""

    def __init__(
        self,
        plan: Plan,
        train: Callable[[int, Plan, Any], None],
        operate: Callable[[Plan, Progress], None] | None = None,
    ) -> None:
        self.plan = plan
        context = get_context("forkserver")
        context.set_forkserver_preload(["torch", "sklearn.datasets"])  # imports them once for all
        self.progress = context.Array("q", RANKS, lock=False)
        arguments = (plan, self.progress)
        print(f"{RANKS} ranks, {plan.steps} steps, values from {plan.address}", flush=True)
        self.ranks = start_processes(
            train, arguments, RANKS, join=False, daemon=True, start_method="forkserver"
        )
        self.operator = None
        if operate is not None:
            self.operator = context.Process(target=operate, args=arguments, daemon=True)
            self.operator.start()

    def reach(self, step: int) -> None:
        """Wait until every rank has done so many steps; raise if one of them fails."""
        while min(self.progress) < step:
            self.ranks.join(timeout=0.01)

    def records(self) -> list[Any]:
        """Wait for the end, and return what each rank left in its file."""
        while not self.ranks.join():
            pass
        if self.operator is not None:
            self.operator.join()
        files = [self.plan.record_of(rank) for rank in range(RANKS)]
        return [pickle.loads(file.read_bytes()) for file in files]  # noqa: S301 - our own


def reach(step: int, progress: Progress) -> None:
    """Look every now and then, as people do, until every rank has done so many steps."""
    while min(progress) < step:
        time.sleep(0.1)


def say(progress: Progress, what: str) -> None:
    """Print what happens, and at which step."""
    print(f"step {min(progress):5}   {what}", flush=True)

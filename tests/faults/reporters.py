"""Those who report metrics: in order and late, once and again, the same bits and others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.faults import plan
from tests.faults.caller import Caller
from tests.faults.observations import Point
from tests.faults.threads import Stop

BATCH = 10
"""Steps that are reported at most in one request."""
BACK = 8
"""Steps, of those that are reported, that a reporter who restarts reports again at most."""
REMEMBERED = 200


class Reporter:
    """
    Reports what is measured of a run wherever it has got to, as workers and evaluators do.

    What it sends first for a step comes in rising order, one request after the other, but for some
    steps that it leaves out and sends later. At times two send the same steps at once.
    """

    def __init__(self, callers: tuple[Caller, Caller], run: str, pause: float) -> None:
        self._callers = callers
        self._run = run
        self._pause = pause
        self._chance = callers[0].chance
        self._generation = self._step = 0
        self._sent: list[tuple[int, int]] = []
        """Generations and steps."""
        self._left_out: list[tuple[int, int]] = []

    def work(self, stop: Stop) -> None:
        """Report until told to stop."""
        with ThreadPoolExecutor(2) as pool:
            while not stop():
                drawn = self._chance.random()
                if drawn < 0.1 and self._sent:
                    generation, step = self._chance.choice(self._sent[-REMEMBERED:])
                    self._again(generation, [step])
                elif drawn < 0.2 and self._left_out:
                    generation, step = self._left_out.pop(0)
                    self._report(generation, [step])
                else:
                    self._go_on(pool)
                time.sleep(self._chance.uniform(0.0, 2 * self._pause))

    def _go_on(self, pool: ThreadPoolExecutor) -> None:
        """Report the next steps that are settled, if there are any."""
        state = self._callers[0].state(self._run)
        if state["generation"] != self._generation:
            self._generation = state["generation"]
            start = state["generations"][-1]["from"]
            back = self._chance.randint(0, BACK) * plan.EVERY
            self._step = max(start - start % plan.EVERY - back, -plan.EVERY)
        first = self._step + plan.EVERY
        steps = list(range(first, state["settled_until"] + 1, plan.EVERY))
        steps = steps[: self._chance.randint(3, BATCH)]
        if not steps:
            return
        self._step = steps[-1]
        if self._chance.random() < 0.15:
            late = steps.pop(self._chance.randrange(len(steps)))
            self._left_out.append((self._generation, late))
        if self._chance.random() < 0.1:
            both = (self._report, self._again)
            for each in [pool.submit(one, self._generation, steps) for one in both]:
                each.result()
        else:
            self._report(self._generation, steps)

    def _report(self, generation: int, steps: Sequence[int]) -> None:
        """Report steps as they are measured."""
        self._sent += [(generation, step) for step in steps]
        for source, metrics in self._shares():
            self._send(self._callers[0], generation, steps, source, metrics, 0.0)

    def _again(self, generation: int, steps: Sequence[int]) -> None:
        """Report steps once more, at times otherwise: a training that restarts measures anew."""
        caller = self._callers[1]
        off = caller.chance.choice([0.0, 0.25])
        for source, metrics in self._shares():
            self._send(caller, generation, steps, source, metrics, off)

    def _shares(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return who measures which metrics."""
        paired = [(source, (plan.PAIRED,)) for source in plan.SOURCES]
        if self._chance.random() < 0.5:
            paired.reverse()
        if self._chance.random() < 0.05:
            paired.pop()
        return [("main", (*plan.WATCHED, *plan.OTHERS)), *paired]

    def _send(
        self,
        caller: Caller,
        generation: int,
        steps: Sequence[int],
        source: str,
        metrics: Sequence[str],
        off: float,
    ) -> None:
        points: list[Point] = [
            (step, metric, plan.measured(generation, step, metric, source) + off)
            for step in steps
            for metric in metrics
        ]
        while True:
            answer = caller.report(self._run, generation, source, points).answer
            if answer is None or not answer["again"]:
                return

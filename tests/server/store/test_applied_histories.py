"""Random trainings, with rewinds and forks: right windows are proven, wrong ones are named."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.store.test_applied import bits, judged, window

from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import fork
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

COSINE = {"kind": "cosine", "start": 0.3, "end": 0.001, "steps": 4000}
PARAMETERS = {"lr": COSINE, "wd": {"kind": "constant", "value": 0.1}}


def float32(value: float) -> float:
    """Return the float32 nearest to a value."""
    (nearest,) = struct.unpack("<f", struct.pack("<f", value))
    return float(nearest)


class Training:
    """A run and all that it was served, by generation and cell."""

    def __init__(self, desk: Desk, draw: random.Random, run: str, served: Any = None) -> None:
        self.desk, self.draw, self.run = desk, draw, run
        self.served: dict[int, dict[int, list[float]]] = {1: served or {}}
        self.settled = max(self.served[1], default=-1) + 1

    @property
    def generation(self) -> int:
        """The current one."""
        return max(self.served)

    def go_on(self) -> None:
        """Settle a block, which may leave a gap before it or begin in what is settled."""
        count = self.draw.choice([1, 7, 64, 700])
        start = max(self.settled + self.draw.choice([0, 0, 0, 5, 100, -40]), 0)
        columns = self.desk.settle(self.run, start, count, self.generation)
        served = self.served[self.generation]
        served |= {start + i: [lr, wd] for i, (lr, wd) in enumerate(zip(*columns, strict=True))}
        self.settled = max(self.settled, start + count)

    def go_back(self) -> None:
        """Rewind to a step, with a change."""
        to = self.draw.randint(0, self.settled)
        changes = {"lr": {"edit": "scale", "factor": self.draw.choice([0.5, 0.7])}}
        self.desk.write(rewind, self.run, RewindRequest(to=to, changes=changes))
        past = self.served[self.generation]
        self.served[self.generation + 1] = {s: v for s, v in past.items() if s < to}
        self.settled = to

    def fork(self) -> Training:
        """Return a fork of the run."""
        step = self.draw.randint(0, self.settled)
        changes = {"lr": {"edit": "scale", "factor": 0.9}}
        body = {"name": "fork", "from": {"run": self.run, "step": step}, "changes": changes}
        made = self.desk.write(fork.fork, body, Note("ann"))
        past = {s: v for s, v in self.served[self.generation].items() if s < step}
        training = Training(self.desk, self.draw, str(made["id"]), past)
        training.settled = step
        return training

    def prove(self) -> None:
        """List what was applied as it was served, and then with one value overwritten."""
        generation = self.draw.choice([*self.served])
        known = sorted(self.served[generation])
        if not known:
            return
        steps = self.applied(known)
        values = [self.served[generation][step] for step in steps]
        names = self.draw.choice([("lr",), ("wd",), ("lr", "wd"), ("lr32", "wd"), ("lr32", "wd32")])
        columns: dict[str, Any] = {
            name: [float32(row[name > "m"]) if "32" in name else row[name > "m"] for row in values]
            for name in names
        }
        cells = stretches(steps)
        right = judged(self.desk, self.run, window(cells, **columns), generation=generation)
        assert (right.until, right.doubt, right.found) == (steps[-1] + 1, None, [])
        name, place = self.draw.choice(names), self.draw.randrange(len(steps))
        expected = columns[name][place]
        columns[name][place:] = (len(steps) - place) * [2.0]
        wrong = judged(self.desk, self.run, window(cells, **columns), generation=generation)
        assert (wrong.until, wrong.compare) == (None, [steps[0]])
        told = window(cells, values=True, **columns)
        (found,) = judged(self.desk, self.run, told, generation=generation).found
        assert (found.step, found.parameter) == (steps[place], name.removesuffix("32"))
        assert (found.expected, found.found) == (bits(expected), bits(2.0))

    def applied(self, known: list[int]) -> list[int]:
        """Return some of the cells that are known: a part, of which some updates were skipped."""
        first = self.draw.randrange(len(known))
        part = known[first : first + self.draw.choice([1, 20, 300])]
        stride = self.draw.choice([1, 1, 3])
        skipped = {self.draw.choice(part) for _ in range(self.draw.randint(0, 6))} - {part[0]}
        return [step for step in part[::stride] if step not in skipped]


def stretches(steps: list[int]) -> list[tuple[int, int, int]]:
    """Return rising steps as stretches: each as long as the steps have one distance."""
    found: list[tuple[int, int, int]] = []
    for step in steps:
        if found:
            start, count, stride = found[-1]
            if count == 1 or step == start + count * stride:
                found[-1] = start, count + 1, step - start if count == 1 else stride
                continue
        found.append((step, 1, 1))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_window_of_what_was_served_is_wrong_and_no_other_is_right(desk: Desk, seed: int) -> None:
    """P12: whatever was skipped, leapt over, rewound or forked, and whatever the slots hold."""
    draw = random.Random(seed)
    training = Training(desk, draw, desk.create(parameters=PARAMETERS, guards={}))
    trainings = [training]
    for _ in range(24):
        training = draw.choice(trainings)
        training.go_on()
        if draw.random() < 0.2:
            training.go_back()
        if draw.random() < 0.1 and len(trainings) == 1:
            trainings.append(training.fork())
        for each in trainings:
            each.prove()

"""Armed controllers of a run, what they remember, and what one report comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from rheostat.controllers import Controller, State, value_of_bits

KEPT_EACH: Final = 64
"""Reports after which a state is kept with one, so that a rewind folds no more than those."""

KEPT_NEXT: Final = KEPT_EACH - 1
"""How many are without one where the next report is to keep it: folding would give another."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a controller remembered after the report at a step; None: before any."""

    step: int | None
    state: State
    decisions: int = 0
    value: float | None = None
    """What the report said, where that is to be shown."""


@dataclass(frozen=True)
class Armed:
    """
    A controller as it is armed on a run.

    ``since`` is the revision that armed it as it is, ``epoch`` the one with which its state began:
    the same, unless it was reset. ``base`` is what its state began with, and ``armed_at`` the
    settled end when it was armed.
    """

    name: str
    controller: Controller
    changes: str | None
    """Of a guard or a rule: the JSON of what it changes, read against the run."""
    since: int
    epoch: int
    armed_at: int
    base: tuple[Checkpoint, ...]
    removed: int | None = None
    off_gate: int | None = None

    @property
    def metric(self) -> str:
        """The metric that it reads."""
        return self.controller.metric

    def base_at(self, step: int) -> Checkpoint:
        """
        Return the last of its beginnings at or below a step.

        A fork's lies where the fork begins: below that it knows nothing, rather than what was
        measured later.
        """
        below = [each for each in self.base if each.step is None or each.step <= step]
        return below[-1] if below else Checkpoint(None, self.controller.initial())

    @property
    def replays(self) -> bool:
        """Whether its state began with the reports of the line."""
        return len(self.base) > 1


@dataclass(frozen=True)
class Head:
    """What an armed controller remembers in a generation, after what it has consumed there."""

    step: int | None
    """The newest step that it has consumed on the line, whatever its configuration was."""
    state: State
    value: float | None = None
    decisions: int = 0
    """How many of its decisions count against its limit."""
    unkept: int = 0
    """How many reports it has consumed since a state was last kept with one."""
    warned: bool = False

    def takes(self, step: int) -> bool:
        """Whether a report at a step is newer than what it has consumed."""
        return self.step is None or step > self.step


@dataclass(frozen=True)
class Made:
    """What a report came to, once a controller fired and was heard."""

    decision: str
    effective: int | None = None
    revision: int | None = None
    proposal: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    """Why; of a blocked one, with the problem."""


@dataclass(frozen=True)
class Consumed:
    """A report as a controller has consumed it, and what came of it."""

    controller: str
    generation: int
    step: int
    epoch: int
    value: float
    made: Made | None = None
    event: int | None = None
    at: str | None = None
    state: State | None = None
    """What it remembered after that, if that was kept."""


def is_used_up(armed: Armed, head: Head) -> bool:
    """Whether a controller has made all the decisions that it may make on one line."""
    most = armed.controller.most
    return most is not None and head.decisions >= most


def after(head: Head, step: int, value: float, state: State, *, made: bool, fired: bool) -> Head:
    """Return the head after a report; a state that a fold alone would not give is kept."""
    kept = fired or head.unkept + 1 >= KEPT_EACH
    return replace(
        head,
        step=step,
        value=value,
        state=state,
        decisions=head.decisions + made,
        unkept=0 if kept else head.unkept + 1,
    )


def relieved(armed: Armed, head: Head) -> Head:
    """
    Return the head of a controller of which a decision was lifted: it counts anew, its best stays.

    A fold of its reports alone would not give that, so the next report keeps the state.
    """
    return replace(head, state=armed.controller.reset(head.state), unkept=KEPT_NEXT)


def fold(controller: Controller, state: State, reports: Iterable[tuple[int, float]]) -> State:
    """Return a state after further reports, of which nothing is made."""
    for step, value in reports:
        found = controller.step(state, step, value)
        state = controller.fired(found.state, made=False) if found.fires else found.state
    return state


REPLAYED_EACH: Final = 5_000
"""Reports of a replay after which a state is kept, so that a rewind folds no more again."""

MOST_BASES: Final = 32
"""States that are kept of a replay; of a longer one every second is let go."""


def replayed(
    controller: Controller, base: Checkpoint, reports: list[tuple[int, float]]
) -> tuple[Checkpoint, ...]:
    """Return states along a series of reports, of which nothing is decided, the last at its end."""
    found = [base]
    for start in range(0, len(reports), REPLAYED_EACH):
        part = reports[start : start + REPLAYED_EACH]
        last = found[-1]
        found.append(replace(last, step=part[-1][0], state=fold(controller, last.state, part)))
    return tuple(found)


def fewer(states: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
    """Return at most so many states as are kept, the first and the last among them."""
    if len(states) <= MOST_BASES:
        return states
    return (*states[:-1:2], states[-1])


def complete(
    controller: Controller, rows: Iterable[tuple[int, str, int, int]]
) -> Iterator[tuple[int, float]]:
    """
    Yield the steps that as many sources as expected have reported, with the values there.

    ``rows`` have step, source, bits and number, and come by step.
    """
    for step, there in groupby(rows, key=itemgetter(0)):
        values = {source: value_of_bits(bits) for _, source, bits, _ in there}
        if controller.sources.complete(values):
            yield step, controller.sources.reduced(values)

"""Planted bugs of what bounds agents: the check finds each of them."""

# ruff: noqa: D401 - a story says what happens, not what to do

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.server.protocol import plants_of_limits as plants
from tests.server.protocol.agents import Agent, LimitedReplicas
from tests.server.protocol.checker import Checker
from tests.server.protocol.limiting import COUNT, DISTANCE
from tests.server.protocol.state import Run
from tests.server.protocol.telling import Plant, Story, Tell, assert_caught, plants_in

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedReplicas]:
    """Return two replicas on one database, for all bugs."""
    system = LimitedReplicas(f"sqlite:///{tmp_path_factory.mktemp('bugs') / 'rheostat.db'}")
    yield system
    system.close()


def hurried(checker: Checker, run: Run) -> None:
    """The agent makes one change more than it may, as far apart as it has to."""
    agent = Agent(checker)
    for number in range(COUNT + 1):
        agent.revise(run, HALVE, 8 + number * DISTANCE)


def undecided(checker: Checker, run: Run) -> None:
    """The agent takes back what waits, each time, and makes the next change."""
    agent = Agent(checker)
    for _ in range(COUNT + 1):
        agent.revise(run, HALVE, 40)
        agent.cancel(run, len(run.revisions))


def rewound(checker: Checker, run: Run) -> None:
    """Somebody rewinds to before what the agent has done, which it does again."""
    agent = Agent(checker)
    agent.revise(run, HALVE)
    checker.settle(run, 8, 4)
    checker.rewind(run, 4)
    for number in range(COUNT):
        agent.revise(run, HALVE, 4 + number * DISTANCE)


def talkative(checker: Checker, run: Run) -> None:
    """The agent says words, and ends the run."""
    agent = Agent(checker)
    for number in range(COUNT):
        agent.signal(run, "evaluate", 10 + number)
    agent.halt(run, 40)


def eager(checker: Checker, run: Run) -> None:
    """The agent has a change that waits, and makes another one just before it."""
    agent = Agent(checker)
    agent.revise(run, HALVE, 20)
    agent.revise(run, HALVE, 20 - DISTANCE + 1)
    agent.revise(run, HALVE, 20 - DISTANCE)


def greedy(checker: Checker, run: Run) -> None:
    """The agent takes back what somebody else has pending, and lets go where others hold."""
    agent = Agent(checker)
    checker.revise(run, HALVE, 40)
    agent.cancel(run, 2)


def impatient(checker: Checker, run: Run) -> None:
    """Somebody holds the run, and the agent would have it go on."""
    checker.halt(run, hold=True)
    Agent(checker).resume(run)


def wavering(checker: Checker, run: Run) -> None:
    """The agent goes to and fro between two learning rates."""
    agent = Agent(checker)
    agent.revise(run, HALVE)
    for to in (1, 2, 1):
        checker.settle(run, run.settled, 1)
        agent.revert(run, to)


def repentant(checker: Checker, run: Run) -> None:
    """The agent takes each of its changes back, and has made as many as it may."""
    agent = Agent(checker)
    for _ in range(COUNT):
        agent.revise(run, HALVE)
        checker.settle(run, run.settled, DISTANCE)
        agent.revert(run, len(run.revisions) - 1)
        checker.settle(run, run.settled, DISTANCE)


def overruled(checker: Checker, run: Run) -> None:
    """Somebody changes what the agent has changed, which would go back to before both."""
    agent = Agent(checker)
    agent.revise(run, HALVE)
    checker.revise(run, HALVE)
    checker.settle(run, 8, 1)
    agent.revert(run, 1)


def curious(checker: Checker, run: Run) -> None:
    """The agent changes a parameter that is not among its own."""
    Agent(checker).revise(run, {"wd/two": {"edit": "scale", "factor": 0.5}})


BUGS: list[tuple[Plant, Story]] = [
    (plants.counted_before_the_lock, hurried),
    (plants.cancelled_were_nothing, undecided),
    (plants.rewound_were_nothing, rewound),
    (plants.far_from_what_was_left, rewound),
    (plants.words_were_nothing, talkative),
    (plants.near_what_waits, eager),
    (plants.anybodys, greedy),
    (plants.anybodys, impatient),
    (plants.to_and_fro, wavering),
    (plants.taken_back_counts, repentant),
    (plants.over_others, overruled),
    (plants.any_parameter, curious),
]

ids = [f"{plant.__name__}-{story.__name__}" for plant, story in BUGS]


@pytest.mark.parametrize(("plant", "story"), BUGS, ids=ids)
def test_a_planted_bug_is_caught(
    plant: Plant, story: Story, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: the check finds no fault with a history, and finds one with the bug planted."""
    assert_caught(plant, story, tell, monkeypatch)


def test_every_bug_is_planted() -> None:
    """None of them is forgotten here."""
    assert {plant for plant, _ in BUGS} == plants_in(plants) - {plants.deeds}

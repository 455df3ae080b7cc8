"""The comparison itself: it tells what differs, what is refused, and what fails."""

from __future__ import annotations

from collections.abc import Mapping

from tests.converters.compare.__main__ import rendered
from tests.converters.compare.draws import Draw, among, fields
from tests.converters.compare.trials import Configuration, compared


class Halving:
    """A library whose StepLR halves the rate at other steps than it says, or fails."""

    VERSION = "1"
    SCHEDULERS: Mapping[str, Draw] = {"StepLR": fields({"step_size": among(10)})}

    def __init__(self, every: int, *, spare: int | None = None, steps: int = 120) -> None:
        self.every, self.spare, self.steps = every, spare, steps

    def values(self, configuration: Configuration) -> list[float]:
        """Return a rate that falls every so many steps, by the usual factor."""
        falls = (step // self.every for step in range(self.steps))
        return [configuration.base * 0.1**fall for fall in falls]

    def spared(self, configuration: Configuration, step: int) -> bool:
        """Return whether it is the step that is known."""
        return configuration.name == "StepLR" and step == self.spare


def test_values_that_differ_are_told_with_the_step() -> None:
    """A rate that falls one step late is a difference at the first such step."""
    assert compared("torch", Halving(10), "StepLR", 3, 1).equal == 3
    outcome = compared("torch", Halving(11), "StepLR", 3, 1)
    assert (outcome.equal, len(outcome.different)) == (0, 3)
    assert "at step 10" in outcome.different[0]
    assert "'step_size': 10" in outcome.different[0]
    assert "at step 20" in compared("torch", Halving(11, spare=10), "StepLR", 1, 1).different[0]


def test_what_is_refused_is_told_by_its_reason_and_what_fails_there_too_is_not() -> None:
    """A refusal counts by its field and words, without numbers, if the library has all values."""
    wrong = Halving(10)
    wrong.SCHEDULERS = {"StepLR": fields({"step_size": among(0)})}
    outcome = compared("torch", wrong, "StepLR", 2, 1)
    assert list(outcome.refused.values()) == [2]
    assert next(iter(outcome.refused)).startswith("params would become the kind step")
    wrong.steps = 7
    assert compared("torch", wrong, "StepLR", 2, 1).failed == 2
    table = rendered({"torch 1": {"StepLR": outcome}})
    assert "| torch 1 | 1 | 2 | 0 | 0 | 2 | 0 |" in table
    assert "* torch `StepLR`, 2 of 2: params would become" in table

"""The comparison itself: it tells what differs, what is refused, and what fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from tests.converters.compare.__main__ import rendered, rendered_files
from tests.converters.compare.draws import Draw, among, fields
from tests.converters.compare.files import trials as files
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.trials import compared as compared_files
from tests.converters.compare.trials import Configuration, compared

from rheostat.converters.configs import projects


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


class Falling:
    """A project whose rate falls from 1 to 0, and whose files say so, or nearly."""

    VERSION = "1"

    def __init__(self, steps: int = 10, **more: list[float]) -> None:
        self.steps, self.more = steps, more

    def drawn(self, rng: Random) -> File:
        """Return a file of the Trainer's."""
        del rng
        lengths = {"max_steps": 10, "warmup_steps": 0}
        rates = {"learning_rate": 1.0, "weight_decay": 0.0, "lr_scheduler_type": "linear"}
        return File(json.dumps({**rates, **lengths}), "train.json")

    def trained(self, file: File) -> Training | None:
        """Return a line, which is that of the file if it has ten steps."""
        assert file.name == "train.json"
        if not self.steps:
            return None
        rates = [1 - step / self.steps for step in range(self.steps)]
        decays = [0.0] * self.steps
        return Training({"lr": rates, "weight_decay": decays, **self.more}, self.steps)


@pytest.mark.parametrize(
    ("project", "told"),
    [
        (Falling(11), "has 10 steps and not 11"),
        (Falling(momentum=[0.9]), "has ['lr', 'weight_decay'] and not ['lr', 'momentum'"),
        (Falling(weight_decay=[0.0, 0.0, 0.1]), "weight_decay is np.float64(0.0) and not"),
    ],
)
def test_a_file_that_differs_is_told_with_its_text(project: Falling, told: str) -> None:
    """Another length, other parameters or other values are differences; the same are equal."""
    assert compared_files("transformers", Falling(), 2, 1).equal == 2
    assert compared_files("transformers", Falling(0), 2, 1).failed == 2
    (wrong,) = compared_files("transformers", project, 1, 1).different
    assert wrong.startswith(told)
    assert '"max_steps": 10' in wrong
    refused = compared_files("timm", Falling(), 1, 1)
    assert "is taken for a file of transformers" in refused.different[0]


def test_every_project_that_is_compared_has_a_file_and_a_row() -> None:
    """A file here that nothing names would never be run."""
    folder = Path(files.__file__).parent
    assert {path.stem.removeprefix("of_") for path in folder.glob("of_*.py")} == set(files.PROJECTS)
    assert set(files.PROJECTS) <= set(projects.NAMES)
    assert all("\nVERSION = " in path.read_text() for path in folder.glob("of_*.py"))
    table = rendered_files({"transformers 1": compared_files("transformers", Falling(), 3, 1)})
    assert "| transformers 1 | 3 | 3 | 0 | 0 | 0 |" in table

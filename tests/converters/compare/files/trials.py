"""What becomes of a random file: equal, refused, or different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any, Protocol

import numpy as np
from tests.converters.compare.draws import Params
from tests.converters.compare.trials import ATOL, RTOL, Outcome, reason

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

PROJECTS = (
    *("axolotl", "deepspeed", "diffusers", "keras", "llamafactory", "llm_foundry", "megatron"),
    *("mlx_lm", "mmengine", "nemo", "olmo", "olmo_core", "open_clip", "stable_baselines3", "timm"),
    *("torchtitan", "torchtune", "transformers", "trl"),
)
"""The projects whose own code is run."""

_SINGLE = 1e-6
"""How far values in float32 may be apart, in relation to the greatest of them."""


@dataclass(frozen=True)
class File:
    """A file as a user writes it, and the lengths that `rheostat convert` is told besides."""

    text: str
    name: str
    lengths: Params = field(default_factory=dict)
    data: Any = None
    """What the project's code is given beside the file, such as the number of samples."""


@dataclass(frozen=True)
class Training:
    """
    What the project's own code makes of a file.

    ``values`` are those at the steps from 0 on, by parameter as Rheostat names it; ``total`` is the
    length of the training, or None where the code that was run does not tell it.
    """

    values: Mapping[str, Sequence[float]]
    total: int | None = None
    single: bool = False
    """Whether the project computes in float32."""


class Project(Protocol):
    """What a project's file here has."""

    VERSION: str

    def drawn(self, rng: Random) -> File:
        """Return a random file."""

    def trained(self, file: File) -> Training | None:
        """Return what the project's own code makes of it, or None if that fails."""


def installed(name: str) -> Project | None:
    """Return the file of a project, or None if that is not installed."""
    try:
        module: Any = import_module(f"tests.converters.compare.files.of_{name}")
    except ImportError:
        return None
    found: Project = module
    return found


def compared(name: str, own: Project, count: int, seed: int) -> Outcome:
    """Return how random files of a project come out."""
    outcome = Outcome()
    for number in range(count):
        file = own.drawn(Random(f"{seed}/{name}/{number}"))
        outcome.tried += 1
        training = own.trained(file)
        if training is None:
            outcome.failed += 1
            continue
        try:
            wrong = _wrong(name, file, training)
        except Invalid as refusal:
            outcome.refused[reason(refusal)] += 1
            continue
        if wrong is None:
            outcome.equal += 1
        else:
            outcome.different.append(f"{wrong} in {file.name} {file.lengths}:\n{file.text}")
    return outcome


def _wrong(name: str, file: File, training: Training) -> str | None:
    """Return what Rheostat reads otherwise than the project, if anything."""
    told = library_of(document(file.text, name=file.name)).library
    if told not in {None, name}:
        return f"is taken for a file of {told}"
    found = config_conversion(name, file.text, file=file.name, **file.lengths)
    if set(found.parameters) != set(training.values):
        return f"has {sorted(found.parameters)} and not {sorted(training.values)}"
    if training.total is not None and found.total != training.total:
        return f"has {found.total} steps and not {training.total}"
    for parameter, listed in training.values.items():
        expected = np.array(listed, dtype=np.float64)
        values = evaluate(found.parameters[parameter], range(len(expected)))
        peak = np.abs(expected).max()
        near = _SINGLE * peak if training.single else ATOL * peak + RTOL * np.abs(expected)
        far = np.abs(values - expected) > near
        for step in np.flatnonzero(far).tolist():
            return f"{parameter} is {values[step]!r} and not {expected[step]!r} at step {step}"
    return None

"""Files that several projects would read, each as another curve: the project is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import refused

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.schedules import evaluate

SAME: dict[str, Any] = {"learning_rate": 1e-4, "lr_scheduler": "cosine"}
READ = {"axolotl": 9.959e-5, "diffusers": 6e-5, "kohya": 9.911e-5}
"""The rate at step 300, of 5,000: warm-ups of 100 steps, of 500, and none."""


def test_a_file_of_several_projects_is_of_none() -> None:
    """`lr_scheduler: cosine` is three curves in three projects, so that none of them is taken."""
    told = library_of(SAME)
    assert told.library is None
    assert "none of its fields is of one library alone" in told.why
    for library, value in READ.items():
        found = config_conversion(library, SAME, total=5000).parameters["lr"]
        assert evaluate(found, 300) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(
    ("own", "library"),
    [
        ({"cosine_min_lr_ratio": 0.1}, "axolotl"),
        ({"lr_num_cycles": 1, "lr_scheduler": "constant"}, "diffusers"),
        ({"lr_scheduler_num_cycles": 1}, "kohya"),
        ({"cosine_min_lr_ratio": 0.1, "lr_num_cycles": 1}, None),
    ],
)
def test_a_field_of_one_project_alone_tells(own: dict[str, Any], library: str | None) -> None:
    """One field is enough, and fields of two projects are too many."""
    assert library_of({**SAME, **own}).library == library


@pytest.mark.parametrize(
    "library", ["axolotl", "diffusers", "kohya", "llamafactory", "trl", "verl"]
)
@pytest.mark.parametrize(
    "field", ["lr_schedular_type", "lr_shceduler", "warmup_step_ratio", "num_train_epoch", "min_lr"]
)
def test_a_misspelled_field_is_refused(library: str, field: str) -> None:
    """What sounds like a schedule and is not read is named, in the file of whichever project."""
    own: Any = {"verl": {"actor_rollout_ref": {"actor": {}}}}.get(library, {"learning_rate": 1e-4})
    own = {"diffusers": SAME}.get(library, own)
    assert refused(library, {**own, field: 1}, total=100) == {f"config.{field}"}

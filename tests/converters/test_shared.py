"""Parameters that the schedulers of a library share, as its file declares them."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.converters.core import Case, Context, Conversion, ConversionBudget, Library
from rheostat.converters.parameters import Count, LastEpoch, Resumed, Shared, Verbose
from rheostat.converters.request import checked
from rheostat.errors import Invalid
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.union import AnyDefinition

library = Library("example", common=Resumed)


class Ends(Shared):
    """Where a schedule ends."""

    low: float = 1.0
    last_epoch: LastEpoch = -1

    @property
    def half(self) -> float:
        """Half of the low end."""
        return self.low / 2


class Warm(Shared):
    """A warm-up."""

    steps: Count = 0


@library.scheduler("Both")
def both(case: Case, ends: Ends, warm: Warm, *, factor: float, verbose: Verbose = False) -> Any:
    """`constant`."""
    return Constant(value=factor * ends.half + warm.steps)


@library.scheduler("Own", common=False)
def own(case: Case, ends: Ends, *, low: float = 8.0) -> Any:
    """`constant`."""
    return Constant(value=low)


@library.scheduler("Neither")
def neither(case: Case, *, value: float = 3.0) -> Any:
    """`constant`."""
    return Constant(value=value)


def converted(name: str, params: dict[str, Any]) -> AnyDefinition:
    """Return what a scheduler of the example becomes."""
    case = Case("example", name, None, "lr", Context(), lambda *_: Conversion(), ConversionBudget())
    scheduler = library.find(name)
    assert scheduler
    return scheduler.converted(case, checked(case, scheduler, params)).curve


@pytest.mark.parametrize(
    ("name", "params", "value"),
    [
        ("Both", {"factor": 4.0}, 2.0),
        ("Both", {"factor": 4.0, "low": 3.0, "steps": 5, "last_epoch": 7}, 11.0),
        ("Own", {}, 8.0),
        ("Own", {"low": 2.0}, 2.0),
        ("Neither", {"last_epoch": 4}, 3.0),
    ],
)
def test_shared_models_are_handed_over(name: str, params: dict[str, Any], value: float) -> None:
    """Each model that a converter takes has its parameters; a default of its own wins."""
    assert converted(name, params).to_json()["value"] == value


@pytest.mark.parametrize(
    ("name", "params", "field", "bound"),
    [
        (
            "Both",
            {"factor": 1.0, "warmup": 1},
            "params.warmup",
            "one of factor, verbose, low, last_epoch, steps",
        ),
        ("Both", {"factor": 1.0, "steps": -1}, "params.steps", "≥ 0"),
        ("Neither", {"verbose": True}, "params.verbose", "one of value, last_epoch"),
    ],
)
def test_shared_parameters_are_checked_like_its_own(
    name: str, params: dict[str, Any], field: str, bound: str
) -> None:
    """What no model has is refused with the names of all; bounds hold in shared models too."""
    with pytest.raises(Invalid) as caught:
        converted(name, params)
    (error,) = caught.value.errors
    assert error.field == field
    assert set((error.bound or "").removeprefix("one of ").split(", ")) == set(
        bound.removeprefix("one of ").split(", ")
    )


def test_a_scheduler_may_leave_out_what_is_common() -> None:
    """With ``common=False`` a scheduler has the parameters that stand in its signature alone."""
    found = {item.names[0]: item for item in library.schedulers}
    assert found["Own"].common is None
    assert found["Neither"].parameters == ["value", "last_epoch"]
    assert [name for name, _ in found["Both"].ignored()] == ["verbose", "last_epoch"]

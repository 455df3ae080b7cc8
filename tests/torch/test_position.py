"""Where the scheduler is: it counts updates, whatever comes of looking their values up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rheostat import Run
from rheostat.errors import Finished, Invalid, RheostatError

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
RAMP = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 4}
RAMPED = [0.25, 0.3125, 0.375, 0.4375, 0.5]


def optimizer(**options: Any) -> Any:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, **options)


def scheduler(optimizer: Any, run: Run, **options: Any) -> Any:
    from rheostat.torch import RheostatLR

    return RheostatLR(optimizer, run, **options)


def update(found: Any, times: int = 1) -> None:
    for _ in range(times):
        found.optimizer.step()
        found.step()


def test_the_update_before_an_error_is_in_the_checkpoint(new_run: NewRun) -> None:
    """
    P9: a checkpoint that is saved after an error does not repeat the last update.

    `optimizer.step()` was done; whether the next value could be had does not undo it.
    """
    run = new_run(lr=RAMP, momentum=RAMP)
    run.finish(3)
    sgd = optimizer(momentum=0.9)
    found = scheduler(sgd, run)
    update(found, 2)
    with pytest.raises(Finished):
        update(found)
    assert found.state_dict()["step"] == 3
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]) == (RAMPED[2], RAMPED[2])
    with pytest.raises(Finished):
        scheduler(optimizer(momentum=0.9), run).load_state_dict(found.state_dict())


def test_what_raises_leaves_nothing_half_written(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3: all fields are of one step, also if the second of two values cannot be had."""
    run = new_run(lr=RAMP, momentum=RAMP)
    sgd = optimizer(momentum=0.9)
    found = scheduler(sgd, run)
    update(found)
    real = run.value

    def broken(name: str, step: int) -> float:
        if name == "momentum":
            raise RheostatError("the service is away")
        return real(name, step)

    monkeypatch.setattr(run, "value", broken)
    with pytest.raises(RheostatError, match="the service is away"):
        update(found)
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]) == (RAMPED[1], RAMPED[1])


def test_an_end_may_be_a_flag(new_run: NewRun) -> None:
    """With at_end="flag" a framework ends its loop as at its own maximum, with a checkpoint."""
    run = new_run(lr=RAMP)
    run.finish(3)
    found = scheduler(optimizer(), run, at_end="flag")
    seen = []
    while not found.ended:
        seen.append(found.get_last_lr()[0])
        update(found)
    assert seen == RAMPED[:3]
    assert (found.get_last_lr(), found.state_dict()["step"]) == ([RAMPED[2]], 3)
    again = scheduler(optimizer(), run, at_end="flag")
    again.load_state_dict(found.state_dict())
    assert (again.ended, again.last_epoch) == (True, 3)
    again.load_state_dict({**found.state_dict(), "step": 1})
    assert (again.ended, again.get_last_lr()) == (False, [RAMPED[1]])


def test_other_errors_are_raised_whatever_is_said_of_the_end(new_run: NewRun) -> None:
    """at_end="flag" is about ends alone: a rewind still fences the old workers off (P6)."""
    run = new_run(lr=RAMP)
    found = scheduler(optimizer(), run, at_end="flag")
    run.rewind(1)
    with pytest.raises(RheostatError, match="rewind"):
        update(found, 1_000)
    assert not found.ended


@pytest.mark.parametrize("update", [3.0, 2.5, "3", None, [3], float("nan"), -1, 2**53])
def test_a_counter_that_is_no_step_is_refused_at_the_first_call(
    update: Any, new_run: NewRun
) -> None:
    """P10: not after 63 steps, when a dictionary no longer finds 64.0 as 64; it counts nothing."""
    run = new_run({"axis": "tokens"}, lr=RAMP)
    found = scheduler(optimizer(), run)
    found.optimizer.step()
    with pytest.raises(Invalid, match="update"):
        found.step(update=update)
    assert (found.last_epoch, found.get_last_lr()) == (0, [RAMPED[0]])


@pytest.mark.parametrize("update", [3, np.int64(3), torch.tensor(3)])
def test_any_integer_is_a_counter(update: Any, new_run: NewRun) -> None:
    """NumPy's and PyTorch's integers too, and a checkpoint holds a plain one."""
    found = scheduler(optimizer(), new_run(lr=RAMP))
    found.optimizer.step()
    found.step(update=update)
    assert found.get_last_lr() == [RAMPED[3]]
    assert type(found.state_dict()["step"]) is int


def test_the_counter_is_never_taken_from_a_position(new_run: NewRun) -> None:
    """A framework that hands its batch size to any scheduler (DeepSpeed) gets an error."""
    found = scheduler(optimizer(), new_run(lr=RAMP))
    with pytest.raises(TypeError, match=r"takes no epoch: .* or step\(update="):
        found.step(256)
    with pytest.raises(TypeError, match="takes no epoch"):
        found.step(epoch=3)
    assert found.last_epoch == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"run": "gpt"}, "run"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"last_epoch": 1.0}, "last_epoch"),
        ({"last_epoch": -2}, "last_epoch"),
        ({"at_end": "stop"}, "at_end"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], field: str, new_run: NewRun) -> None:
    """P10: the field is in the error."""
    from rheostat.torch import RheostatLR

    arguments: dict[str, Any] = {"optimizer": optimizer(), "run": new_run(lr=RAMP), **options}
    with pytest.raises(Invalid) as caught:
        RheostatLR(arguments.pop("optimizer"), arguments.pop("run"), **arguments)
    assert [error.field for error in caught.value.errors] == [field]


class Wrapper:
    """Any wrapper that is no Optimizer, as DeepSpeed's are."""

    def __init__(self, inner: Any) -> None:
        self.optimizer = inner

    @property
    def param_groups(self) -> Any:
        """The groups of the one inside."""
        return self.optimizer.param_groups


@pytest.mark.parametrize("wrap", ["accelerate", "another", "both"])
def test_a_wrapped_optimizer_is_taken_for_the_one_inside(wrap: str, new_run: NewRun) -> None:
    """Accelerate's optimizer has not all that PyTorch's has; what it steps is what follows."""
    accelerate = pytest.importorskip("accelerate", reason="needs accelerate: make test-frameworks")
    inner = outer = optimizer()
    if wrap in {"accelerate", "both"}:
        outer = accelerate.Accelerator(cpu=True).prepare(outer)
    if wrap in {"another", "both"}:
        outer = Wrapper(outer)
    run = new_run(lr=RAMP)
    found = scheduler(outer, run)
    seen = []
    for _ in range(3):
        seen.append(inner.param_groups[0]["lr"])
        (inner if wrap != "accelerate" else outer).step()
        found.step()
    assert seen == RAMPED[:3]
    state = inner.state_dict()
    state["param_groups"][0]["lr"] = 99.0
    inner.load_state_dict(state)
    assert inner.param_groups[0]["lr"] == RAMPED[3]

"""Steps as training loops have them: integers of any library, and what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rheostat import Client
from rheostat.client.calls import coordinate
from rheostat.errors import Invalid

if TYPE_CHECKING:
    from tests.client.conftest import FakeService


class Counter:
    """A counter as Keras has it: no index, no key of a dictionary, and whole."""

    __hash__ = None  # type: ignore[assignment]
    dtype = "int64"
    shape = ()

    def __init__(self, value: Any) -> None:
        self.value = value

    def __int__(self) -> int:
        return int(self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == other)


class Tracer:
    """What JAX has in a number's place while it traces a function."""

    __hash__ = None  # type: ignore[assignment]
    dtype = "int32"
    shape = ()

    def __index__(self) -> int:
        raise TypeError("no integer")

    def __int__(self) -> int:
        raise TypeError("no integer")


@pytest.mark.parametrize("step", [5, np.int64(5), np.array(5), 5.0, np.float64(5.0), Counter(5)])
def test_whatever_counts_is_a_step(client: Client, service: FakeService, step: Any) -> None:
    """Every call of a training takes it, within what is held and past it."""
    run = client.run("gpt")
    for _ in range(2):
        assert run.value("lr", step) == run.values(step)["lr"] == run.at(step).values["lr"] == 1 / 6
        assert run.signals(step) == ()
        assert run.left_open(step) is None


@pytest.mark.parametrize(
    "step", [5.5, "5", None, np.array([5]), np.float32(5.5), [5], float("nan"), -1, 2**53]
)
def test_what_is_no_step_is_refused(client: Client, step: Any) -> None:
    """With the name of the argument, and what it must be."""
    run = client.run("gpt")
    for ask in (lambda: run.value("lr", step), lambda: run.values(step), lambda: run.at(step)):
        with pytest.raises(Invalid, match="step"):
            ask()


@pytest.mark.parametrize("step", [Tracer(), Counter(Tracer())])
def test_a_tracer_is_told_what_to_use(client: Client, step: Any) -> None:
    """A look-up within a compiled function would be made once: the refusal says what is meant."""
    with pytest.raises(Invalid, match=r"rheostat\.optax\.Hyperparams .*inject_hyperparams"):
        client.run("gpt").value("lr", step)
    with pytest.raises(Invalid, match="JAX compiles"):
        coordinate(step)

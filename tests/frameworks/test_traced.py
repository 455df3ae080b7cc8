"""Steps of JAX and Keras: numbers are looked up, and a tracer is told what to use."""

from __future__ import annotations

import pytest

from rheostat.client.calls import coordinate
from rheostat.errors import Invalid

jax = pytest.importorskip("jax")


def test_an_array_of_jax_is_a_step() -> None:
    """What counts updates outside of a compiled function is an array, which no dictionary takes."""
    assert coordinate(jax.numpy.int32(5)) == 5


def test_a_look_up_within_a_compiled_function_is_refused() -> None:
    """It would be made once, when the function is traced, and its value kept for ever."""
    with pytest.raises(Invalid, match=r"rheostat\.optax\.Hyperparams"):
        jax.jit(coordinate)(jax.numpy.int32(5))


def test_a_counter_of_keras_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """``optimizer.iterations`` is a variable, and no index."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    assert coordinate(keras.Variable(5, dtype="int32", trainable=False)) == 5
    with pytest.raises(Invalid):
        coordinate(keras.Variable(5.5))

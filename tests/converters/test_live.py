"""
Live plateaus and early stoppings of libraries, read as controllers.

A library that is not installed is stood in for by an object of the same class name and attributes;
`LIBRARIES` makes the real one where there is one. PyTorch's own are in ``tests/torch``.
"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from rheostat.converters.live import controller_of
from rheostat.errors import Invalid


def less(value: Any, other: Any) -> bool:
    """Stand in for the comparison that libraries keep."""
    return bool(value < other)


def stand_in(module: str, name: str, **attributes: Any) -> Any:
    """Return an object of a class of this name in this module."""
    made = type(name, (), {"__module__": module})()
    vars(made).update(attributes)
    return made


def made(place: str, arguments: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """Return the library's own object, or one that stands in for it."""
    module, _, name = place.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except ImportError:
        return stand_in(module, name, **attributes)
    return found(**arguments)


STOP = {"monitor": "val_acc", "patience": 4, "min_delta": 0.01, "mode": "max"}
TIME = SimpleNamespace(to_timestring=lambda: "2ep")
READ: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping": (
        {**STOP, "mode": "min", "stopping_threshold": 0.1, "check_finite": False},
        {"min_delta": -0.01, "divergence_threshold": None},
        {},
        {"reading": "lightning", "metric": "val_acc", "mode": "min", "patience": 4}
        | {"min_delta": 0.01, "stopping_threshold": 0.1, "check_finite": False},
    ),
    "keras.src.callbacks.early_stopping.EarlyStopping": (
        {**STOP, "baseline": 0.5, "start_from_epoch": 2},
        {"restore_best_weights": False, "monitor_op": None},
        {"steps_per_epoch": 10},
        {"reading": "keras", "metric": "val_acc", "mode": "max", "patience": 4, "baseline": 0.5}
        | {"min_delta": 0.01, "start": 21},
    ),
    "keras.src.callbacks.reduce_lr_on_plateau.ReduceLROnPlateau": (
        {"factor": 0.5, "patience": 3, "min_lr": 1e-5, "cooldown": 2, "min_delta": 0.01},
        {"monitor": "val_loss", "mode": "auto", "monitor_op": less},
        {},
        {"reading": "keras", "metric": "val_loss", "mode": "min", "factor": 0.5, "patience": 3}
        | {"min": 1e-5, "cooldown": 2, "threshold": 0.01},
    ),
    "transformers.trainer_callback.EarlyStoppingCallback": (
        {"early_stopping_patience": 3, "early_stopping_threshold": 0.2},
        {},
        {"metric": "dev/f1", "greater_is_better": True},
        {"reading": "transformers", "metric": "dev/f1", "mode": "max", "patience": 3}
        | {"min_delta": 0.2},
    ),
    "composer.callbacks.early_stopper.EarlyStopper": (
        {"monitor": "loss", "dataloader_label": "eval", "min_delta": 0.01, "patience": 2},
        {"comp_func": less, "patience": TIME},
        {"steps_per_epoch": 10},
        {"reading": "composer", "metric": "loss", "mode": "min", "patience_steps": 20}
        | {"min_delta": 0.01},
    ),
}
"""By class: its arguments, other attributes, the options of the call, and what it becomes."""


@pytest.mark.parametrize("place", READ)
def test_a_live_object_is_read(place: str) -> None:
    """Each of its options is in the controller, whether or not its library is installed."""
    arguments, others, options, expected = READ[place]
    found = controller_of(made(place, arguments, {**arguments, **others}), **options)
    assert found.document.items() >= expected.items()


def test_what_the_trainer_knows_is_said_beside_the_callback() -> None:
    """The callback of transformers holds neither its metric nor the direction."""
    patience = {"early_stopping_patience": 3, "early_stopping_threshold": 0.0}
    callback = stand_in("transformers.trainer_callback", "EarlyStoppingCallback", **patience)
    found = controller_of(callback, metric_for_best_model="wer", greater_is_better=False)
    assert (found.document["metric"], found.document["mode"]) == ("eval_wer", "min")
    assert controller_of(callback).document["metric"] == "eval_loss"
    with pytest.raises(Invalid, match="greater_is_better"):
        controller_of(callback, "dev/wer")


def test_anything_else_is_refused_with_what_is_read() -> None:
    """A class of somebody's own is none of the library's, whatever it is called."""
    for other in (stand_in("mine", "EarlyStopping"), stand_in("keras.src", "TensorBoard"), 5):
        with pytest.raises(Invalid, match="is nothing that is read") as caught:
            controller_of(other)
        assert "EarlyStopping of keras" in str(caught.value.errors[0].bound)


def test_a_comparison_of_one_s_own_is_refused() -> None:
    """A function that Composer compares with is no data."""
    own = stand_in(
        "composer.callbacks.early_stopper",
        "EarlyStopper",
        monitor="loss",
        dataloader_label="eval",
        min_delta=0.0,
        patience=TIME,
        comp_func=lambda value, best: value < best - 1,
    )
    with pytest.raises(Invalid, match="is a function"):
        controller_of(own, steps_per_epoch=10)

"""
The classes of other libraries, stepped through a series: what records are made of.

Each function takes a controller's JSON, makes the library's own class of it, and imports the
library when it is called. Metrics are float64 there too, as they are here.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Json = dict[str, Any]
Reports = Sequence[tuple[int, float]]

os.environ.setdefault("KERAS_BACKEND", "torch")  # float64 there; Keras asks for TensorFlow, else

BASE = 0.1
"""The learning rate before any reduction."""
COMPOSER, PADDLE, MMENGINE = (f"RHEOSTAT_{name}" for name in ("COMPOSER", "PADDLE", "MMENGINE"))
"""Environment variables with the folders of unpacked wheels, whose files are loaded alone."""


# --- early stopping: the index of the report at which the class stops, or None --------------------


def lightning(given: Json, reports: Reports) -> int | None:
    """``lightning.pytorch.callbacks.EarlyStopping``."""
    import torch
    from lightning.pytorch.callbacks import EarlyStopping

    names = ("mode", "min_delta", "patience", "check_finite")
    thresholds = ("stopping_threshold", "divergence_threshold")
    callback = EarlyStopping("m", **{name: given[name] for name in (*names, *thresholds)})
    for index, (_, value) in enumerate(reports):
        current = torch.tensor(value, dtype=torch.float64)
        if callback._evaluate_stopping_criteria(current)[0]:
            return index
    return None


def keras(given: Json, reports: Reports) -> int | None:
    """``keras.callbacks.EarlyStopping``, in epochs from 0."""
    library = _keras()
    names = ("mode", "min_delta", "patience", "baseline")
    callback = library.callbacks.EarlyStopping(
        "m", start_from_epoch=given["start"], **{name: given[name] for name in names}
    )
    model = SimpleNamespace(stop_training=False)
    callback.set_model(model)
    callback.on_train_begin()
    for index, (epoch, value) in enumerate(reports):
        callback.on_epoch_end(epoch, {"m": value})
        if model.stop_training:
            return index
    return None


def transformers(given: Json, reports: Reports) -> int | None:
    """``transformers.EarlyStoppingCallback``, beside the `Trainer` that keeps the best metric."""
    from transformers import EarlyStoppingCallback, Trainer

    callback = EarlyStoppingCallback(given["patience"], given["min_delta"])
    args = SimpleNamespace(
        metric_for_best_model="m", greater_is_better=given["mode"] == "max", save_strategy="no"
    )
    state = SimpleNamespace(best_metric=None, best_global_step=None, global_step=0)
    control = SimpleNamespace(should_training_stop=False)
    for index, (_, value) in enumerate(reports):
        metrics = {"eval_m": value}
        callback.on_evaluate(args, state, control, metrics)
        if control.should_training_stop:
            return index
        Trainer._determine_best_metric(SimpleNamespace(args=args, state=state), metrics, None)
    return None


def composer(given: Json, reports: Reports) -> int | None:
    """``composer.callbacks.EarlyStopper`` with a patience in batches."""
    import torch

    stopper, time = _composer()
    comp = "less" if given["mode"] == "min" else "greater"
    patience = time.Time(given["patience_steps"], time.TimeUnit.BATCH)
    callback = stopper.EarlyStopper("m", "eval", comp, given["min_delta"], patience)
    stopped: list[bool] = []
    for index, (step, value) in enumerate(reports):
        metric = SimpleNamespace(compute=lambda: torch.tensor(value, dtype=torch.float64))  # noqa: B023
        state = SimpleNamespace(
            eval_metrics={"eval": {"m": metric}},
            dataloader_label="eval",
            timestamp=SimpleNamespace(batch=time.Time(step, time.TimeUnit.BATCH)),
            stop_training=lambda: stopped.append(True),
        )
        callback.eval_end(state, None)
        if stopped:
            return index
    return None


# --- plateaus: the learning rate after each report ------------------------------------------------


def torch_plateau(given: Json, reports: Reports) -> list[float]:
    """``torch.optim.lr_scheduler.ReduceLROnPlateau``."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], BASE)
    names = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "eps")
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, min_lr=given["min"], **{name: given[name] for name in names}
    )
    rates = []
    for _, value in reports:
        scheduler.step(value)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def keras_plateau(given: Json, reports: Reports) -> list[float]:
    """``keras.callbacks.ReduceLROnPlateau`` on a rate in float64."""
    library = _keras()
    names = ("mode", "factor", "patience", "cooldown")
    callback = library.callbacks.ReduceLROnPlateau(
        "m",
        min_delta=given["threshold"],
        min_lr=given["min"],
        **{name: given[name] for name in names},
    )
    optimizer = SimpleNamespace(learning_rate=BASE)
    callback.set_model(SimpleNamespace(optimizer=optimizer))
    callback.on_train_begin()
    rates = []
    for epoch, value in reports:
        callback.on_epoch_end(epoch, {"m": value})
        rates.append(float(optimizer.learning_rate))
    return rates


def optax_plateau(given: Json, reports: Reports) -> list[float]:
    """``optax.contrib.reduce_on_plateau`` in float64; its scale times the rate."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from optax.contrib import reduce_on_plateau

    made = reduce_on_plateau(
        factor=given["factor"],
        patience=given["patience"],
        rtol=given["threshold"],
        atol=given["atol"],
        cooldown=given["cooldown"],
        accumulation_size=given["average"],
        min_scale=given["min_scale"],
    )
    weights = jnp.zeros(1, jnp.float64)
    values = jnp.array([value for _, value in reports])

    def stepped(state: Any, value: Any) -> tuple[Any, Any]:
        _, state = made.update(weights, state, value=value)
        return state, state.scale

    _, scales = jax.lax.scan(stepped, made.init(weights), values)
    return [BASE * float(scale) for scale in scales]


def paddle_plateau(given: Json, reports: Reports) -> list[float]:
    """``paddle.optimizer.lr.ReduceOnPlateau``."""
    library = _paddle()
    names = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown")
    scheduler = library.ReduceOnPlateau(
        BASE,
        min_lr=given["min"],
        epsilon=given["eps"],
        **{name: given[name] for name in names},
    )
    rates = []
    for _, value in reports:
        scheduler.step(value)
        rates.append(float(scheduler()))
    return rates


def mmengine_plateau(given: Json, reports: Reports) -> list[float]:
    """``mmengine.optim.ReduceOnPlateauParamScheduler`` on an optimizer's rate."""
    import torch

    library = _mmengine()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], BASE)
    names = ("factor", "patience", "threshold", "cooldown", "eps")
    scheduler = library.ReduceOnPlateauParamScheduler(
        optimizer,
        "lr",
        monitor="m",
        rule="less" if given["mode"] == "min" else "greater",
        threshold_rule=given["threshold_mode"],
        min_value=given["min"],
        **{name: given[name] for name in names},
    )
    rates = []
    for _, value in reports:
        scheduler.step({"m": value})
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


STOPS: dict[str, Callable[[Json, Reports], int | None]] = {
    "lightning": lightning,
    "keras": keras,
    "transformers": transformers,
    "composer": composer,
}
PLATEAUS: dict[str, Callable[[Json, Reports], list[float]]] = {
    "torch": torch_plateau,
    "keras": keras_plateau,
    "optax": optax_plateau,
    "paddle": paddle_plateau,
    "mmengine": mmengine_plateau,
}


# --- libraries ------------------------------------------------------------------------------------


@cache
def _keras() -> Any:
    import keras as library

    library.config.set_floatx("float64")
    return library


@contextmanager
def _standing_in(**modules: Any) -> Iterator[None]:
    """Have imports find what a file that is loaded alone wants of the rest of its library."""
    made = {name.replace("__", "."): _module(name, found) for name, found in modules.items()}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def _module(name: str, found: dict[str, Any]) -> ModuleType:
    module = ModuleType(name.replace("__", "."))
    module.__dict__.update(found)
    module.__path__ = []
    return module


def _loaded(variable: str, file: str, name: str) -> Any:
    path = Path(os.environ[variable]) / file
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cache
def _composer() -> tuple[Any, Any]:
    strings = _loaded(COMPOSER, "composer/utils/string_enum.py", "composer_strings")
    nothing = type("Nothing", (), {})
    with _standing_in(
        composer={},
        composer__core={},
        composer__utils={"StringEnum": strings.StringEnum},
        composer__core__serializable={"Serializable": nothing},
    ):
        time = _loaded(COMPOSER, "composer/core/time.py", "composer_time")
    core = {"Callback": nothing, "State": nothing, "Time": time.Time, "TimeUnit": time.TimeUnit}
    with _standing_in(composer={}, composer__core=core, composer__loggers={"Logger": nothing}):
        stopper = _loaded(COMPOSER, "composer/callbacks/early_stopper.py", "composer_stopper")
    return stopper, time


@cache
def _paddle() -> Any:
    nothing = type("Nothing", (), {})
    names = ("Variable", "default_main_program", "in_dygraph_mode", "in_dynamic_or_pir_mode")
    framework = dict.fromkeys((*names, "in_pir_mode"), nothing)
    core = SimpleNamespace(eager=SimpleNamespace(Tensor=nothing))
    with _standing_in(
        paddle={"Tensor": nothing},
        paddle__base={"core": core},
        paddle__base__data_feeder={"check_type": nothing},
        paddle__base__framework=framework,
        paddle__base__layer_helper={"LayerHelper": nothing},
    ):
        return _loaded(PADDLE, "paddle/optimizer/lr.py", "paddle_lr")


@cache
def _mmengine() -> Any:
    nothing = type("Nothing", (), {})
    registry = SimpleNamespace(register_module=lambda **_: lambda cls: cls)
    with _standing_in(
        mmengine={},
        mmengine__logging={"print_log": nothing},
        mmengine__optim={"BaseOptimWrapper": nothing},
        mmengine__registry={"PARAM_SCHEDULERS": registry},
    ):
        return _loaded(
            MMENGINE, "mmengine/optim/scheduler/param_scheduler.py", "mmengine_schedulers"
        )

"""
From live objects of other libraries to controllers: their plateaus and their early stoppings.

An object is known by its class's name and library, so that none of them is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from rheostat.controllers import Controller
from rheostat.converters.core import refused
from rheostat.converters.request import conversion
from rheostat.errors import FieldError

Parameters = dict[str, Any]
Reader = Callable[[Any], Parameters]
"""What returns the arguments of an object's constructor, as `conversion` takes them."""


def controller_of(
    reacting: Any,
    metric: str | None = None,
    *,
    group: int | None = None,
    steps_per_epoch: int | None = None,
    **params: Any,
) -> Controller:
    """
    Return the controller that decides as a live plateau or early stopping would from its beginning.

    What it has counted so far is not read, for a controller knows the reports of its run alone: one
    that is armed with ``replay`` folds those that the run has.

    Args:
        reacting: ``ReduceLROnPlateau`` of PyTorch, Lightning or Keras, ``EarlyStopping`` of
            Lightning, Keras, Ignite or Flax, ``EarlyStoppingCallback`` of transformers,
            ``EarlyStopper`` of Composer, ``ReduceLROnPlateauScheduler`` of Ignite,
            ``ReduceOnPlateau`` of Paddle, or MMEngine's.
        metric: What the reports call the metric; by default what the object calls it.
        group: The parameter group, where each has a floor of its own.
        steps_per_epoch: The length of an epoch in steps, of what counts epochs.
        params: What the object does not hold, by the names that `conversion` takes:
            ``metric_for_best_model`` and ``greater_is_better`` of transformers, whose callback asks
            the trainer for them.

    Raises:
        Invalid: It is none of these classes, or is refused by `conversion`.

    """
    library, name = type(reacting).__module__.partition(".")[0], type(reacting).__name__
    library = _SAME.get(library, library)
    reader = _READERS.get((library, name))
    if reader is None:
        known = ", ".join(f"{name} of {library}" for library, name in _READERS)
        message = "is nothing that is read as a controller"
        raise refused(FieldError("reacting", message, f"{name} of {library}", f"one of {known}"))
    context = {"metric": metric, "group": group, "steps_per_epoch": steps_per_epoch}
    given: dict[str, Any] = {key: value for key, value in context.items() if value is not None}
    if library == "composer" and steps_per_epoch is not None:
        given["context"] = {"dataloader_len": steps_per_epoch}
    if library == "mmengine":
        given["hyperparameter"] = reacting.param_name
    found = conversion(library, name, {**reader(reacting), **params}, **given)
    if found.controller is None:
        raise LookupError(f"{name} of {library} becomes no controller")
    return found.controller


def _attributes(*names: str, **others: str) -> Reader:
    """Return what reads attributes that are called as the parameters are, and some that are not."""
    read = {**{name: name for name in names}, **others}

    def reader(reacting: Any) -> Parameters:
        return {name: _plain(getattr(reacting, attribute)) for name, attribute in read.items()}

    return reader


def _plain(value: Any) -> Any:
    """Return the number of a NumPy scalar or a tensor of one, and anything else as it is."""
    return value.item() if hasattr(value, "item") else value


def _shared(values: Iterable[float]) -> Any:
    """Return one value for all groups, or a list where they differ."""
    first, *others = found = [float(value) for value in values]
    return found if any(other != first for other in others) else first


_PLATEAU: Final = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown")
_torch_plateau: Final = _attributes(*_PLATEAU, "eps")


def _torch(reacting: Any) -> Parameters:
    return {**_torch_plateau(reacting), "min_lr": _shared(reacting.min_lrs)}


def _lightning_plateau(reacting: Any) -> Parameters:
    return {**_torch(reacting), "monitor": reacting.monitor}


_lightning_stop: Final = _attributes(
    *("monitor", "mode", "patience", "check_finite"), "stopping_threshold", "divergence_threshold"
)


def _lightning(reacting: Any) -> Parameters:
    sign = 1 if reacting.mode == "max" else -1  # its min_delta has the sign of the mode
    return {**_lightning_stop(reacting), "min_delta": sign * reacting.min_delta}


def _keras(*names: str) -> Reader:
    attributes = _attributes("monitor", "mode", "min_delta", "patience", *names)

    def reader(reacting: Any) -> Parameters:
        # once a fit has begun it knows the direction of ``auto``
        found = attributes(reacting)
        direction = getattr(reacting.monitor_op, "__name__", None)
        mode = {"less": "min", "greater": "max"}.get(str(direction), found["mode"])
        return {**found, "mode": mode}

    return reader


def _composer(reacting: Any) -> Parameters:
    # a function of the user's own is handed on, and refused as one
    name = getattr(reacting.comp_func, "__name__", "")
    return {
        **_attributes("monitor", "dataloader_label", "min_delta")(reacting),
        "comp": name if name in {"less", "lt", "greater", "gt"} else reacting.comp_func,
        "patience": reacting.patience.to_timestring(),
    }


def _ignite(reacting: Any) -> Parameters:
    # it compares with the first floor, whichever group it sets
    inner = _torch_plateau(reacting.scheduler)
    floor = float(reacting.scheduler.min_lrs[0])
    return {
        **inner,
        "metric_name": reacting.metric_name,
        "param_group_index": 0,
        "min_lr": floor,
    }


def _mmengine(reacting: Any) -> Parameters:
    found = _attributes(
        *("monitor", "rule", "factor", "patience", "threshold", "threshold_rule"),
        *("cooldown", "eps", "begin", "end", "by_epoch"),
    )(reacting)
    named = type(reacting).__name__.endswith("ParamScheduler")
    own = {"param_name": reacting.param_name} if named else {}
    return {**found, **own, "min_value": _shared(reacting.min_values)}


_SAME: Final = {"pytorch_lightning": "lightning"}
_READERS: Final[dict[tuple[str, str], Reader]] = {
    ("torch", "ReduceLROnPlateau"): _torch,
    ("lightning", "ReduceLROnPlateau"): _lightning_plateau,
    ("lightning", "EarlyStopping"): _lightning,
    ("keras", "ReduceLROnPlateau"): _keras("factor", "cooldown", "min_lr"),
    ("keras", "EarlyStopping"): _keras("baseline", "restore_best_weights", "start_from_epoch"),
    ("transformers", "EarlyStoppingCallback"): _attributes(
        "early_stopping_patience", "early_stopping_threshold"
    ),
    ("composer", "EarlyStopper"): _composer,
    ("flax", "EarlyStopping"): _attributes("min_delta", "patience"),
    ("ignite", "ReduceLROnPlateauScheduler"): _ignite,
    ("ignite", "EarlyStopping"): _attributes(
        "patience", "threshold", "cumulative", "threshold_mode", "mode"
    ),
    ("paddle", "ReduceOnPlateau"): _attributes(*_PLATEAU, "min_lr", "epsilon"),
    ("mmengine", "ReduceOnPlateauParamScheduler"): _mmengine,
    ("mmengine", "ReduceOnPlateauLR"): _mmengine,
    ("mmengine", "ReduceOnPlateauMomentum"): _mmengine,
}
"""How each class is read, by its library and its name."""

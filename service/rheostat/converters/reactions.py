"""
What converters build controllers from: the plateaus and the early stoppings of libraries.

- `plateau` and `stop` make the controller of a reading; its fields are named as in a run.
- `metric_of` is what the reports call the metric, by the library's own word or by the user's.
- `PlateauParameters` and `StoppingParameters` are those of PyTorch's ReduceLROnPlateau and of
  Lightning's EarlyStopping, which other libraries wrap.

A reading is whose rules count: ``torch``, ``keras``, ``optax``, ``paddle`` or ``mmengine`` of a
plateau, ``lightning``, ``keras``, ``transformers`` or ``composer`` of a stop. A library that none
of them follows report by report is refused, saying in what it differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from rheostat.controllers import parse_controller
from rheostat.converters.core import Case, Conversion, refused
from rheostat.converters.kit import of_group
from rheostat.converters.parameters import Count, Ignored, NotNegative, PerGroup, Shared
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.union import AnyDefinition

_ROOT: Final = "controller"

Mode = Literal["min", "max"]
"""Whether the metric is better the smaller or the greater it is."""
ThresholdMode = Literal["rel", "abs"]
PlateauReading = Literal["torch", "keras", "optax", "paddle", "mmengine"]
StopReading = Literal["lightning", "keras", "transformers", "composer"]
Asked = Literal["min", "max", "auto"]
"""A mode, or that the metric's name says it."""

Printed = Annotated[bool | int, Ignored("prints what happens")]
Reported = Annotated[
    bool | None, Ignored("says when the metric is looked at, which is when it is reported")
]
Missing = Annotated[
    bool, Ignored("says what happens where the metric is missing: what is not reported is not read")
]


def metric_of(case: Case, mode: Mode, monitor: str | None = None, usual: str = "val_loss") -> str:
    """
    Return what the reports call the metric: the user's word, or the library's, or the usual one.

    The usual one is a loss: where the greatest value is the best, and nobody names the metric, it
    is required.
    """
    found = case.context.metric or monitor
    if found is None and mode == "max":
        message = f"is required: {case.name} does not name what it looks for the maximum of"
        raise refused(FieldError("metric", message, None, "the metric's name in the reports"))
    return found or usual


def plateau(
    case: Case,
    reading: PlateauReading,
    metric: str,
    mode: Mode,
    *,
    definition: AnyDefinition | None = None,
    **fields: Any,
) -> Conversion:
    """Return a `plateau` of the hyperparameter that is asked for, beside its warm-up if any."""
    whole = {"parameters": [case.hyperparameter], **fields}
    controller = _controller(case, "plateau", reading=reading, metric=metric, mode=mode, **whole)
    return replace(controller, definition=definition)


def stop(case: Case, reading: StopReading, metric: str, mode: Mode, **fields: Any) -> Conversion:
    """Return a `stop`."""
    return _controller(case, "stop", reading=reading, metric=metric, mode=mode, **fields)


def _controller(case: Case, kind: str, **fields: Any) -> Conversion:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return Conversion(controller=parse_controller({"kind": kind, **given}, _ROOT))
    except Invalid as error:
        raise refused(*(_inside(case, kind, item) for item in error.errors)) from None


def _inside(case: Case, kind: str, error: FieldError) -> FieldError:
    """Return the error about a controller's field as one about the parameters."""
    name = error.field.removeprefix(f"{_ROOT}.")
    if name == "metric" and case.context.metric is not None:
        return replace(error, field=name)
    message = f"would become the controller {kind}, whose {name} {error.message}"
    return replace(error, field=case.field, message=message)


class PlateauParameters(Shared):
    """PyTorch's ReduceLROnPlateau."""

    mode: Mode = "min"
    factor: float = 0.1
    patience: Count = 10
    threshold: NotNegative = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: Count = 0
    min_lr: PerGroup = 0.0
    eps: NotNegative = 1e-8

    def controller(self, case: Case, metric: str, floor: float | None = None) -> Conversion:
        """Return its controller, with another floor than min_lr if one is given."""
        return plateau(
            case,
            "torch",
            metric,
            self.mode,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode=self.threshold_mode,
            cooldown=self.cooldown,
            min=of_group(case, "min_lr", self.min_lr) if floor is None else floor,
            eps=self.eps,
        )


class StoppingParameters(Shared):
    """Lightning's EarlyStopping, but for its metric."""

    min_delta: NotNegative = 0.0
    patience: Count = 3
    verbose: Printed = False
    mode: Mode = "min"
    strict: Missing = True
    check_finite: bool = True
    stopping_threshold: float | None = None
    divergence_threshold: float | None = None
    check_on_train_epoch_end: Reported = None
    log_rank_zero_only: Annotated[bool, Ignored("prints on one rank")] = False

    def controller(self, case: Case, metric: str) -> Conversion:
        """Return its controller."""
        return stop(
            case,
            "lightning",
            metric,
            self.mode,
            patience=self.patience,
            min_delta=self.min_delta,
            stopping_threshold=self.stopping_threshold,
            divergence_threshold=self.divergence_threshold,
            check_finite=self.check_finite,
        )


def checks(case: Case, patience: int) -> int:
    """Return a patience, refusing none where the library would stop at the first report."""
    if patience == 0:
        message = "stops at the first report, whatever it is"
        raise case.wrong("patience", message, patience, "≥ 1")
    return patience

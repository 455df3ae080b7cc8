"""
Every plateau and early stopping of a library, against the controller that it becomes.

The records with ``metrics`` are the library's own, and `simulate` reports the same metrics.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.converters.records import CASES, Case, asked

from rheostat.controllers import Simulation, parse_controller, simulate
from rheostat.converters import Conversion, conversion, registry
from rheostat.converters.core import Scheduler
from rheostat.errors import Invalid

REFUSED = "Refused"
FURTHER = "tests/converters/golden/further"
CONTROLLERS = [
    pytest.param(module, item, id=f"{module}/{item.names[0]}")
    for module in registry.NAMES
    for item in getattr(registry.find(module), "controllers", [])
    if not item.becomes.startswith(REFUSED)
]


def _of(case: Case) -> Scheduler | None:
    library = registry.find(case["file"])
    return library.find(case["name"]) if library else None


RECORDS = [
    case
    for case in CASES
    if "metrics" in case and (item := _of(case)) and not item.becomes.startswith(REFUSED)
]


def converted(case: Case) -> Conversion:
    """Return what a record's scheduler becomes."""
    return conversion(case["file"], case["name"], **asked(case))


def simulated(case: Case) -> Simulation:
    """Return what the controller makes of a record's metrics, reported at its own steps."""
    found = converted(case)
    assert found.controller is not None
    reports = [
        (step, float(value)) for step, value in zip(case["steps"], case["metrics"], strict=True)
    ]
    base = case.get("base_value", 1.0)
    return simulate(found.controller, reports, definition=found.definition, base_value=base)


def of(field: str) -> pytest.MarkDecorator:
    """Return the parameters of a test of the records that have a field."""
    chosen = [case for case in RECORDS if field in case]
    return pytest.mark.parametrize("case", chosen, ids=[case["id"] for case in chosen])


@of("values")
def test_a_plateau_falls_when_its_library_s_own_does(case: Case) -> None:
    """After each report the value is the library's, so that each drop is at the very call."""
    found = simulated(case)
    assert found.steps == case["steps"]
    assert np.asarray(found.values) == pytest.approx(np.asarray(case["values"]), rel=1e-12)


@of("stopped")
def test_a_stop_is_where_its_library_s_own_is(case: Case) -> None:
    """The report that stops the training is the one at which the library does."""
    calls = [case["steps"].index(each["step"]) + 1 for each in simulated(case).decisions]
    assert calls == ([] if case["stopped"] is None else [case["stopped"]])


@pytest.mark.parametrize(("module", "item"), CONTROLLERS)
def test_everything_that_reacts_has_records(module: str, item: Scheduler) -> None:
    """Each plateau falls, and each early stopping stops, in a record of its library's own."""
    held = [case for case in RECORDS if case["file"] == module and _of(case) is item]
    acting = [case for case in held if case.get("stopped") or len(set(case.get("values", ()))) > 1]
    assert acting, f"no record in {FURTHER}/{module}.jsonl in which {item.names[0]} decides"


@pytest.mark.parametrize("case", RECORDS, ids=[case["id"] for case in RECORDS])
def test_a_run_can_be_armed_with_what_is_answered(case: Case) -> None:
    """The JSON of the answer is read as the same controller, whichever record it is."""
    found = converted(case).controller
    assert found is not None
    assert parse_controller(json.loads(json.dumps(found.document))) == found


MAXIMUM = {"mode": "max"}
CONFIG = {"scheduler": {"name": "ReduceLROnPlateau", "params": {}}, "monitor": "loss"}
REFUSALS: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "a factor that grows": ("torch", "ReduceLROnPlateau", {"factor": 1.5}, "params", "factor"),
    "no threshold of two": ("optax", "reduce_on_plateau", {"rtol": 0.0}, "params.rtol", "above 0"),
    "a nameless maximum": ("torch", "ReduceLROnPlateau", MAXIMUM, "metric", "is required"),
    "a floor of each group": (
        *("torch", "ReduceLROnPlateau", {"min_lr": [0.1, 0.2]}),
        *("params.min_lr", "say which one"),
    ),
    "a direction that Keras asks for": (
        *("keras", "EarlyStopping", {"monitor": "accuracy"}),
        *("params.mode", "cannot be told"),
    ),
    "weights to restore": (
        *("keras", "EarlyStopping", {"restore_best_weights": True}),
        *("params.restore_best_weights", "the training's own affair"),
    ),
    "epochs of unknown length": (
        *("keras", "EarlyStopping", {"start_from_epoch": 3}),
        *("steps_per_epoch", "counts epochs"),
    ),
    "a batch that Composer cannot count": (
        *("composer", "EarlyStopper", {"monitor": "loss", "dataloader_label": "eval"}),
        *("context.dataloader_len", "is required"),
    ),
    "tokens of patience": (
        *("composer", "EarlyStopper"),
        {"monitor": "loss", "dataloader_label": "eval", "patience": "10tok"},
        *("params.patience", "epochs or batches"),
    ),
    "a baseline that counts as the best": (
        *("paddle", "EarlyStopping", {"patience": 2, "baseline": 0.5}),
        *("params.baseline", "first best value"),
    ),
    "no patience at all": (
        *("paddle", "EarlyStopping", {}),
        *("params.patience", "stops at the first report"),
    ),
    "a stop that never is": (
        *("fairseq", "should_stop_early", {}),
        *("params.patience", "stops nothing"),
    ),
    "a sum of metrics": (
        *("allennlp", "MetricTracker", {"patience": 2, "validation_metric": ["+a", "-b"]}),
        *("params.validation_metric", "adds up several"),
    ),
    "a metric without a sign": (
        *("allennlp", "MetricTracker", {"patience": 2, "validation_metric": "loss"}),
        *("params.validation_metric", "begin with"),
    ),
    "a share of a negated metric": (
        *("allennlp", "reduce_on_plateau", {}),
        *("params.threshold_mode", "a worse one counts as better"),
    ),
    "a relative change of a score": (
        *("ignite", "EarlyStopping", {"patience": 2, "threshold": 0.1, "threshold_mode": "rel"}),
        *("params.threshold_mode", "nothing that a reading"),
    ),
    "an end of a plateau": (
        *("mmengine", "ReduceOnPlateauLR", {"end": 9}),
        *("params.end", "nothing that a controller has"),
    ),
    "a plateau by the step": (
        *("lightning", "lr_scheduler_config", {**CONFIG, "interval": "step"}),
        *("params.interval", "at every step"),
    ),
    "a plateau that is none": (
        *("lightning", "lr_scheduler_config"),
        {**CONFIG, "scheduler": {"name": "ExponentialLR", "params": {"gamma": 0.5}}},
        *("params.scheduler", "reacts to no metric"),
    ),
    "noise": (
        *("timm", "PlateauLRScheduler", {**MAXIMUM, "noise_range_t": 5}),
        *("params.noise_range_t", "no definition"),
    ),
    "a rate that grows again": ("transformers", "GreedyLR", {}, "name", "a plateau never does"),
    "a tie that is better": (
        "mmengine",
        "EarlyStoppingHook",
        {"monitor": "acc"},
        "name",
        "exactly",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_no_controller_does_is_refused_with_the_reason(why: str) -> None:
    """P10: what no reading does as the library would names its field and says why not."""
    library, name, params, field, said = REFUSALS[why]
    with pytest.raises(Invalid) as caught:
        conversion(library, name, params, 0.1)
    (error,) = caught.value.errors
    assert (error.field, bool(error.bound)) == (field, True)
    assert said in error.message


def test_a_metric_is_called_as_its_library_does_unless_it_is_said() -> None:
    """The name is the user's, then the library's, and a loss where nobody names one."""

    def named(library: str, name: str, params: dict[str, Any], **given: Any) -> str:
        found = conversion(library, name, params, **given).controller
        assert found is not None
        return found.metric

    assert named("torch", "ReduceLROnPlateau", {}) == "val_loss"
    assert named("transformers", "reduce_lr_on_plateau", {}) == "eval_loss"
    assert named("ignite", "ReduceLROnPlateauScheduler", {"metric_name": "nll"}) == "nll"
    stopping = {"monitor": "val/acc", "mode": "max"}
    assert named("lightning", "EarlyStopping", stopping) == "val/acc"
    assert named("lightning", "EarlyStopping", stopping, metric="accuracy") == "accuracy"

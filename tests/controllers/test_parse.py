"""From JSON to controllers: defaults, what is shown, and every refusal by its field."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import jsonschema_rs
import pytest
from tests.controllers.test_controls import WRITTEN

from rheostat.controllers import CONTROLLER, CONTROLLERS, KINDS, parse_controller
from rheostat.errors import Invalid

PLATEAU: dict[str, Any] = {"kind": "plateau", "metric": "val_loss"}
GUARD: dict[str, Any] = {
    "kind": "guard",
    "metric": "loss",
    "above": {"sigma": 6},
    "changes": {"lr": {"edit": "scale", "factor": 0.5}},
}
RULE: dict[str, Any] = {
    "kind": "rule",
    "metric": "loss",
    "when": {"op": "<", "value": 0.3},
    "changes": "stop",
}
STOP: dict[str, Any] = {"kind": "stop", "metric": "loss"}
ALL = [PLATEAU, GUARD, RULE, STOP, *WRITTEN]


def test_a_plateau_with_all_its_defaults() -> None:
    """What is left out is shown with the defaults of PyTorch's ReduceLROnPlateau."""
    assert parse_controller(PLATEAU).document == {
        "kind": "plateau",
        "reading": "torch",
        "metric": "val_loss",
        "mode": "min",
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "min": 0.0,
        "eps": 1e-8,
        "average": 1,
        "parameters": ["lr"],
        "start": 0,
        "sources": {"expect": 1, "reduce": "mean"},
        "effective": "next",
        "gate": None,
        "action": "apply",
        "limit": None,
        "message": "",
    }


@pytest.mark.parametrize("document", ALL, ids=lambda each: each["kind"])
def test_what_is_shown_is_read_again(document: dict[str, Any]) -> None:
    """The document of a controller is one: what is stored can be sent again, and is the same."""
    shown = parse_controller(document).document
    assert parse_controller(shown).document == shown


@pytest.mark.parametrize("document", ALL, ids=lambda each: each["kind"])
def test_the_schema_tells_of_them(document: dict[str, Any]) -> None:
    """What is read, and what is shown, is valid by the JSON Schema of the manual."""
    schema = jsonschema_rs.validator_for(CONTROLLER.json_schema())
    assert schema.is_valid(document)
    assert schema.is_valid(parse_controller(document).document)
    assert not schema.is_valid({**document, "unknown": 1})


def test_every_class_has_a_kind_and_a_reading_of_its_own() -> None:
    """No two classes are chosen by the same words."""
    chosen = [
        (
            cls.model_fields["kind"].default,
            getattr(cls.model_fields.get("reading"), "default", None),
        )
        for cls in CONTROLLERS
    ]
    assert len({*chosen}) == len(chosen) == sum(map(len, KINDS.values()))


WRONG: dict[str, tuple[Any, str]] = {
    "no object": ([], "controller"),
    "no kind": ({"metric": "x"}, "controller.kind"),
    "an unknown kind": ({"kind": "greedy", "metric": "x"}, "controller.kind"),
    "a kind that is no text": ({"kind": {}, "metric": "x"}, "controller.kind"),
    "an unknown reading": ({**PLATEAU, "reading": "jax"}, "controller.reading"),
    "a reading that is null": ({**PLATEAU, "reading": None}, "controller.reading"),
    "no metric": ({"kind": "stop"}, "controller.metric"),
    "a metric of 129 characters": ({**PLATEAU, "metric": 129 * "m"}, "controller.metric"),
    "a metric with a space": ({**PLATEAU, "metric": "val loss"}, "controller.metric"),
    "a metric with a line's end": ({**PLATEAU, "metric": "loss\n"}, "controller.metric"),
    "a factor of 1": ({**PLATEAU, "factor": 1}, "controller.factor"),
    "a factor of 0": ({**PLATEAU, "factor": 0}, "controller.factor"),
    "a factor that is NaN": ({**PLATEAU, "factor": nan}, "controller.factor"),
    "a negative patience": ({**PLATEAU, "patience": -1}, "controller.patience"),
    "a patience that is true": ({**PLATEAU, "patience": True}, "controller.patience"),
    "a patience of 1.5": ({**PLATEAU, "patience": 1.5}, "controller.patience"),
    "a relative threshold of 1": ({**PLATEAU, "threshold": 1}, "controller.threshold"),
    "an infinite floor": ({**PLATEAU, "min": inf}, "controller.min"),
    "a negative eps": ({**PLATEAU, "eps": -1e-9}, "controller.eps"),
    "a mean of no reports": ({**PLATEAU, "average": 0}, "controller.average"),
    "no parameters": ({**PLATEAU, "parameters": []}, "controller.parameters"),
    "a pattern of patterns": ({**PLATEAU, "parameters": ["*"]}, "controller.parameters[0]"),
    "atol in torch": ({**PLATEAU, "atol": 1}, "controller.atol"),
    "min_scale in torch": ({**PLATEAU, "min_scale": 0.1}, "controller.min_scale"),
    "eps in keras": ({**PLATEAU, "reading": "keras", "eps": 0}, "controller.eps"),
    "threshold_mode in keras": (
        {**PLATEAU, "reading": "keras", "threshold_mode": "abs"},
        "controller.threshold_mode",
    ),
    "min in optax": ({**PLATEAU, "reading": "optax", "min": 0}, "controller.min"),
    "mode max in optax": ({**PLATEAU, "reading": "optax", "mode": "max"}, "controller.mode"),
    "optax without a tolerance": (
        {**PLATEAU, "reading": "optax", "threshold": 0},
        "controller.threshold",
    ),
    "a scale above 1": ({**PLATEAU, "reading": "optax", "min_scale": 1.5}, "controller.min_scale"),
    "baseline in lightning": ({**STOP, "baseline": 1.0}, "controller.baseline"),
    "check_finite in keras": (
        {**STOP, "reading": "keras", "check_finite": True},
        "controller.check_finite",
    ),
    "patience in composer": (
        {**STOP, "reading": "composer", "patience": 1, "patience_steps": 1},
        "controller.patience",
    ),
    "no patience in composer": ({**STOP, "reading": "composer"}, "controller.patience_steps"),
    "an unknown mode": ({**STOP, "mode": "auto"}, "controller.mode"),
    "a negative start": ({**STOP, "start": -1}, "controller.start"),
    "a start beyond 2^53": ({**STOP, "start": 2**53}, "controller.start"),
    "a limit of 0": ({**STOP, "limit": 0}, "controller.limit"),
    "an action": ({**STOP, "action": "ask"}, "controller.action"),
    "a message that is none": ({**STOP, "message": None}, "controller.message"),
    "after 0": ({**STOP, "effective": {"after": 0}}, "controller.effective.after"),
    "after nothing": ({**STOP, "effective": {}}, "controller.effective.after"),
    "late next": (
        {**STOP, "effective": {"after": 5, "late": "next"}},
        "controller.effective.late",
    ),
    "a step": ({**STOP, "effective": 100}, "controller.effective"),
    "a gate and after": (
        {**STOP, "gate": {"every": 10}, "effective": {"after": 10}},
        "controller.gate",
    ),
    "a gate at every 0": ({**STOP, "gate": {"every": 0}}, "controller.gate.every"),
    "a gate at every day": ({**STOP, "gate": {"every": "day"}}, "controller.gate.every"),
    "no sources": ({**STOP, "sources": {"expect": 0}}, "controller.sources.expect"),
    "an unknown reduction": (
        {**STOP, "sources": {"reduce": "median"}},
        "controller.sources.reduce",
    ),
    "two measures": ({**GUARD, "above": {"sigma": 1, "mad": 2}}, "controller.above.mad"),
    "no measure": ({**GUARD, "above": {}}, "controller.above.sigma"),
    "a ratio of 1": ({**GUARD, "above": {"ratio": 1}}, "controller.above.ratio"),
    "a window of 1": ({**GUARD, "window": 1}, "controller.window"),
    "for no reports": ({**GUARD, "for": 0}, "controller.for"),
    "for under its name in Python": ({**GUARD, "for_": 2}, "controller.for_"),
    "no changes": ({**GUARD, "changes": {}}, "controller.changes"),
    "changes of something else": ({**GUARD, "changes": "pause"}, "controller.changes"),
    "a parameter's name": ({**GUARD, "changes": {"LR": 1}}, "controller.changes.LR"),
    "no changes of a parameter": ({**GUARD, "changes": {"lr": []}}, "controller.changes.lr"),
    "65 changes": ({**GUARD, "changes": {"lr": 65 * [1]}}, "controller.changes.lr"),
    "a change that is text": ({**GUARD, "changes": {"lr": "half"}}, "controller.changes.lr"),
    "a condition": ({**RULE, "when": {"op": "==", "value": 1}}, "controller.when.op"),
    "a condition on NaN": ({**RULE, "when": {"op": "<", "value": nan}}, "controller.when.value"),
}


@pytest.mark.parametrize(("document", "field"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(document: Any, field: str) -> None:
    """P10: each wrong field is refused by its path, with a sentence and a bound."""
    with pytest.raises(Invalid) as refusal:
        parse_controller(document)
    errors = {error.field: error for error in refusal.value.errors}
    assert field in errors
    assert errors[field].message
    assert errors[field].bound


def test_paths_begin_where_the_caller_says() -> None:
    """The server names a controller by its place in a run's body."""
    with pytest.raises(Invalid) as refusal:
        parse_controller({**STOP, "baseline": 1}, "controllers.early")
    (error,) = refusal.value.errors
    assert error.field == "controllers.early.baseline"
    assert error.message == "is no field of the reading lightning"

"""Fitting: which controllers a run can have, and what they change, read against the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from rheostat.controllers import Acting, Controller, Plateau, parse_controller
from rheostat.errors import FieldError, Invalid
from rheostat.server.runs.changes import Changes, followed, parse_changes
from rheostat.server.runs.validation import Units


@dataclass(frozen=True)
class Fitted:
    """A controller that fits a run, with the JSON of what a guard or a rule changes there."""

    controller: Controller
    changes: str | None


@dataclass(frozen=True)
class Setting:
    """What of a run controllers have to fit: its parameters, what each follows, its lengths."""

    names: Sequence[str]
    sources: Callable[[str], set[str]]
    steps_per_epoch: int | None
    settled: int = 0


def read_controller(document: Any, path: str) -> Controller:
    """Return the controller that JSON describes; the paths of errors begin with ``path``."""
    try:
        return parse_controller(document, "controller")
    except Invalid as refusal:
        raise _moved(refusal, path) from None


def require_fitting(
    controller: Controller, setting: Setting, path: str = "", *, force: bool = False
) -> None:
    """
    Raise `Invalid` unless a run can have a controller; ``path`` is where that stands.

    ``force`` lets gates hold a run that is under way.
    """
    _require_gates(controller, setting, path, force=force)
    if isinstance(controller, Plateau):
        try:
            names = controller.parameters_of(setting.names)
        except Invalid as refusal:
            raise _moved(refusal, path) from None
        _require_apart(names, setting.sources, path)


def changes_of(
    controller: Controller, setting: Setting, units: Units, path: str = ""
) -> str | None:
    """Return what a guard or a rule changes as JSON, read against a run; None for others."""
    if not isinstance(controller, Acting) or isinstance(controller.changes, str):
        return None
    try:
        changes: Changes = parse_changes(controller.changes, setting.names, units)
        changes.require_apart(setting.sources)
    except Invalid as refusal:
        errors = [replace(each, field=f"{path}{each.field}") for each in refusal.errors]
        raise Invalid(refusal.detail, errors=errors) from None
    return changes.document.text


def fitted(documents: Mapping[str, Any], setting: Setting, units: Units) -> dict[str, Fitted]:
    """Return the controllers that a run is created with, by name."""
    found: dict[str, Fitted] = {}
    for name in sorted(documents):
        path = f"controllers.{name}."
        controller = read_controller(documents[name], path)
        require_fitting(controller, setting, path)
        found[name] = Fitted(controller, changes_of(controller, setting, units, path))
    return found


def digest(document: Mapping[str, Any]) -> str:
    """Return what stands for a controller in the specification of its run."""
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _require_gates(controller: Controller, setting: Setting, path: str, *, force: bool) -> None:
    gate = controller.gate
    if gate is None:
        return
    if gate.every == "epoch" and setting.steps_per_epoch is None:
        message = "gates are at epochs, and the run does not say how long one is"
        raise _refused(f"{path}gate.every", message, "epoch", "steps_per_epoch of the run")
    if setting.settled and not force:
        message = (
            f"the run is settled up to {setting.settled}: workers would wait at the next gate,"
            ' whether they report there or not; if they do, say so by "force": true'
        )
        raise _refused(f"{path}gate", message, gate.every, '"force": true')


def _require_apart(names: Sequence[str], sources: Callable[[str], set[str]], path: str) -> None:
    """Raise `Invalid` if one of these parameters follows another one of them."""
    pair = followed(names, sources)
    if pair is not None:
        name, other = pair
        message = f"{name} follows {other}, so that it would be reduced twice"
        raise _refused(f"{path}parameters", message, name, f"{name} or {other}")


def _moved(refusal: Invalid, path: str) -> Invalid:
    """Return an error about a controller that stands at ``path``."""
    errors = [
        replace(each, field=path + each.field.removeprefix("controller").removeprefix("."))
        for each in refusal.errors
    ]
    return Invalid(refusal.detail, errors=errors)


def _refused(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid("The controller is refused.", errors=[FieldError(field, message, value, bound)])

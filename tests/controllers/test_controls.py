"""What clients write of a controller, and what the service reads, are the same fields."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest

import rheostat
from rheostat.controllers import KINDS, parse_controller
from rheostat.controls import CONTROLS, Common, early_stop, plateau, rule, spike_guard

WRITTEN_AS = {
    "after": "effective",
    "late": "effective",
    "gate": "gate",
    "expect": "sources",
    "reduce": "sources",
    "for_": "for",
    "op": "when",
}
WITHIN = {
    "guard": {"sigma": "above", "ratio": "above", "mad": "above", "value": "above"},
    "rule": {"value": "when"},
}
COMMON: dict[str, Any] = {
    "mode": "max",
    "start": 100,
    "expect": 2,
    "reduce": "max",
    "after": 50,
    "late": "drop",
    "action": "propose",
    "limit": 3,
    "message": "by the night shift",
}
"""Each common option, but for the gate, with another value than its default."""

WRITTEN: list[dict[str, Any]] = [
    plateau(
        metric="val_loss",
        reading="torch",
        factor=0.5,
        patience=3,
        threshold=0.5,
        threshold_mode="abs",
        cooldown=4,
        min=1e-6,
        eps=0.0,
        average=2,
        parameters=("lr/*", "momentum"),
        **COMMON,
    ),
    plateau(metric="loss", reading="optax", atol=0.5, min_scale=0.25, gate=100),
    plateau(metric="loss", reading="keras", gate="epoch"),
    early_stop(
        metric="val_loss",
        reading="lightning",
        patience=4,
        min_delta=0.5,
        stopping_threshold=0.25,
        divergence_threshold=9.0,
        check_finite=False,
        **COMMON,
    ),
    early_stop(metric="acc", reading="keras", baseline=0.5),
    early_stop(metric="acc", reading="composer", patience_steps=500),
    spike_guard(
        metric="loss",
        sigma=6.0,
        changes={"lr": rheostat.scale(0.5)},
        window=50,
        for_=2,
        nonfinite=False,
        cooldown=9,
        **COMMON,
    ),
    spike_guard(metric="loss", ratio=3.0, changes="stop"),
    spike_guard(metric="loss", mad=8.0, changes="stop"),
    spike_guard(metric="loss", value=20.0, changes="stop"),
    rule(metric="loss", op="<", value=0.25, changes={"lr": 1}, for_=2, once=False, **COMMON),
]


def fields_of(kind: str) -> set[str]:
    """Return the fields of all readings of a kind, as JSON has them."""
    return {field.alias or name for cls in KINDS[kind] for name, field in cls.model_fields.items()}


@pytest.mark.parametrize("kind", [*KINDS, *CONTROLS])
def test_a_kind_is_written_with_the_fields_that_the_service_takes(kind: str) -> None:
    """A builder's parameters, and the common ones, are the fields of the kind: no more, no less."""
    build = CONTROLS[kind].build
    names = [*inspect.signature(build).parameters, *get_type_hints(Common)]
    within = WITHIN.get(kind, {})
    fields = {within.get(name, WRITTEN_AS.get(name, name)) for name in names if name != "common"}
    assert fields | {"kind"} == fields_of(kind)


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_kind_can_be_imported_from_the_package(kind: str) -> None:
    """`from rheostat import plateau` works for every kind, and `__all__` says so."""
    build = CONTROLS[kind].build
    assert build.__name__ in rheostat.__all__
    assert getattr(rheostat, build.__name__) is build


@pytest.mark.parametrize(
    "written", WRITTEN, ids=lambda each: f"{each['kind']}-{each.get('reading')}"
)
def test_what_is_written_is_read_as_it_was_meant(written: dict[str, Any]) -> None:
    """The service reads each field that a builder writes, and shows it again."""
    document = parse_controller(written).document
    assert {name: document[name] for name in written} == written


@pytest.mark.parametrize("kind", CONTROLS)
def test_each_option_is_written_by_a_test_here(kind: str) -> None:
    """No option of a builder is left out above: one that nobody writes could be lost unseen."""
    written = [each for each in WRITTEN if each["kind"] == kind]
    assert fields_of(kind) <= {name for each in written for name in each} | {"gate"}
    if kind == "plateau":
        assert any("gate" in each for each in written)

"""
MMEngine's lists, against its own recursion, by iteration and by epoch.

The formulas are those of `mmengine.optim.scheduler`'s `_get_value`; a step is an iteration, after
which those that count iterations have their turns, and at the end of an epoch those that count
epochs, as `ParamSchedulerHook` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import cos, pi
from random import Random
from typing import Any

import numpy as np
import pytest

from rheostat.converters import conversion
from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

BASE = 0.1
ENDLESS = 10**9
Spec = dict[str, Any]


@dataclass
class Scheduler:
    """A scheduler of MMEngine: its turns, counted from its begin."""

    name: str
    params: Spec
    counted: int = field(default=-1)
    last: int = field(default=-1)

    def step(self, value: float) -> float:
        """Return the value after a turn."""
        self.counted += 1
        begin, end = self.params.get("begin", 0), self.params.get("end", ENDLESS)
        if not begin <= self.counted < end:
            return value
        self.last += 1
        return self.turn(self.last, value, end - begin - 1)

    def turn(self, t: int, value: float, last: int) -> float:
        """Return what the turn makes of the value."""
        match self.name:
            case "LinearLR" | "LinearMomentum":
                start = self.params["start_factor"]
                if t == 0:
                    return float(value * start)
                rise = 1.0 - start
                return float(value * (1.0 + rise / (last * start + (t - 1) * rise)))
            case "MultiStepLR":
                return float(value * self.params["gamma"] ** self.params["milestones"].count(t))
            case "ExponentialLR":
                return float(value * self.params["gamma"] if t else value)
            case "PolyLR":
                low, power = self.params["eta_min"], self.params["power"]
                left = (1 - 1 / (last - t + 1)) ** power if t else 1.0
                return float((value - low) * left + low)
        half, low = self.params["T_max"], self.params.get("eta_min", 0.0)
        if t == 0:
            return value
        if (t - 1 - half) % (2 * half) == 0:
            return float(value + (BASE - low) * (1 - cos(pi / half)) / 2)
        left = (1 + cos(pi * t / half)) / (1 + cos(pi * (t - 1) / half))
        return float(left * (value - low) + low)


def stepped(specs: list[Spec], length: int, steps: int) -> list[float]:
    """Return the learning rate after each iteration."""
    schedulers = [Scheduler(**item) for item in specs if item["name"].endswith("LR")]
    value = BASE
    for scheduler in schedulers:
        value = scheduler.step(value)
    values = [value]
    for t in range(1, steps):
        for by_epoch in (False, True):
            for scheduler in schedulers:
                own = scheduler.params.get("by_epoch", True)
                if own == by_epoch and (not own or t % length == 0):
                    value = scheduler.step(value)
        values.append(value)
    return values


def spec(name: str, **params: Any) -> Spec:
    """Return a scheduler of a list."""
    return {"name": name, "params": params}


def random_scheduler(random: Random) -> Spec:
    """Return any scheduler, by epochs or by iterations."""
    by_epoch = random.random() < 0.5
    unit = 1 if by_epoch else 4
    begin = random.choice([0, 0, random.randint(0, 10)]) * unit
    window = {"begin": begin, "end": begin + random.randint(2, 15) * unit, "by_epoch": by_epoch}
    match random.choice(["Linear", "MultiStep", "Exponential", "Poly", "Cosine", "Cosine"]):
        case "Linear":
            name = random.choice(["LinearLR", "LinearMomentum"])
            return spec(name, start_factor=random.choice([0.001, 0.1, 0.5]), **window)
        case "MultiStep":
            milestones = sorted(random.randint(0, 14) * unit for _ in range(2))
            return spec("MultiStepLR", milestones=milestones, gamma=0.5, **window)
        case "Exponential":
            return spec("ExponentialLR", gamma=0.9, **window)
        case "Poly":
            low, power = random.choice([0.0, 1e-3]), random.choice([1.0, 0.9, 2.0])
            return spec("PolyLR", eta_min=low, power=power, **window)
    low = random.choice([0.0, 0.0, 1e-3])
    half = random.randint(2, 12) * unit
    return spec("CosineAnnealingLR", T_max=half, eta_min=low, **window)


def converted(specs: list[Spec], **options: Any) -> Any:
    """Return the definition of a list."""
    return convert("mmengine", "list", {"schedulers": specs}, BASE, **options)


def refused_field(specs: list[Spec], **options: Any) -> str:
    """Return the field for which a list is refused."""
    with pytest.raises(Invalid) as caught:
        converted(specs, **options)
    return caught.value.errors[0].field


WARMUP = spec("LinearLR", begin=0, end=500, start_factor=0.001, by_epoch=False)
STAIRS = spec("MultiStepLR", begin=0, end=210, milestones=[170, 200], gamma=0.1, by_epoch=True)
MOMENTUM = spec("CosineAnnealingMomentum", T_max=8, eta_min=0.85 / 0.95, begin=0, end=8)
RATE = spec("CosineAnnealingLR", T_max=8, eta_min=0.01, begin=0, end=8)


def test_two_clocks_need_the_length_of_an_epoch() -> None:
    """A warm-up by iterations before stairs by epochs is converted by iterations, or refused."""
    assert refused_field([WARMUP, STAIRS]) == "steps_per_epoch"
    definition = converted([WARMUP, STAIRS], steps_per_epoch=20)
    found = evaluate(definition, np.array([250, 1000, 3400, 4000])) / BASE
    assert found.tolist() == pytest.approx([250.75e-3 * 2, 1.0, 0.1, 0.01], rel=1e-3)


def test_other_fields_are_left_out() -> None:
    """Of a list of rates and momenta, those count that set what is asked for."""
    both = converted([RATE, MOMENTUM])
    assert both == converted([RATE])
    momentum = convert(
        "mmengine", "list", {"schedulers": [RATE, MOMENTUM]}, 0.95, hyperparameter="momentum"
    )
    assert evaluate(momentum, 4) == pytest.approx((0.95 + 0.85 / 0.95) / 2, rel=1e-12)
    assert refused_field([RATE], hyperparameter="momentum") == "hyperparameter"
    wrong = spec("CosineAnnealingMomentum", T_max=-1)
    assert refused_field([RATE, wrong]).startswith("params.schedulers[1]")


@pytest.mark.parametrize("name", ["LinearLR", "LinearMomentum", "LinearParamScheduler"])
def test_a_scheduler_sets_its_own_field_alone(name: str) -> None:
    """A name that ends in LR or Momentum, or a param_name, says what is set: else it is refused."""
    asked = "lr" if name.endswith("Momentum") else "momentum"
    params = {"end": 5, **({"param_name": "lr"} if name.endswith("Scheduler") else {})}
    with pytest.raises(Invalid) as caught:
        convert("mmengine", name, params, BASE, hyperparameter=asked)
    assert caught.value.errors[0].field == "hyperparameter"


def test_epochs_may_be_converted_to_iterations() -> None:
    """convert_to_iter_based multiplies lengths by the length of an epoch, which it needs."""
    by_epoch = {"T_max": 10, "begin": 2, "end": 12, "convert_to_iter_based": True}
    by_iteration = {"T_max": 200, "begin": 40, "end": 240, "by_epoch": False}
    found = convert("mmengine", "CosineAnnealingLR", by_epoch, BASE, steps_per_epoch=20)
    assert found == convert("mmengine", "CosineAnnealingLR", by_iteration, BASE)
    assert refused_field([spec("CosineAnnealingLR", **by_epoch)]) == "steps_per_epoch"


@pytest.mark.parametrize("seed", range(20))
def test_any_list_is_right_or_refused(seed: int) -> None:
    """Random lists of both clocks have MMEngine's values at every iteration, or are refused."""
    random, right = Random(seed), 0
    for _ in range(15):
        specs = [random_scheduler(random) for _ in range(random.randint(1, 4))]
        length = random.choice([1, 3, 4, 5])
        try:
            definition = converted(specs, steps_per_epoch=length)
        except Invalid:
            continue
        expected = np.array(stepped(specs, length, 200))
        found = evaluate(definition, range(200))
        assert np.allclose(found, expected, rtol=1e-8, atol=1e-13), (specs, length)
        right += 1
    assert right >= 10


PLATEAU = spec("ReduceOnPlateauLR", patience=2, begin=3)


def test_a_plateau_stands_beside_what_the_others_become() -> None:
    """A list with a plateau becomes the others' curve, and a controller from its begin on."""
    schedulers = {"schedulers": [WARMUP, PLATEAU]}
    found = conversion("mmengine", "list", schedulers, BASE, steps_per_epoch=20)
    assert found.curve == converted([WARMUP], steps_per_epoch=20)
    assert found.controller
    assert found.controller.document["start"] == 60
    assert conversion("mmengine", "list", {"schedulers": [PLATEAU]}, steps_per_epoch=20) == replace(
        found, definition=None
    )


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ([PLATEAU], "params.schedulers[1].name"),
        ([spec("CosineAnnealingLR", T_max=8, eta_min=0.01, end=8)], "params.schedulers[1].name"),
        ([spec("ReduceOnPlateauMomentum", factor=2.0)], "params.schedulers[1].params"),
    ],
)
def test_a_plateau_s_company_must_multiply(others: list[dict[str, Any]], field: str) -> None:
    """A second plateau, a curve that pulls to a floor at the same time, a wrong one: refused."""
    schedulers = {"schedulers": [PLATEAU, *others]}
    with pytest.raises(Invalid) as caught:
        conversion("mmengine", "list", schedulers, BASE, steps_per_epoch=1)
    assert caught.value.errors[0].field == field

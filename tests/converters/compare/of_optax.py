"""The functions of optax, called in float64."""

from __future__ import annotations

from random import Random
from typing import Any

import jax
import jax.numpy as jnp
import optax
from tests.converters.compare.draws import (
    FLAG,
    RATE,
    Draw,
    Params,
    among,
    either,
    fields,
    real,
    several,
    whole,
)
from tests.converters.compare.trials import Configuration, nothing_spared

VERSION = optax.__version__
VALUE = either(among(0.0), RATE)
LINE = {"init_value": VALUE, "end_value": VALUE, "transition_steps": whole(0, 90)}
BEGIN = whole(0, 40)
POWER = either(among(0.5, 1.0, 2.0, 3.0), real(0.1, 4.0))
CYCLE: dict[str, Draw] = {"transition_steps": whole(2, 110), "peak_value": RATE}
FACTORS: dict[str, Draw] = {"div_factor": real(1.0, 50.0), "final_div_factor": real(1.0, 1e5)}


def scales(rng: Random) -> dict[str, float]:
    """Draw boundaries with their factors."""
    return {
        str(step): rng.uniform(0.1, 2.0) for step in rng.sample(range(1, 100), rng.randint(0, 5))
    }


PEAK: dict[str, Draw] = {"init_value": VALUE, "peak_value": RATE, "warmup_steps": whole(0, 60)}
DECAYS: dict[str, Draw] = {
    "transition_begin": BEGIN,
    "staircase": FLAG,
    "end_value": either(among(None), real(1e-6, 0.05)),
}


def warm_cosine(rng: Random) -> Params:
    """Draw a warm-up with a cosine, which is longer than it."""
    given = {**PEAK, "decay_steps": whole(1, 60)}
    params = fields(given, end_value=real(0.0, 1e-3), exponent=POWER)(rng)
    return {**params, "decay_steps": params["warmup_steps"] + params["decay_steps"]}


CURVES: dict[str, Draw] = {
    "constant_schedule": fields({"value": VALUE}),
    "linear_schedule": fields(LINE, transition_begin=BEGIN),
    "polynomial_schedule": fields({**LINE, "power": POWER}, transition_begin=BEGIN),
    "exponential_decay": fields(
        {"init_value": RATE, "transition_steps": whole(0, 40), "decay_rate": real(0.0, 1.2)},
        **DECAYS,
    ),
    "cosine_decay_schedule": fields(
        {"init_value": RATE, "decay_steps": whole(1, 110)}, alpha=real(0.0, 1.0), exponent=POWER
    ),
    "piecewise_constant_schedule": fields({"init_value": RATE}, boundaries_and_scales=scales),
    "piecewise_interpolate_schedule": fields(
        {"init_value": RATE, "interpolate_type": among("linear", "cosine")},
        boundaries_and_scales=scales,
    ),
    "cosine_onecycle_schedule": fields(CYCLE, pct_start=real(0.0, 1.0), **FACTORS),
    "linear_onecycle_schedule": fields(
        CYCLE, pct_start=real(0.0, 0.5), pct_final=real(0.5, 1.0), **FACTORS
    ),
    "warmup_constant_schedule": fields(PEAK),
    "warmup_cosine_decay_schedule": warm_cosine,
    "warmup_exponential_decay_schedule": fields(
        {**PEAK, "transition_steps": whole(1, 40), "decay_rate": real(0.1, 1.2)}, **DECAYS
    ),
}


def one(rng: Random) -> Params:
    """Draw a schedule, as they nest, whose powers are not below 1: see `values`."""
    name = rng.choice(sorted(CURVES))
    params = CURVES[name](rng)
    powers = {key: max(params[key], 1.0) for key in ("power", "exponent") if key in params}
    return {"name": name, "params": params | powers}


def joined(rng: Random) -> Params:
    """Draw schedules in turn."""
    schedules = several(one, 1, 4)(rng)
    return {
        "schedules": schedules,
        "boundaries": sorted(rng.sample(range(1, 100), len(schedules) - 1)),
    }


SCHEDULERS: dict[str, Draw] = {
    **CURVES,
    "join_schedules": joined,
    "sgdr_schedule": fields({"cosine_kwargs": several(warm_cosine, 1, 4)}),
}


def built(name: str, params: Params) -> Any:
    """Return optax's own schedule."""
    given = dict(params)
    if given.get("boundaries_and_scales") is not None:
        pairs = given["boundaries_and_scales"].items()
        given["boundaries_and_scales"] = {int(step): scale for step, scale in pairs}
    if "schedules" in given:
        given["schedules"] = [built(**inner) for inner in given["schedules"]]
    return getattr(optax, name)(**given)


def values(configuration: Configuration) -> list[float]:
    """Return optax's values in float64, up to where it fails."""
    with jax.enable_x64(True):
        try:
            schedule = built(configuration.name, configuration.params)
            steps = range(configuration.steps)
            if _slow(configuration):
                return [float(value) for value in jax.vmap(schedule)(jnp.array(steps))]
            # One by one: what XLA compiles for many at once divides less exactly, and a small
            # power of what should be 0 is not small.
            return [float(schedule(step)) for step in steps]
        except (ZeroDivisionError, ValueError):
            return []


def _slow(configuration: Configuration) -> bool:
    """Return whether points are looked for at each step."""
    schedules = configuration.params.get("schedules", [{"name": configuration.name}])
    return any("interpolate" in one["name"] or "onecycle" in one["name"] for one in schedules)


spared = nothing_spared

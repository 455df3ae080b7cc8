"""
Random definitions, as JSON, all of them valid.

Every kind has an entry here with each of its fields, or a test of the kinds fails.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rheostat.schedules.field_types import SHAPES

Json = dict[str, Any]
Fields = dict[str, SearchStrategy[Any]]

values = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.1, 1e-12, 3]),
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(1e-9, 1.0),
)
above_zero = st.floats(1e-6, 1e3)
lengths = st.one_of(st.integers(1, 50), st.integers(1, 10**15))
short = st.integers(1, 60)
durations = st.one_of(short.map(float), st.floats(0.3, 1e4))
factors = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0.0, 1.0))
shapes = st.sampled_from(sorted(SHAPES))
shape_fields = {
    "power": st.one_of(st.sampled_from([1, 2, 0.5]), st.floats(0.05, 8)),
    "ratio": st.floats(1e-6, 0.999),
}
flag = st.booleans()
any_shape = {"shape": shapes, **shape_fields}
corners = st.sampled_from(["linear", "cosine"])


def _points() -> SearchStrategy[list[list[float]]]:
    places = st.lists(
        st.floats(0, 1000, allow_subnormal=False), min_size=1, max_size=6, unique=True
    )
    steps = st.one_of(places, st.lists(st.integers(0, 80), min_size=1, max_size=6, unique=True))
    return steps.map(sorted).flatmap(
        lambda xs: st.tuples(*(values for _ in xs)).map(
            lambda ys: [list(pair) for pair in zip(xs, ys, strict=True)]
        )
    )


CURVES: dict[str, Fields] = {
    "constant": {"value": values},
    "linear": {"start": values, "end": values, "steps": lengths},
    "cosine": {"start": values, "end": values, "steps": lengths, "periodic": flag},
    "polynomial": {
        "start": values,
        "end": values,
        "steps": lengths,
        "power": shape_fields["power"],
        "cycle": flag,
    },
    "ramp": {"start": values, "end": values, "steps": lengths, "mirrored": flag, **any_shape},
    "sigmoid": {"start": values, "end": values, "center": st.floats(0, 1e4), "width": durations},
    "exponential": {
        "start": values,
        "factor": factors,
        "every": durations,
        "staircase": flag,
        "floor": st.one_of(st.none(), values),
    },
    "inverse_sqrt": {"start": values, "timescale": durations, "power": shape_fields["power"]},
    "inverse_time": {"start": values, "rate": above_zero, "every": durations, "staircase": flag},
    "multistep": {
        "start": values,
        "milestones": st.lists(lengths, max_size=5),
        "factor": factors,
    },
    "piecewise": {
        "points": _points(),
        "interpolation": st.sampled_from(["previous", "linear", "cosine"]),
    },
    "table": {"values": st.lists(values, min_size=1, max_size=20)},
}
"""The fields of each kind that stands alone."""

PRESETS: dict[str, Fields] = {
    "step": {"start": values, "every": durations, "factor": factors},
    "wsd": {
        "peak": values,
        "warmup": st.integers(0, 40),
        "warmup_start": values,
        "warmup_ahead": st.integers(0, 45),
        "stable": st.one_of(st.none(), st.integers(0, 40)),
        "decay": lengths,
        "decay_shape": shapes,
        "end": values,
        **shape_fields,
    },
    "one_cycle": {
        "peak": values,
        "steps": lengths,
        "start": values,
        "end": values,
        "up": st.floats(0.01, 0.49),
        "shape": corners,
        "three_phase": flag,
    },
    "cyclic": {
        "low": values,
        "high": values,
        "up": short,
        "down": short,
        "shape": corners,
        "amplitude": st.sampled_from(["constant", "halving", "exponential"]),
        "gamma": st.floats(0.5, 1),
    },
    "cosine_restarts": {
        "start": values,
        "end": values,
        "period": durations,
        "period_factor": st.sampled_from([1, 1.5, 2, 3, 1.02]),
        "peak_factor": factors,
        "cycles": st.one_of(st.none(), st.integers(1, 5)),
    },
}
"""The fields of each preset that holds no other definition."""

FOLLOWERS: dict[str, Fields] = {
    "follow": {
        "parameter": st.sampled_from(["lr", "lr/head"]),
        "scale": values,
        "power": st.sampled_from([1, 2, 3, -1, -2, -0.5, 0]),
        "offset": values,
    },
}
"""The fields of each kind whose values are computed from another parameter's."""


def _parts(inner: SearchStrategy[Json]) -> SearchStrategy[list[Json]]:
    part = st.fixed_dictionaries(
        {"schedule": inner, "steps": st.integers(0, 40)},
        optional={"from": st.one_of(st.integers(0, 40), st.floats(0, 40))},
    )
    closed = st.lists(part, min_size=1, max_size=3)
    opened = st.tuples(closed, st.fixed_dictionaries({"schedule": inner})).map(
        lambda pair: [*pair[0], pair[1]]
    )
    return st.one_of(closed, opened)


def of_values(inner: SearchStrategy[Json]) -> dict[str, Fields]:
    """Return the fields of each kind that combines values at one step."""
    several = st.lists(inner, min_size=1, max_size=3)
    return {
        "product": {"of": several},
        "sum": {"of": several},
        "minimum": {"of": several},
        "maximum": {"of": several},
        "scale": {"of": inner, "factor": values},
        "power": {"of": inner, "exponent": st.sampled_from([1, 2, 3])},
        "clip": {"of": inner, "min": st.floats(-10, 0), "max": st.floats(0, 10)},
        "quantize": {
            "of": inner,
            "multiple": st.sampled_from([1, 16, 0.1]),
            "rounding": st.sampled_from(["floor", "ceil", "nearest"]),
        },
        "noise": {
            "of": inner,
            "seed": st.integers(0, 2**63 - 1),
            "amplitude": st.floats(0.01, 1),
            "distribution": st.sampled_from(["uniform", "normal"]),
            "std": st.floats(0.05, 2),
        },
    }


def in_time(inner: SearchStrategy[Json]) -> dict[str, Fields]:
    """Return the fields of each kind that says when other definitions hold."""
    return {
        "sequence": {"parts": _parts(inner)},
        "warmup": {
            "steps": st.integers(0, 40),
            "start": values,
            "ahead": st.integers(0, 45),
            "then": inner,
            **any_shape,
        },
        "repeat": {
            "of": inner,
            "every": durations,
            "period_factor": st.sampled_from([1, 1.5, 2, 1.02]),
            "peak_factor": factors,
            "cycles": st.one_of(st.none(), st.integers(1, 5)),
        },
        "stretch": {"of": inner, "ratio": st.floats(0.1, 10)},
        "warp": {"of": inner, "steps": short, **any_shape},
        "staircase": {"of": inner, "every": durations},
    }


def of_kinds(kinds: dict[str, Fields]) -> SearchStrategy[Json]:
    """Return definitions of some kinds, with all of their fields."""
    return st.one_of(
        *(
            st.fixed_dictionaries({"kind": st.just(name), **fields})
            for name, fields in kinds.items()
        )
    )


curves, presets = of_kinds(CURVES), of_kinds(PRESETS)

EVERY: dict[str, Fields] = {
    **CURVES,
    **PRESETS,
    **FOLLOWERS,
    **of_values(curves),
    **in_time(curves),
}
"""The fields of every kind."""

definitions = st.recursive(
    curves | presets,
    lambda inner: of_kinds(in_time(inner)) | of_kinds(of_values(inner)),
    max_leaves=6,
)
"""Definitions of every kind but those that follow, up to six curves in each."""

followers = st.recursive(
    curves | of_kinds(FOLLOWERS), lambda inner: of_kinds(of_values(inner)), max_leaves=4
)
"""Definitions that may follow the parameters ``lr`` and ``lr/head``."""

steps = st.lists(
    st.one_of(st.integers(0, 130), st.integers(0, 10**4), st.integers(0, 2**53 - 1)),
    min_size=1,
    max_size=30,
)
"""Steps in any order."""


_EXTREMES = [0, 1, -1, 5e-324, 1e-300, 1e-6, 1e200, 1.7e308, -1.7e308, 2**53 - 1, 2**53]


def _shaken(data: Any, choose: Any) -> Any:
    """Return JSON with some of its numbers replaced by extreme ones."""
    if isinstance(data, dict):
        return {key: _shaken(item, choose) for key, item in data.items()}
    if isinstance(data, list):
        return [_shaken(item, choose) for item in data]
    if isinstance(data, (int, float)) and not isinstance(data, bool) and choose(st.booleans()):
        return choose(st.sampled_from(_EXTREMES))
    return data


@st.composite
def extreme(draw: Any) -> Json:
    """Return definitions with extreme numbers, many of them not valid."""
    return dict(_shaken(draw(definitions), draw))

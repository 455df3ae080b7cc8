"""Random definitions, as JSON, all of them valid."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rheostat.schedules.field_types import SHAPES

Json = dict[str, Any]

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


def kind(name: str, **fields: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """Return definitions of a kind with all of these fields."""
    return st.fixed_dictionaries({"kind": st.just(name), **fields})


def flag() -> SearchStrategy[bool]:
    """Return true or false."""
    return st.booleans()


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


curves = st.one_of(
    kind("constant", value=values),
    kind("linear", start=values, end=values, steps=lengths),
    kind("cosine", start=values, end=values, steps=lengths, periodic=flag()),
    kind(
        "polynomial",
        start=values,
        end=values,
        steps=lengths,
        power=shape_fields["power"],
        cycle=flag(),
    ),
    kind(
        "ramp",
        start=values,
        end=values,
        steps=lengths,
        shape=shapes,
        mirrored=flag(),
        **shape_fields,
    ),
    kind("sigmoid", start=values, end=values, center=st.floats(0, 1e4), width=durations),
    kind("exponential", start=values, factor=factors, every=durations, staircase=flag()),
    kind("inverse_sqrt", start=values, timescale=durations, power=shape_fields["power"]),
    kind("inverse_time", start=values, rate=above_zero, every=durations, staircase=flag()),
    kind("multistep", start=values, milestones=st.lists(lengths, max_size=5), factor=factors),
    kind(
        "piecewise",
        points=_points(),
        interpolation=st.sampled_from(["previous", "linear", "cosine"]),
    ),
    kind("table", values=st.lists(values, min_size=1, max_size=20)),
)

presets = st.one_of(
    kind("step", start=values, every=durations, factor=factors),
    kind(
        "wsd",
        peak=values,
        warmup=st.integers(0, 40),
        warmup_start=values,
        stable=st.one_of(st.none(), st.integers(0, 40)),
        decay=lengths,
        decay_shape=shapes,
        end=values,
        **shape_fields,
    ),
    kind(
        "one_cycle",
        peak=values,
        steps=lengths,
        start=values,
        end=values,
        up=st.floats(0.01, 0.49),
        shape=st.sampled_from(["linear", "cosine"]),
        three_phase=flag(),
    ),
    kind(
        "cyclic",
        low=values,
        high=values,
        up=short,
        down=short,
        shape=st.sampled_from(["linear", "cosine"]),
        amplitude=st.sampled_from(["constant", "halving", "exponential"]),
        gamma=st.floats(0.5, 1),
    ),
    kind(
        "cosine_restarts",
        start=values,
        end=values,
        period=durations,
        period_factor=st.sampled_from([1, 1.5, 2, 3]),
        peak_factor=factors,
        cycles=st.one_of(st.none(), st.integers(1, 5)),
    ),
)


def _part(inner: SearchStrategy[Json]) -> SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"schedule": inner, "steps": st.integers(0, 40)},
        optional={"from": st.one_of(st.integers(0, 40), st.floats(0, 40))},
    )


def _sequences(inner: SearchStrategy[Json]) -> SearchStrategy[Json]:
    closed = st.lists(_part(inner), min_size=1, max_size=3)
    opened = st.tuples(closed, st.fixed_dictionaries({"schedule": inner})).map(
        lambda pair: [*pair[0], pair[1]]
    )
    return kind("sequence", parts=st.one_of(closed, opened))


def combined(inner: SearchStrategy[Json]) -> SearchStrategy[Json]:
    """Return definitions that are made of others."""
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        _sequences(inner),
        kind("warmup", steps=st.integers(0, 40), start=values, shape=shapes, then=inner),
        kind(
            "repeat",
            of=inner,
            every=durations,
            period_factor=st.sampled_from([1, 1.5, 2]),
            peak_factor=factors,
            cycles=st.one_of(st.none(), st.integers(1, 5)),
        ),
        kind("stretch", of=inner, ratio=st.floats(0.1, 10)),
        kind("warp", of=inner, steps=short, shape=shapes, **shape_fields),
        kind("staircase", of=inner, every=durations),
        kind("product", of=several),
        kind("sum", of=several),
        kind("scale", of=inner, factor=values),
        kind("power", of=inner, exponent=st.sampled_from([1, 2, 3])),
        kind("clip", of=inner, min=st.floats(-10, 0), max=st.floats(0, 10)),
        kind(
            "quantize",
            of=inner,
            multiple=st.sampled_from([1, 16, 0.1]),
            rounding=st.sampled_from(["floor", "ceil", "nearest"]),
        ),
        kind(
            "noise",
            of=inner,
            seed=st.integers(0, 2**63 - 1),
            amplitude=st.floats(0.01, 1),
            distribution=st.sampled_from(["uniform", "normal"]),
            std=st.floats(0.05, 2),
        ),
    )


definitions = st.recursive(curves | presets, combined, max_leaves=6)
"""Definitions of every kind but follow, up to six curves in each."""

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

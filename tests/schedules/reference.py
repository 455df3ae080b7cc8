"""
The kinds again, as slowly and as exactly as possible: what golden values come from.

Every formula of the manual is written once more in rational numbers and mpmath's 60 digits, from
the raw JSON, and shares no code with the product.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, inf
from typing import Any

import mpmath
from mpmath import mpf

mpmath.mp.dps = 60

Json = dict[str, Any]


def value(definition: Json, t: int | Fraction) -> Any:
    """Return the exact value of a definition, written out with plain lengths, at t."""
    return KINDS[definition["kind"]](definition, max(Fraction(t), Fraction(0)))


def exact(number: float) -> Any:
    """Return a float64 as it is."""
    return mpf(number)


def ratio(number: Fraction) -> Any:
    """Return a rational number in 60 digits."""
    return mpf(number.numerator) / number.denominator


def fall(name: str, y: Any, d: Json) -> Any:
    """Return the shape c(y)."""
    power, r = exact(d.get("power", 1.0)), exact(d.get("ratio", 0.1))
    shapes: dict[str, Callable[[], Any]] = {
        "linear": lambda: 1 - y,
        "cosine": lambda: (1 + mpmath.cos(mpmath.pi * y)) / 2,
        "1-sqrt": lambda: 1 - mpmath.sqrt(y),
        "power": lambda: 1 - y**power,
        "polynomial": lambda: (1 - y) ** power,
        "exponential": lambda: (r**y - r) / (1 - r),
        "rational": lambda: (1 - y) / (1 - (1 - r) * y),
        "logarithmic": lambda: 1 - mpmath.log(1 + (1 / r - 1) * y) / mpmath.log(1 / r),
    }
    return shapes[name]()


def between(start: float, end: float, c: Any) -> Any:
    """Return what lies between: start where c is 1, end where c is 0."""
    return exact(end) + (exact(start) - exact(end)) * c


def progress(d: Json, t: Fraction) -> Any:
    """Return how far t is in `steps`, from 0 to 1."""
    return min(ratio(t / Fraction(d["steps"])), mpf(1))


def cosine(d: Json, t: Fraction) -> Any:
    """Half a wave, or the wave that goes on."""
    y = ratio(t / d["steps"]) if d.get("periodic") else progress(d, t)
    return between(d["start"], d["end"], fall("cosine", y, d))


def polynomial(d: Json, t: Fraction) -> Any:
    """Return the power of what remains, in growing teeth if told so."""
    n = d["steps"] * (max(1, ceil(t / d["steps"])) if d.get("cycle") else 1)
    return between(d["start"], d["end"], fall("polynomial", min(ratio(t / n), mpf(1)), d))


def ramp(d: Json, t: Fraction) -> Any:
    """Any shape, perhaps backwards."""
    y = progress(d, t)
    if d.get("mirrored"):
        return between(d["end"], d["start"], fall(d["shape"], 1 - y, d))
    return between(d["start"], d["end"], fall(d["shape"], y, d))


def sigmoid(d: Json, t: Fraction) -> Any:
    """Return the logistic curve."""
    x = (t - Fraction(d["center"])) / Fraction(d["width"])
    return between(d["start"], d["end"], 1 / (1 + mpmath.exp(ratio(x))))


def applications(d: Json, t: Fraction) -> Any:
    """Return t/every, rounded down in a staircase."""
    times = t / Fraction(d.get("every", 1))
    return mpf(floor(times)) if d.get("staircase") else ratio(times)


def exponential(d: Json, t: Fraction) -> Any:
    """Return a factor applied again and again, down to a floor."""
    x = exact(d["start"]) * exact(d["factor"]) ** applications(d, t)
    return x if d.get("floor") is None else max(x, exact(d["floor"]))


def inverse_sqrt(d: Json, t: Fraction) -> Any:
    """Return a power law."""
    scale = Fraction(d["timescale"])
    return exact(d["start"]) * ratio(scale / (scale + t)) ** exact(d.get("power", 0.5))


def inverse_time(d: Json, t: Fraction) -> Any:
    """Return a value over a divisor that grows."""
    return exact(d["start"]) / (1 + exact(d["rate"]) * applications(d, t))


def multistep(d: Json, t: Fraction) -> Any:
    """Return a value with a factor at each milestone."""
    return exact(d["start"]) * exact(d["factor"]) ** sum(m <= t for m in d["milestones"])


def piecewise(d: Json, t: Fraction) -> Any:
    """Points, and what lies between."""
    points = [(Fraction(step), x) for step, x in d["points"]]
    if t <= points[0][0]:
        return exact(points[0][1])
    for (a, start), (b, end) in itertools.pairwise(points):
        if a <= t < b:
            y = ratio((t - a) / (b - a))
            return between_points(d.get("interpolation", "linear"), start, end, y)
    return exact(points[-1][1])


def between_points(how: str, start: float, end: float, y: Any) -> Any:
    """Return what lies between two points."""
    if how == "previous":
        return exact(start)
    if how == "geometric":
        return (
            exact(start) ** (1 - y) * exact(end) ** y
            if start > 0
            else -(exact(-start) ** (1 - y) * exact(-end) ** y)
        )
    return between(start, end, fall(how, y, {}))


def sequence(d: Json, t: Fraction) -> Any:
    """One after the other."""
    begin, last = Fraction(0), len(d["parts"]) - 1
    for i, part in enumerate(d["parts"]):
        end = part.get("until")
        if end is None and part.get("steps") is not None:
            end = begin + part["steps"]
        if end is None or t < end or i == last:
            place = t if end is None else min(t, Fraction(end))
            return value(part["schedule"], place - begin + Fraction(part.get("from", 0)))
        begin = Fraction(end)
    raise AssertionError


def cycle(d: Json, every: str, t: Fraction) -> tuple[int, Fraction, Fraction]:
    """Return the number of the cycle at t, where it begins, and how much longer than the first."""
    length, growth = Fraction(d[every]), Fraction(d.get("period_factor", 1))
    last = inf if d.get("cycles") is None else d["cycles"] - 1
    if growth == 1:
        number = int(min(floor(t / length), last))
        return number, number * length, growth
    number, begin, factor = 0, Fraction(0), Fraction(1)
    while t >= begin + length * factor and number < last:
        number, begin, factor = number + 1, begin + length * factor, factor * growth
    return number, begin, factor


def repeat(d: Json, t: Fraction) -> Any:
    """Again and again, longer and higher."""
    number, begin, factor = cycle(d, "every", t)
    place = min((t - begin) / factor, Fraction(d["every"]))
    return exact(d.get("peak_factor", 1)) ** number * value(d["of"], place)


def warp(d: Json, t: Fraction) -> Any:
    """Time along a shape."""
    y = 1 - fall(d.get("shape", "power"), progress(d, t), d)
    return value(d["of"], d["steps"] * Fraction(mpmath.nstr(y, 50)))


def staircase(d: Json, t: Fraction) -> Any:
    """Time in stairs."""
    every = Fraction(d["every"])
    return value(d["of"], every * floor(t / every))


def clip(d: Json, t: Fraction) -> Any:
    """Between two limits."""
    x = value(d["of"], t)
    x = x if d.get("min") is None else max(x, exact(d["min"]))
    return x if d.get("max") is None else min(x, exact(d["max"]))


def quantize(d: Json, t: Fraction) -> Any:
    """Multiples."""
    multiple = exact(d.get("multiple", 1))
    how = {"floor": mpmath.floor, "ceil": mpmath.ceil, "nearest": mpmath.nint}
    return multiple * how[d.get("rounding", "floor")](value(d["of"], t) / multiple)


def step(d: Json, t: Fraction) -> Any:
    """Return a value with a factor every so many steps."""
    return exponential({**d, "staircase": True}, t)


def warmup(d: Json, t: Fraction) -> Any:
    """Return a ramp up to what follows."""
    if t >= d["steps"]:
        return value(d["then"], t - d["steps"])
    start, peak = exact(d.get("start", 0)), value(d["then"], 0)
    y = progress(d, t + d.get("ahead", 0))
    return start + (peak - start) * fall(d.get("shape", "linear"), 1 - y, d)


def wsd(d: Json, t: Fraction) -> Any:
    """Up, along, down."""
    if t < d["warmup"]:
        y = min(ratio((t + d.get("warmup_ahead", 0)) / Fraction(d["warmup"])), mpf(1))
        return between(d.get("warmup_start", 0.0), d["peak"], 1 - y)
    if d.get("stable") is None:
        return exact(d["peak"])
    y = ratio(max(t - d["warmup"] - d["stable"], Fraction(0)) / d["decay"])
    shape = fall(d.get("decay_shape", "linear"), min(y, mpf(1)), d)
    return between(d["peak"], d.get("end", 0.0), shape)


def one_cycle(d: Json, t: Fraction) -> Any:
    """Up and down once; the corner is where float64 puts it."""
    turn = d.get("up", 0.3) * d["steps"]
    points = [(0, d["start"]), (turn, d["peak"]), (d["steps"], d["end"])]
    if d.get("three_phase"):
        points.insert(2, (2 * turn, d["start"]))
    return piecewise({"points": points, "interpolation": d.get("shape", "cosine")}, t)


def cyclic(d: Json, t: Fraction) -> Any:
    """Up and down for ever."""
    cycle, place = divmod(t, d["up"] + d["down"])
    y = place / d["up"] if place < d["up"] else 1 - (place - d["up"]) / Fraction(d["down"])
    w = 1 - fall(d.get("shape", "linear"), ratio(y), d)
    amplitude = {
        "constant": mpf(1),
        "halving": mpf(2) ** -cycle,
        "exponential": exact(d.get("gamma", 1.0)) ** ratio(t),
    }
    return between(d["low"], d["high"], 1 - w * amplitude[d.get("amplitude", "constant")])


def cosine_restarts(d: Json, t: Fraction) -> Any:
    """Cosines again and again."""
    number, begin, factor = cycle(d, "period", t)
    y = min(ratio((t - begin) / (Fraction(d["period"]) * factor)), mpf(1))
    start = exact(d["start"]) * exact(d.get("peak_factor", 1.0)) ** number
    return exact(d["end"]) + (start - exact(d["end"])) * fall("cosine", y, d)


KINDS: dict[str, Callable[[Json, Fraction], Any]] = {
    "constant": lambda d, _: exact(d["value"]),
    "linear": lambda d, t: between(d["start"], d["end"], 1 - progress(d, t)),
    "cosine": cosine,
    "polynomial": polynomial,
    "ramp": ramp,
    "sigmoid": sigmoid,
    "exponential": exponential,
    "inverse_sqrt": inverse_sqrt,
    "inverse_time": inverse_time,
    "multistep": multistep,
    "piecewise": piecewise,
    "table": lambda d, t: exact(d["values"][min(floor(t), len(d["values"]) - 1)]),
    "sequence": sequence,
    "repeat": repeat,
    "stretch": lambda d, t: value(d["of"], t / Fraction(d["ratio"])),
    "warp": warp,
    "staircase": staircase,
    "product": lambda d, t: mpmath.fprod(value(part, t) for part in d["of"]),
    "sum": lambda d, t: mpmath.fsum(value(part, t) for part in d["of"]),
    "minimum": lambda d, t: min(value(part, t) for part in d["of"]),
    "maximum": lambda d, t: max(value(part, t) for part in d["of"]),
    "scale": lambda d, t: exact(d["factor"]) * value(d["of"], t),
    "power": lambda d, t: value(d["of"], t) ** exact(d["exponent"]),
    "clip": clip,
    "quantize": quantize,
    "step": step,
    "warmup": warmup,
    "wsd": wsd,
    "one_cycle": one_cycle,
    "cyclic": cyclic,
    "cosine_restarts": cosine_restarts,
}
"""Every kind that has a formula of the step alone."""

ELSEWHERE = {"noise", "follow"}
"""Kinds that have none: noise is hashed, and what follows is not a function of the step."""

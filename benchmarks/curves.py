"""
Curves of a million steps, side by side: how long they take, and how exact they are.

    python benchmarks/curves.py

Each column answers the same question, the values of one schedule at the steps 0 … 999,999 as
float64, in the way that is quickest for a user of that library:

``again``      Rheostat's ``evaluate(definition, range(10**6))``, asked before: what a caller gets
               who is warmed as optax is. It is a view of the cache, and nothing is computed
``anew``       all million values computed anew by Rheostat's numeric core, which knows the curve
               and its nodes, as the other libraries know their compiled functions
``first``      parsing a definition never seen before and ``evaluate``, with nothing known
``optax``      ``jax.jit(jax.vmap(schedule))`` in x64, warmed, on a device array of steps: computes
               all million values each time
``torch``      a tensor expression in float64, on a tensor of steps
``numpy``      the direct formula, on an array of steps
``stepped``    PyTorch's scheduler, stepped 20,000 times, as if a million times

All run in one process and take turns, each up to two seconds or 200 times; the table shows the best
time of each in milliseconds, which other work on the machine disturbs least, and how many times
longer optax takes than ``again`` and than ``anew``. Steps exist before the clock starts. JAX and
PyTorch use all processors, Rheostat and NumPy one; run it under ``taskset -c 0`` to see all of them
on one. Optax has no inverse square root and no inverse time: its column is the direct formula
there, compiled by JAX. Libraries that are not installed show as such.

The second table is the largest distance from the exact value (mpmath, 50 digits) in units in the
last place, over 3,000 of the steps, among them the last thousand. The third is a single step
through ``evaluate``, the best time in microseconds: ``cold``, of a definition that is parsed but
was never asked for, its content hash included; ``warm``, of one asked for before; and ``parse`` is
what it takes from JSON to such a definition.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from rheostat.schedules import evaluate, numeric, parse

STEPS = 1_000_000
STEPPED = 20_000
START, END = 1e-3, 1e-5
FACTOR, EVERY, TIMESCALE, RATE = 0.9999, 10, 4000.0, 0.5
TURNS, SECONDS = 200, 2.0
NEW = count(1)
"""Tells definitions apart."""

Formula = Callable[[Any], Any]


class Kind(NamedTuple):
    """A schedule, in Rheostat's and in the others' words."""

    name: str
    definition: dict[str, Any]
    core: Formula
    direct: Callable[[Any, Any], Any]
    """The formula over steps, by the functions of a module."""
    optax: Callable[[Any], Formula]
    scheduler: Callable[[Any, Any], Any]
    """PyTorch's scheduler, by its module and an optimizer."""


def polynomial(power: float) -> Kind:
    """Return the polynomial of a power."""
    return Kind(
        f"polynomial {power:g}",
        {"kind": "polynomial", "start": START, "end": END, "steps": STEPS, "power": power},
        lambda t: numeric.polynomial(t, START, END, STEPS, power),
        lambda _, t: END + (START - END) * (1 - t / STEPS) ** power,
        lambda optax: optax.polynomial_schedule(START, END, power, STEPS),
        lambda torch, optimizer: torch.PolynomialLR(optimizer, STEPS, power),
    )


KINDS = [
    Kind(
        "linear",
        {"kind": "linear", "start": START, "end": END, "steps": STEPS},
        lambda t: numeric.linear(t, START, END, STEPS),
        lambda _, t: START + (END - START) * (t / STEPS),
        lambda optax: optax.linear_schedule(START, END, STEPS),
        lambda torch, optimizer: torch.LinearLR(optimizer, 1.0, END / START, STEPS),
    ),
    Kind(
        "cosine",
        {"kind": "cosine", "start": START, "end": END, "steps": STEPS},
        lambda t: numeric.cosine(t, START, END, STEPS),
        lambda m, t: END + (START - END) * (1 + m.cos(math.pi * t / STEPS)) / 2,
        lambda optax: optax.cosine_decay_schedule(START, STEPS, END / START),
        lambda torch, optimizer: torch.CosineAnnealingLR(optimizer, STEPS, END),
    ),
    polynomial(2),
    polynomial(0.9),
    Kind(
        "exponential",
        {"kind": "exponential", "start": START, "factor": FACTOR, "every": EVERY},
        lambda t: numeric.exponential(t, START, FACTOR, EVERY),
        lambda m, t: START * m.exp(math.log(FACTOR) * (t / EVERY)),
        lambda optax: optax.exponential_decay(START, EVERY, FACTOR),
        lambda torch, optimizer: torch.ExponentialLR(optimizer, FACTOR ** (1 / EVERY)),
    ),
    Kind(
        "inverse_sqrt",
        {"kind": "inverse_sqrt", "start": START, "timescale": TIMESCALE},
        lambda t: numeric.inverse_power(t, START, TIMESCALE),
        lambda m, t: START * m.sqrt(TIMESCALE / (TIMESCALE + t)),
        lambda _: lambda t: START * (TIMESCALE / (TIMESCALE + t)) ** 0.5,
        lambda torch, optimizer: torch.LambdaLR(
            optimizer, lambda t: math.sqrt(TIMESCALE / (TIMESCALE + t))
        ),
    ),
    Kind(
        "inverse_time",
        {"kind": "inverse_time", "start": START, "rate": RATE, "every": EVERY},
        lambda t: numeric.inverse_time(t, START, RATE, EVERY),
        lambda _, t: START / (1 + RATE * t / EVERY),
        lambda _: lambda t: START / (1 + RATE * t / EVERY),
        lambda torch, optimizer: torch.LambdaLR(optimizer, lambda t: 1 / (1 + RATE * t / EVERY)),
    ),
]


def found(name: str) -> Any:
    """Return a module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def unseen(kind: Kind) -> dict[str, Any]:
    """Return a definition of a kind that was never asked for."""
    return {**kind.definition, "start": START * (1 + next(NEW) * 1e-9)}


def rheostat_columns(kind: Kind) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ways of asking Rheostat."""
    asked = parse(kind.definition)
    yield "again", lambda: evaluate(asked, range(STEPS))
    yield "anew", lambda: kind.core(range(STEPS))
    yield "first", lambda: evaluate(parse(unseen(kind)), range(STEPS))


def other_columns(kind: Kind) -> Iterator[tuple[str, Callable[[], Any] | None]]:
    """Yield what the other libraries do; None for one that is not installed."""
    jax, optax, torch = found("jax"), found("optax"), found("torch")
    if jax and optax:
        jax.config.update("jax_enable_x64", True)
        schedule, steps = jax.jit(jax.vmap(kind.optax(optax))), jax.numpy.arange(STEPS)
        yield "optax", lambda: schedule(steps).block_until_ready()
    else:
        yield "optax", None
    if torch:
        tensor = torch.arange(STEPS, dtype=torch.float64)
        yield "torch", lambda: kind.direct(torch, tensor)
    else:
        yield "torch", None
    places = np.arange(STEPS)
    yield "numpy", lambda: kind.direct(np, places)


def best(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the best time of each function in milliseconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(TURNS):
        for name, function in functions.items():
            if sum(times[name]) < SECONDS:
                gc.disable()
                began = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - began)
                gc.enable()
    return {name: min(taken) * 1e3 for name, taken in times.items()}


def stepped(kind: Kind) -> float | None:
    """Return the milliseconds of a million steps of PyTorch's scheduler."""
    torch = found("torch")
    if not torch:
        return None
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=START)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = kind.scheduler(torch.optim.lr_scheduler, optimizer)
        began = time.perf_counter()
        for _ in range(STEPPED):
            scheduler.step()
        return (time.perf_counter() - began) * 1e3 * STEPS / STEPPED


def worst(kind: Kind, values: Any) -> float:
    """Return the largest distance from exact values, in units in the last place."""
    values = np.asarray(values)
    sample = np.random.default_rng(1).integers(0, STEPS, 1500)
    steps = [*range(500), *sample.tolist(), *range(STEPS - 1000, STEPS)]
    return max(_ulps(float(values[t]), exact(kind, t)) for t in steps)


def exact(kind: Kind, t: int) -> Any:
    """Return the exact value."""
    start, end, y = mpf(START), mpf(END), mpf(t) / STEPS
    match kind.name.split():
        case ["linear"]:
            return start * (1 - y) + end * y
        case ["cosine"]:
            return end + (start - end) * mpmath.cos(mpmath.pi * y / 2) ** 2
        case ["polynomial", power]:
            return end + (start - end) * (1 - y) ** mpf(float(power))
        case ["exponential"]:
            return start * mpf(FACTOR) ** (mpf(t) / EVERY)
        case ["inverse_sqrt"]:
            return start * mpmath.sqrt(mpf(TIMESCALE) / (mpf(TIMESCALE) + t))
        case _:
            return start / (1 + mpf(RATE) * t / EVERY)


def _ulps(value: float, wanted: Any) -> float:
    return float(abs(mpf(value) - wanted) / math.ulp(float(wanted)))


def single(kind: Kind) -> list[float]:
    """Return the microseconds of a cold and a warm step, and of parsing a definition."""
    news = [unseen(kind) for _ in range(300)]
    parsing, definitions = shortest(parse, news)
    cold, _ = shortest(lambda definition: evaluate(definition, 777_777), definitions)

    def again(definition: Any) -> None:
        for step in range(777_000, 778_000):
            evaluate(definition, step)

    warm, _ = shortest(again, definitions[:1] * 20)
    return [cold, warm / 1000, parsing]


def shortest(function: Callable[[Any], Any], arguments: list[Any]) -> tuple[float, list[Any]]:
    """Return the microseconds of the quickest call, and what the calls return."""
    taken, results = [], []
    for argument in arguments:
        began = time.perf_counter()
        results.append(function(argument))
        taken.append(time.perf_counter() - began)
    return min(taken) * 1e6, results


def row(name: str, cells: list[str]) -> None:
    """Print a line of a table."""
    print(f"{name:16}" + "".join(f"{cell:>14}" for cell in cells))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number, or that there is none."""
    return "not installed" if value is None else f"{value:.{digits}f}"


def ratios(times: dict[str, float]) -> list[str]:
    """Return how many times longer optax takes than the values that are there, and computed."""
    if "optax" not in times:
        return ["", ""]
    return [f"{times['optax'] / times['again']:.0f}", f"{times['optax'] / times['anew']:.1f}"]


def main() -> None:
    """Print the three tables."""
    mpmath.mp.dps = 50
    columns = ["again", "anew", "first", "optax", "torch", "numpy", "stepped"]
    print(f"{STEPS:,} steps, {os.cpu_count()} processors: best time in ms\n")
    row("", [*columns, "optax/again", "optax/anew"])
    singles, exactness = {}, {}
    for kind in KINDS:
        ways = dict(rheostat_columns(kind)) | dict(other_columns(kind))
        there = {name: way for name, way in ways.items() if way is not None}
        times = best(there)
        cells = [number(times.get(name)) for name in columns[:-1]]
        row(kind.name, [*cells, number(stepped(kind), 0), *ratios(times)])
        errors = {name: worst(kind, there[name]()) for name in there}
        exactness[kind.name] = [number(errors.get(name), 1) for name in columns[1:2] + columns[3:6]]
        singles[kind.name] = [number(taken, 2) for taken in single(kind)]
    print("\nlargest error in units in the last place\n")
    row("", columns[1:2] + columns[3:6])
    for name, cells in exactness.items():
        row(name, cells)
    print("\na single step in µs\n")
    row("", ["cold", "warm", "parse"])
    for name, cells in singles.items():
        row(name, cells)


if __name__ == "__main__":
    main()

"""
Controllers of a run, in the form in which they are sent.

>>> from rheostat import early_stop, plateau, ramp, rule, scale, spike_guard
>>> plateau(metric="val_loss", factor=0.5, patience=3, after=200)["effective"]
{'after': 200}
>>> early_stop(metric="val_loss", reading="keras", patience=5, baseline=2.5)["kind"]
'stop'
>>> spike_guard(metric="loss", sigma=6, changes={"lr": scale(0.5)})["above"]
{'sigma': 6}
>>> rule(metric="loss", op="<", value=0.3, changes={"lr": ramp(0, steps=1000)})["when"]
{'op': '<', 'value': 0.3}

What is left out has the default of the reading's own library. The service checks them, with bounds,
and names what is wrong. Each takes the fields of `Common` besides its own.

`CONTROLS` is the table of all kinds: the command line reads and lists them by it, and a test holds
the service's fields against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack

Control = dict[str, Any]
_Builder = TypeVar("_Builder", bound=Callable[..., Control])


class Common(TypedDict, total=False):
    """What every controller may be told besides its own."""

    mode: Literal["min", "max"]
    """Whether the metric is better low, which is the default, or high."""
    start: int
    """Reports below this step change nothing."""
    expect: int
    """How many sources report the metric: a step counts once so many have."""
    reduce: Literal["mean", "min", "max", "sum"]
    """What their values become; the mean by default."""
    after: int
    """Decisions land so many steps after their report; by default as soon as they can."""
    late: Literal["propose", "drop"]
    """What becomes of a decision whose step is settled by then; by default it lands at once."""
    gate: int | Literal["epoch"]
    """Workers wait for the metric at each multiple of so many steps, or at each epoch."""
    action: Literal["apply", "propose"]
    """Whether a decision is made, or waits for a yes."""
    limit: int
    """How often it may decide."""
    message: str
    """What stands before the reason of each decision."""


class ControlRow(NamedTuple):
    """One kind of controller: what it does, and the function that writes it."""

    kind: str
    sentence: str
    build: Callable[..., Control]


CONTROLS: dict[str, ControlRow] = {}
"""Every kind by its name, in the order in which they are listed."""


def _lists(kind: str, sentence: str) -> Callable[[_Builder], _Builder]:
    """Enter a builder in the table."""

    def enter(build: _Builder) -> _Builder:
        CONTROLS[kind] = ControlRow(kind, sentence, build)
        return build

    return enter


@_lists("plateau", "multiply parameters when a metric has stopped getting better")
def plateau(
    *,
    metric: str,
    reading: Literal["torch", "keras", "optax", "paddle", "mmengine"] | None = None,
    factor: float | None = None,
    patience: int | None = None,
    threshold: float | None = None,
    threshold_mode: Literal["rel", "abs"] | None = None,
    atol: float | None = None,
    cooldown: int | None = None,
    min: float | None = None,  # noqa: A002 - the field's name
    min_scale: float | None = None,
    eps: float | None = None,
    average: int | None = None,
    parameters: Sequence[str] | None = None,
    **common: Unpack[Common],
) -> Control:
    """
    Multiply ``parameters`` (``["lr"]`` by default) by ``factor`` when ``metric`` stands still.

    ``reading`` says whose meaning the words have: PyTorch's by default. ``atol`` and ``min_scale``
    are optax's; ``min`` and ``eps`` are the floor of a value and the least fall, of the others.
    """
    own = {
        "factor": factor,
        "patience": patience,
        "threshold": threshold,
        "threshold_mode": threshold_mode,
        "atol": atol,
        "cooldown": cooldown,
        "min": min,
        "min_scale": min_scale,
        "eps": eps,
        "average": average,
        "parameters": None if parameters is None else list(parameters),
    }
    return _control("plateau", metric, common, reading=reading, **own)


@_lists("stop", "end the training when a metric has stopped getting better")
def early_stop(
    *,
    metric: str,
    reading: Literal["lightning", "keras", "transformers", "composer"] | None = None,
    patience: int | None = None,
    patience_steps: int | None = None,
    min_delta: float | None = None,
    baseline: float | None = None,
    stopping_threshold: float | None = None,
    divergence_threshold: float | None = None,
    check_finite: bool | None = None,
    **common: Unpack[Common],
) -> Control:
    """
    End the training when ``metric`` has not become better by ``min_delta`` for its patience.

    ``reading`` says whose meaning the words have: Lightning's by default, which alone has the two
    thresholds and ``check_finite``. ``baseline`` is Keras', ``patience_steps`` Composer's.
    """
    own = {
        "patience": patience,
        "patience_steps": patience_steps,
        "min_delta": min_delta,
        "baseline": baseline,
        "stopping_threshold": stopping_threshold,
        "divergence_threshold": divergence_threshold,
        "check_finite": check_finite,
    }
    return _control("stop", metric, common, reading=reading, **own)


@_lists("guard", "notice a spike of a metric, and propose what to do")
def spike_guard(
    *,
    metric: str,
    changes: Mapping[str, Any] | Literal["stop"],
    sigma: float | None = None,
    ratio: float | None = None,
    mad: float | None = None,
    value: float | None = None,
    window: int | None = None,
    for_: int | None = None,
    nonfinite: bool | None = None,
    cooldown: int | None = None,
    **common: Unpack[Common],
) -> Control:
    """
    Propose ``changes``, or ``"stop"``, when ``metric`` was a spike ``for_`` times in a row.

    Give one of ``sigma`` (standard deviations above the mean of the last ``window`` reports),
    ``ratio`` (times their moving average), ``mad`` (median absolute deviations above their median)
    and ``value``. With ``action="apply"`` it does not ask.
    """
    above = _given(sigma=sigma, ratio=ratio, mad=mad, value=value)
    return _control(
        "guard",
        metric,
        common,
        above=above,
        changes=changes if isinstance(changes, str) else dict(changes),
        window=window,
        nonfinite=nonfinite,
        cooldown=cooldown,
        **{"for": for_},
    )


@_lists("rule", "do something once a metric has passed a value")
def rule(
    *,
    metric: str,
    op: Literal["<", "<=", ">", ">="],
    value: float,
    changes: Mapping[str, Any] | Literal["stop"],
    for_: int | None = None,
    once: bool | None = None,
    **common: Unpack[Common],
) -> Control:
    """Make ``changes``, or ``"stop"``, once ``metric`` was ``op value`` ``for_`` times in a row."""
    when = {"op": op, "value": value}
    own = {"once": once, "for": for_}
    listed = changes if isinstance(changes, str) else dict(changes)
    return _control("rule", metric, common, when=when, changes=listed, **own)


def _control(kind: str, metric: str, common: Common, **own: Any) -> Control:
    rest: dict[str, Any] = dict(common)
    sources = _given(**{name: rest.pop(name, None) for name in ("expect", "reduce")})
    after, late, gate = (rest.pop(name, None) for name in ("after", "late", "gate"))
    places = {
        "sources": sources or None,
        "effective": _given(after=after, late=late) or None,
        "gate": None if gate is None else {"every": gate},
    }
    return {"kind": kind, "metric": metric, **_given(**own, **places, **rest)}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

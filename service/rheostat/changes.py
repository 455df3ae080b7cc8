"""
Changes of a run, in the form in which they are sent.

>>> run.change({"lr": scale(0.5)}, message="loss spike")["revision"]
2
>>> run.change({"lr": [hold(100), ramp(0, steps=10_000, shape="1-sqrt")]})["revision"]
3
>>> run.change({"lr": replace({"kind": "constant", "value": 1e-4})}, effective=12_000)["effective"]
12000

An edit acts on what is there; a replacement takes its place. Several changes of one parameter, in
a list, apply one after the other. ``lr/*`` in place of a name is ``lr`` and all of its groups. The
service checks them, with bounds, and names what is wrong.

`EDITS` is the table of all edits: the command line reads and lists them by it, and a test holds the
service, the manuals and the exports of `rheostat` against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

Change = dict[str, Any]
_Builder = TypeVar("_Builder", bound=Callable[..., Change])


class EditRow(NamedTuple):
    """One edit: how it is typed, what it does, and the function that writes it."""

    name: str
    bare: str | None
    """The field that a value without a field's name fills, as in ``scale 0.5``; None: no such."""
    usage: str
    sentence: str
    build: Callable[..., Change]


EDITS: dict[str, EditRow] = {}
"""Every edit by its name, in the order in which they are listed."""


def _lists(usage: str, sentence: str, *, bare: str | None) -> Callable[[_Builder], _Builder]:
    """Enter a builder in the table; the first word of its usage is the edit's name."""
    name = usage.partition(" ")[0]

    def enter(build: _Builder) -> _Builder:
        EDITS[name] = EditRow(name, bare, usage, sentence, build)
        return build

    return enter


@_lists("scale FACTOR", "multiply", bare="factor")
def scale(factor: float) -> Change:
    """Multiply the parameter by ``factor`` from the effective step on."""
    return {"edit": "scale", "factor": factor}


@_lists(
    "hold [STEPS] [then=shift]",
    "stay at the value, then rejoin the curve, or go on with it",
    bare="steps",
)
def hold(
    steps: int | str | None = None, *, then: Literal["rejoin", "shift"] | None = None
) -> Change:
    """
    Stay at the value of the effective step for ``steps`` steps; without them, for good.

    Afterwards ``rejoin`` (the default) goes on where the curve would be by then, and ``shift``
    where it was left.
    """
    return _edit("hold", steps=steps, then=then)


@_lists("set VALUE steps=N", "this value for N steps, then back to the curve", bare="value")
def set_value(value: float, *, steps: int | str) -> Change:
    """Use ``value`` for ``steps`` steps, then return to the schedule."""
    return _edit("set", value=value, steps=steps)


@_lists("ramp TO steps=N [shape=SHAPE]", "go there from the value in force", bare="to")
def ramp(
    to: float,
    *,
    steps: int | str,
    shape: str | None = None,
    power: float | None = None,
    ratio: float | None = None,
) -> Change:
    """
    Go from the value in force to ``to`` within ``steps`` steps, and stay there.

    ``shape`` is ``linear`` (the default) or another shape of decays, such as ``cosine`` or
    ``1-sqrt``; ``power`` (1 by default) and ``ratio`` (0.1) are for the shapes that have them.
    """
    return _edit("ramp", to=to, steps=steps, shape=shape, power=power, ratio=ratio)


@_lists("rewarm STEPS [start=VALUE]", "warm up again, back onto the curve", bare="steps")
def rewarm(
    steps: int | str,
    *,
    start: float | None = None,
    shape: str | None = None,
    power: float | None = None,
    ratio: float | None = None,
) -> Change:
    """Warm up from ``start`` (0 by default) back onto the schedule, within ``steps`` steps."""
    return _edit("rewarm", steps=steps, start=start, shape=shape, power=power, ratio=ratio)


@_lists("extend END", "stretch what remains of the curve, so that it ends there", bare="end")
def extend(end: int | str) -> Change:
    """Stretch what remains of the curve so that it ends at step ``end``, such as ``"7T"``."""
    return _edit("extend", end=end)


@_lists("replace DEFINITION blend=N", "ease into a definition over N steps", bare="definition")
def replace(
    definition: Mapping[str, Any],
    *,
    clock: Literal["run", "change"] | None = None,
    blend: int | str | None = None,
) -> Change:
    """
    Follow ``definition`` from the effective step on, eased in over ``blend`` steps.

    Its clock counts from step 0 of the run (``run``) or from the effective step (``change``). It
    must be said, unless the definition is constant.
    """
    if blend is not None:
        return _edit("replace", definition=dict(definition), clock=clock, blend=blend)
    return dict(definition) if clock is None else {**definition, "clock": clock}


@_lists("revert REVISION", "follow again what was in force at a revision", bare="to")
def revert(to: int) -> Change:
    """Go back to what revision ``to`` had in force."""
    return _edit("revert", to=to)


def _edit(name: str, **fields: Any) -> Change:
    return {"edit": name, **{key: value for key, value in fields.items() if value is not None}}

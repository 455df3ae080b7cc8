"""Changes of which mathematics knows the values: by halves, quarters and eighths."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

values = st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0, 64.0, 128.0])
factors = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
steps = st.sampled_from([1, 2, 4, 8])
clocks = st.sampled_from(["run", "change"])
constants = st.fixed_dictionaries({"kind": st.just("constant"), "value": values})
lines = st.fixed_dictionaries(
    {
        "kind": st.just("linear"),
        "start": values,
        "end": values,
        "steps": st.sampled_from([8, 16, 64, "100%", "50%", "25%"]),
    }
)
totals = st.sampled_from([32, 64, 128, 256, 512])
"""Of which a half and a quarter are powers of two as well."""


def _edit(name: str, **fields: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"edit": st.just(name), **fields})


def _replacement(definition: Any, clock: str) -> Any:
    return {**definition, "clock": clock}


scale = _edit("scale", factor=factors)
hold = _edit("hold")
window = _edit("hold", steps=steps, then=st.just("rejoin")) | _edit(
    "set", value=values, steps=steps
)
moves = (
    _edit("hold", steps=steps, then=st.sampled_from(["rejoin", "shift"]))
    | _edit("ramp", to=values, steps=steps | st.just("25%"))
    | _edit("rewarm", start=values, steps=steps)
    | _edit("replace", definition=lines, clock=clocks)
    | _edit("replace", definition=lines, clock=clocks, blend=steps)
    | st.builds(_replacement, lines, clocks)
)
reverts = _edit("revert", to=st.integers(1, 6))


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return one | st.lists(one, min_size=1, max_size=3)


changes = st.fixed_dictionaries(
    {},
    optional={
        "lr": _several(constants | scale | hold | window | moves) | reverts,
        "wd": _several(constants | scale | hold | window),
        "wd/two": _several(constants | scale | hold),
    },
).filter(bool) | st.fixed_dictionaries(
    {"wd/*": _several(constants | scale | hold)},
    optional={"lr": scale, "wd/two": scale, "x/*": scale},
)

plateaus = st.fixed_dictionaries(
    {
        "kind": st.just("plateau"),
        "metric": st.just("loss"),
        "reading": st.just("torch"),
        "factor": st.sampled_from([0.5, 0.5, 0.0625]),
        "patience": st.sampled_from([0, 1]),
        "threshold": st.just(0.25),
        "cooldown": st.sampled_from([0, 1]),
        "parameters": st.sampled_from([["lr"], ["lr", "wd"]]),
    }
)
early_stops = st.fixed_dictionaries(
    {
        "kind": st.just("stop"),
        "metric": st.just("loss"),
        "reading": st.just("lightning"),
        "patience": st.sampled_from([1, 2]),
        "min_delta": st.just(0.0),
    }
)
landings = st.sampled_from(
    [
        "next",
        "next",
        {"after": 4},
        {"after": 8},
        {"after": 2, "late": "propose"},
        {"after": 2, "late": "drop"},
    ]
)


def _armed(kind: Any, limit: int | None, action: str, effective: Any, expect: int) -> Any:
    how = {"limit": limit, "action": action, "effective": effective}
    return {**kind, **how, "sources": {"expect": expect}}


controllers = st.builds(
    _armed,
    plateaus | plateaus | early_stops,
    st.sampled_from([None, None, 1]),
    st.sampled_from(["apply", "apply", "propose"]),
    landings,
    st.sampled_from([1, 1, 2]),
)
"""Controllers that halve, or divide by 16, which breaks a guard of wd; and that stop."""

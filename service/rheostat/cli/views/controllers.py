"""Controllers of a run, what they decided, and the metrics that they read, drawn for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rheostat.cli.views import text
from rheostat.cli.views.chart import Series, VerticalLine
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

STYLES = {
    "change": "cyan",
    "stop": "red",
    "proposal": "yellow",
    "proposed": "yellow",
    "blocked": "red",
}
"""How decisions are coloured."""
SHOWN = ("reading", "factor", "patience", "patience_steps", "action")
"""Fields of a controller that are told in short though they are as usual."""


def armed(screen: Screen, answer: Mapping[str, Any], run: str) -> None:
    """Say what is armed, with every field, and how its decisions can be the same every time."""
    config, name = answer["config"], answer["name"]
    screen.line((name, "bold"), f" is armed, by revision {answer['revision']}: {told(config)}")
    if config["effective"] == "next" and config["gate"] is None:
        screen.line(
            "  What it decides lands as soon as it can, which depends on the pace; with --after N"
            " it depends on the metric alone."
        )
    screen.line(f"  rheostat run controllers {run} {name}")


def disarmed(screen: Screen, answer: Mapping[str, Any]) -> None:
    """Say what is gone."""
    screen.line(f"{answer['disarmed']} is disarmed. What it decided stays.")


def reset(screen: Screen, answer: Mapping[str, Any]) -> None:
    """Say that a controller begins anew."""
    screen.line(f"{answer['name']} has forgotten what it read.")


def controllers(screen: Screen, items: Sequence[Mapping[str, Any]], run: str) -> None:
    """Draw the controllers of a run."""
    if not items:
        screen.line(f"No controller is armed. Arm one:  rheostat run arm {run} plateau --metric …")
        return
    columns = [
        left("NAME"),
        right("REV"),
        left("METRIC"),
        left("LAST"),
        wide("STATE"),
        right("DECISIONS"),
        wide("RULE"),
    ]
    rows = (
        (
            item["name"],
            str(item["revision"]),
            item["config"]["metric"],
            last(item),
            state(item["state"]),
            str(item["decisions"]),
            told({**item["config"], "metric": None}, short=True),
        )
        for item in items
    )
    screen.table(columns, rows)


def states(screen: Screen, items: Sequence[Mapping[str, Any]]) -> None:
    """Draw what controllers remember, in short."""
    columns = [left("NAME"), left("METRIC"), left("LAST"), wide("STATE"), right("DECISIONS")]
    rows = (
        (
            item["name"],
            item["config"]["metric"],
            last(item),
            state(item["state"]),
            str(item["decisions"]),
        )
        for item in items
    )
    screen.table(columns, rows)


def controller(screen: Screen, item: Mapping[str, Any]) -> None:
    """Draw one controller with all of its fields."""
    gate = item["gate"]
    screen.pairs(
        ("controller", item["name"]),
        ("revision", str(item["revision"])),
        ("last report", last(item) or "none yet"),
        ("state", state(item["state"]) or "nothing yet"),
        ("decisions", str(item["decisions"])),
        *([] if gate is None else [("next gate", text.count(gate))]),
    )
    screen.line()
    screen.pairs(*_fields(item["config"]))


def told(config: Mapping[str, Any], *, short: bool = False) -> str:
    """Write a controller as one would type it; ``short`` without what is as usual."""
    usual = _usual(config) if short else {}
    unusual = {
        name: value
        for name, value in config.items()
        if name in SHOWN or name not in usual or usual[name] != value
    }
    words = [f"{name}={_quoted(value)}" for name, value in _fields(unusual) if name != "kind"]
    return " ".join([str(config["kind"]), *words])


def _usual(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a controller with their defaults, as far as it has any."""
    from rheostat.controllers import CONTROLLERS  # NumPy loads slowly

    for cls in CONTROLLERS:
        fields = cls.model_fields
        own = {name: fields[name].default for name in ("kind", "reading") if name in fields}
        if all(config.get(name) == value for name, value in own.items()):
            found = {
                (field.alias or name): field.get_default(call_default_factory=True)
                for name, field in fields.items()
                if not field.is_required()
            }
            return {
                name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
                for name, value in found.items()
            } | {name: list(v) for name, v in found.items() if isinstance(v, tuple)}
    return {}


def _fields(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each field as it is typed, those in objects for themselves."""
    for name, value in config.items():
        if value in (None, ""):
            continue
        if name == "changes" and isinstance(value, Mapping):
            yield name, ", ".join(f"{each} {text.change(how)}" for each, how in value.items())
        elif name == "gate":
            yield name, text.literal(value["every"])
        elif isinstance(value, Mapping):
            yield from _fields(value)
        elif value != "next":
            items = isinstance(value, list) and all(isinstance(item, str) for item in value)
            yield name, ",".join(value) if items else text.literal(value)


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s<>|'\"]", word) else word


def state(found: Mapping[str, Any]) -> str:
    """Write what a controller remembers: what is none, or counts nothing, is left out."""
    told = [
        f"{name.replace('_', ' ')} {_number(value)}"
        for name, value in found.items()
        if name not in {"best", "best_step"}
        and value not in (None, 0, [])
        and not isinstance(value, list | Mapping)
    ]
    if found.get("best") is None:
        return ", ".join(told)
    step = found.get("best_step")
    where = "" if step is None else f" at {text.count(step)}"
    return ", ".join([f"best {_number(found['best'])}{where}", *told])


def last(item: Mapping[str, Any]) -> str:
    """Write the last report that a controller read."""
    report = item.get("last")
    return "" if not report else f"{_number(report['value'])} at {text.count(report['step'])}"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return text.count(value)
    return text.short(value) if math.isfinite(value) else _NOT_FINITE[str(value)]


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def decisions(screen: Screen, items: Sequence[Mapping[str, Any]], run: str) -> None:
    """Draw what controllers decided, the oldest first."""
    if not items:
        screen.line(f"Nothing was decided yet. What is armed:  rheostat run controllers {run}")
        return
    columns = [
        right("STEP"),
        left("CONTROLLER"),
        left("VALUE"),
        left("DECISION"),
        right("EFFECTIVE"),
        wide("MESSAGE"),
    ]
    screen.table(columns, (_decision(item) for item in items))


def _decision(item: Mapping[str, Any]) -> tuple[Cell, ...]:
    effective = item.get("effective")
    problem = item.get("problem")
    return (
        text.count(item["step"]),
        item["controller"],
        _number(item["value"]),
        (_made(item), STYLES.get(item["decision"], "")),
        "" if effective is None else text.count(effective),
        item["message"] + (f" – refused: {problem['detail']}" if problem else ""),
    )


def _made(item: Mapping[str, Any]) -> str:
    """Write what was decided, with the number of what it made."""
    made = [f"{what} {item[what]}" for what in ("revision", "proposal") if item.get(what)]
    return (
        made[0]
        if item["decision"] == "proposal" and made
        else ", ".join([str(item["decision"]), *made])
    )


def label(item: Mapping[str, Any]) -> str:
    """Write what was decided, in short for a chart."""
    if "factor" in item:
        return f"× {text.short(item['factor'])}"
    made = [f"{what} {item[what]}" for what in ("revision", "proposal") if item.get(what)]
    return made[0] if made and item["decision"] == "change" else str(item["decision"])


def metrics(
    screen: Screen,
    answer: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    run: str,
    *,
    height: int,
    log: bool,
) -> None:
    """Draw metrics with what was decided on them."""
    found = [answer] if isinstance(answer, Mapping) else answer
    if not found:
        screen.line(f"Nothing was reported to run {run} yet.")
    for item in found:
        points = zip(item["steps"], item["values"], strict=True)
        metric(screen, item["metric"], points, item["decisions"], height=height, log=log)
        screen.line()


def metric(
    screen: Screen,
    name: str,
    reported: Iterable[tuple[int, float | str]],
    decided: Iterable[Mapping[str, Any]],
    **how: Any,
) -> None:
    """Draw one metric, in a chart that is drawn so; what is not finite is told below."""
    points = [(step, float(value)) for step, value in reported]
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        screen.line((name, "bold"), "  nothing was reported that can be drawn")
        return
    low, high = (text.short(find(value for _, value in finite)) for find in (min, max))
    step, value = points[-1]
    newest = f"{_number(value)} at step {text.count(step)}"
    screen.line((name, "bold"), f"  from {low} to {high}, {newest}")
    curve = Series(name, [step for step, _ in finite], [value for _, value in finite])
    marks = [VerticalLine(item["step"], label(item)) for item in decided]
    screen.chart([curve], marks=marks, **how)
    odd = [f"{_number(x)} at {text.count(at)}" for at, x in points if not math.isfinite(x)]
    if odd:
        more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
        screen.line(("Not finite: ", "yellow"), ", ".join(odd[:5]) + more)


def report(screen: Screen, item: Mapping[str, Any]) -> None:
    """Draw one report as a line."""
    source = "" if item["source"] == "main" else f"  {item['source']}"
    screen.line(f"{text.count(item['step']):>12}  {_number(item['value'])}{source}")


def csv(answer: Mapping[str, Any]) -> bytes:
    """Write reports as CSV; sources are names, in which no character needs quotes."""
    return "".join(_csv_lines(answer)).encode()


def _csv_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    yield "step,value,source\n"
    columns = (answer["steps"], answer["values"], answer["sources"])
    for step, value, source in zip(*columns, strict=True):
        written = repr(value) if isinstance(value, float) else value
        yield f"{step},{written},{source}\n"

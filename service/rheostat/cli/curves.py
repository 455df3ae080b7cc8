"""`rheostat evaluate` and `rheostat plot`: definitions, computed in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.cli import options, text, words
from rheostat.cli.answers import Answer, answering, delivered
from rheostat.cli.chart import Series
from rheostat.cli.screen import Screen, left, right, wide
from rheostat.errors import FieldError, TooLarge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rheostat.schedules import Definition

ROWS = 20
"""Rows of a table whose stride nobody chose."""
POINTS = 20_000
"""Most points of a curve in a chart."""
MOST = 10_000_000
"""Most values in one answer."""
UNENDING = 1_000
"""Steps shown of a definition without an end."""


class Form(StrEnum):
    """How `evaluate` writes values."""

    TABLE = "table"
    CSV = "csv"
    NPY = "npy"
    F64 = "f64"


@answering
def evaluate(
    definition: options.DefinitionWords,
    step: Annotated[
        list[int] | None, typer.Option(metavar="STEP", min=0, help="One step; may be repeated.")
    ] = None,
    start: options.Start = 0,
    stop: options.Stop = None,
    stride: options.Stride = None,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    form: Annotated[
        Form, typer.Option("--format", help="What to write; f64 is little-endian float64.")
    ] = Form.TABLE,
    output: options.Output = None,
) -> Answer:
    """
    Compute the values of a definition.

    \b
    rheostat evaluate cosine start=1e-3 end=1e-5 steps=10000 --step 500
    rheostat evaluate linear start=1 end=0 steps=90% --total 1000 --stride 100
    rheostat evaluate @lr.json --stop 10000 --format csv -o lr.csv
    """
    [parsed] = _parsed([words.definition(definition)], total, steps_per_epoch)
    if step:
        steps: Sequence[int] = step
    else:
        natural = _steps([parsed], start, stop, total, ROWS if form is Form.TABLE else MOST)
        steps = natural if stride is None else range(start, natural.stop, stride)
    values = _values(parsed, steps)
    document = {"steps": list(steps), "values": values.tolist()}
    if form is not Form.TABLE:
        return delivered(_encoded(form, steps, values), output, document)
    if step and len(step) == 1:
        return Answer({"step": step[0], "value": float(values[0])}, _draw_value)
    return Answer(document, draw_values)


@answering
def plot(
    definitions: options.DefinitionWords,
    start: options.Start = 0,
    stop: options.Stop = None,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    height: options.Height = 16,
    log: options.Log = False,
    output: options.Picture = None,
) -> Answer:
    """
    Draw one definition, or several with commas between them.

    \b
    rheostat plot cosine start=1e-3 end=1e-5 steps=10000
    rheostat plot @lr.json , @lr.json steps=20000
    rheostat plot wsd peak=3e-4 warmup=5% stable=75% decay=20% --total 50000 -o lr.svg
    """
    parsed = _parsed(words.definitions(definitions), total, steps_per_epoch)
    steps = _steps(parsed, start, stop, total, POINTS)
    if output is not None:
        return delivered(_picture(output, parsed, steps), output)
    curves = [
        {"definition": each.to_json(), "values": _values(each, steps).tolist()} for each in parsed
    ]
    return Answer({"steps": list(steps), "curves": curves}, draw_curves, height=height, log=log)


def _parsed(
    data: Sequence[dict[str, Any]], total: int | None, steps_per_epoch: int | None
) -> list[Definition]:
    from rheostat.schedules import parse  # noqa: PLC0415 - NumPy and Pydantic load slowly

    return [parse(item, total=total, steps_per_epoch=steps_per_epoch) for item in data]


def _steps(
    shown: Sequence[Definition], start: int, stop: int | None, total: int | None, most: int
) -> range:
    """Return the steps up to the last definition's end, ``most`` of them or little more."""
    lengths = [item.length for item in shown]
    end = max((length for length in lengths if length is not None), default=0)
    if None in lengths or not end:
        end = max(end, UNENDING)
    last = (stop or (total or end) + 1) - 1
    return range(start, last + 1, max(1, (last - start) // most))


def _values(definition: Definition, steps: Sequence[int]) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415

    from rheostat.schedules import evaluate as values_at  # noqa: PLC0415

    if len(steps) > MOST:
        bound = f"≤ {MOST} values"
        wrong = FieldError("stop", "stop asks for too many values", len(steps), bound)
        raise TooLarge(f"{len(steps)} values are more than one answer may have", errors=[wrong])
    wanted = steps if isinstance(steps, range) else np.array(steps, dtype=np.int64)
    return values_at(definition, wanted)


def draw_values(screen: Screen, answer: dict[str, Any]) -> None:
    """Draw steps and values as a table."""
    pairs = zip(answer["steps"], answer["values"], strict=True)
    rows = ((text.count(step), text.exact(value)) for step, value in pairs)
    screen.table([right("STEP"), left("VALUE")], rows)


def _draw_value(screen: Screen, answer: dict[str, Any]) -> None:
    screen.line(text.exact(answer["value"]))


def draw_curves(screen: Screen, answer: dict[str, Any], *, height: int, log: bool) -> None:
    """Draw definitions on common axes, and below them what they are."""
    curves = answer["curves"]
    names = _names([curve["definition"]["kind"] for curve in curves])
    named = list(zip(names, curves, strict=True))
    series = [Series(name, answer["steps"], curve["values"]) for name, curve in named]
    screen.chart(series, height=height, log=log)
    screen.line()
    columns = [left("CURVE"), left("MIN"), left("MAX"), wide("DEFINITION")]
    screen.table(columns, [_legend(name, curve) for name, curve in named])


def _legend(name: str, curve: dict[str, Any]) -> tuple[str, str, str, str]:
    low, high = min(curve["values"]), max(curve["values"])
    return name, text.short(low), text.short(high), text.definition(curve["definition"])


def _names(kinds: Sequence[str]) -> list[str]:
    """Number the kinds that come more than once."""
    seen: Counter[str] = Counter()
    names = []
    for kind in kinds:
        seen[kind] += 1
        names.append(f"{kind} {seen[kind]}" if kinds.count(kind) > 1 else kind)
    return names


def _encoded(form: Form, steps: Sequence[int], values: NDArray[np.float64]) -> bytes:
    import numpy as np  # noqa: PLC0415

    from rheostat.server.api import render  # noqa: PLC0415

    if form is Form.F64:
        return values.astype("<f8").tobytes()
    if form is Form.NPY:
        return render.write_npy(values)
    return render.write_csv(render.Curves(np.array(steps, dtype=np.int64), {"value": values}))


def _picture(output: Path, shown: Sequence[Definition], steps: Sequence[int]) -> bytes:
    import numpy as np  # noqa: PLC0415

    from rheostat.server.api.look import Look  # noqa: PLC0415
    from rheostat.server.api.pictures import draw  # noqa: PLC0415

    names = _names([item.kind for item in shown])
    columns = {name: _values(item, steps) for name, item in zip(names, shown, strict=True)}
    title = " | ".join(text.definition(item.to_json()) for item in shown)
    kind = output.suffix.lower().removeprefix(".")
    if kind not in {"png", "svg"}:
        raise typer.BadParameter(f"{output} must end in .png or .svg")
    return draw(kind, np.array(steps, dtype=np.int64), columns, Look(title=title))

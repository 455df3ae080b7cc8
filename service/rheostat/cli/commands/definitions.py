"""`rheostat evaluate`, `plot` and `kinds`: definitions, in this process and without a service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rheostat.cli import options, words
from rheostat.cli.results import Result, answering, delivered, pictured
from rheostat.cli.views import catalogue, curves, text
from rheostat.errors import FieldError, Invalid, TooLarge, UnknownKind
from rheostat.formats import FORMATS
from rheostat.suggestions import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rheostat.schedules import Definition

ROWS = 20
"""Rows of a table whose stride nobody chose."""
POINTS = 20_000
"""Most points of a curve in a chart."""
LOOKED_AT = 1_000_000
"""About the most steps that are looked at for a chart, evenly spread, to find what sticks out."""
MOST = 10_000_000
"""Most values in one answer."""
UNENDING = 1_000
"""Steps shown of a definition without an end."""


class StepRange(NamedTuple):
    """The steps that are asked for, as far as they are said."""

    start: int = 0
    stop: int | None = None
    stride: int | None = None
    total: int | None = None

    def steps(self, drawn: Sequence[Definition], most: int) -> range:
        """Return the steps; up to the last definition's end, and about ``most``, if not said."""
        if (self.stop is not None and self.stop <= self.start) or self.stride == 0:
            bound = f"stop > {self.start} and stride ≥ 1"
            wrong = FieldError("stop", "the range of steps is empty", self.stop, bound)
            raise Invalid("There are no steps to compute.", errors=[wrong])
        lengths = [item.length for item in drawn]
        end = max((length for length in lengths if length is not None), default=0)
        if None in lengths or not end:
            end = max(end, UNENDING)
        last = max(self.start, (self.total or end) if self.stop is None else self.stop - 1)
        return range(self.start, last + 1, self.stride or max(1, (last - self.start) // most))


@answering
def evaluate(
    definition: options.DefinitionWords,
    step: options.Steps = None,
    start: options.Start = 0,
    stop: options.Stop = None,
    stride: options.Stride = None,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    form: options.Form = options.TABLE,
    output: options.Output = None,
) -> Result:
    """
    Compute the values of a definition.

    \b
    rheostat evaluate cosine start=1e-3 end=1e-5 steps=10000 --step 500
    rheostat evaluate linear start=1 end=0 steps=90% --total 1000 --stride 100
    rheostat evaluate @lr.json --stop 10000 --format csv -o lr.csv
    """
    read = parsed(words.definition(definition), total, steps_per_epoch)
    return evaluated(read, step or StepRange(start, stop, stride, total), form, output)


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
) -> Result:
    """
    Draw one definition, or several with commas between them.

    \b
    rheostat plot cosine start=1e-3 end=1e-5 steps=10000
    rheostat plot @lr.json , @lr.json steps=20000
    rheostat plot wsd peak=3e-4 warmup=5% stable=75% decay=20% --total 50000 -o lr.svg
    """
    read = [parsed(each, total, steps_per_epoch) for each in words.definitions(definitions)]
    return plotted(read, StepRange(start, stop, None, total), height=height, log=log, output=output)


@answering
def kinds(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="Describe this one.", show_default=False)
    ] = None,
) -> Result:
    """
    List the kinds of definitions, or describe one: formula, fields, bounds, an example.

    \b
    rheostat kinds cosine
    """
    from rheostat.schedules import KINDS  # NumPy and FastAPI load slowly
    from rheostat.schedules.introspection import describe

    if kind is None:
        return Result([describe(name) for name in KINDS], catalogue.kinds)
    if kind not in KINDS:
        close = did_you_mean(kind, KINDS) or f"; there are {', '.join(KINDS)}"
        raise UnknownKind(f"there is no kind {kind!r}{close}")
    return Result(describe(kind), catalogue.kind)


def evaluated(
    definition: Definition, asked: Sequence[int] | StepRange, form: str, output: Path | None
) -> Result:
    """Answer with the values of a definition at the steps that are asked for."""
    if isinstance(asked, StepRange):
        steps: Sequence[int] = asked.steps([definition], ROWS if form == options.TABLE else MOST)
    else:
        steps = asked
    values = _values(definition, steps)
    document: curves.ValuesAtSteps = {"steps": list(steps), "values": values.tolist()}
    if form != options.TABLE:
        return delivered(_encoded(form, steps, values), output, document)
    if len(steps) == 1:
        one: curves.ValueAtStep = {"step": steps[0], "value": float(values[0])}
        return Result(one, curves.value)
    return Result(document, curves.values)


def plotted(
    drawn: Sequence[Definition], span: StepRange, *, height: int, log: bool, output: Path | None
) -> Result:
    """Answer with the curves of definitions, or with a picture file of them."""
    steps, values = _thinned(drawn, span)
    if output is not None:
        return _picture(output, drawn, steps, values, log=log)
    pairs = zip(drawn, values, strict=True)
    items: list[curves.PlottedCurve] = [
        {"definition": each.to_json(), "values": its.tolist()} for each, its in pairs
    ]
    document: curves.Plotted = {"steps": steps, "curves": items}
    return Result(document, curves.curves, height=height, log=log)


def parsed(data: Any, total: int | None = None, steps_per_epoch: int | None = None) -> Definition:
    """Return the definition that JSON data describes."""
    from rheostat.schedules import parse  # NumPy and Pydantic load slowly

    return parse(data, total=total, steps_per_epoch=steps_per_epoch)


def _thinned(
    drawn: Sequence[Definition], span: StepRange
) -> tuple[list[int], list[NDArray[np.float64]]]:
    """Return steps, and at them curves that keep the extremes of all steps, if not too many."""
    from rheostat.schedules.thin import thin

    steps = span.steps(drawn, LOOKED_AT)
    values = [_values(each, steps) for each in drawn]
    kept = thin(values, POINTS)
    return [steps[index] for index in kept.tolist()], [each[kept] for each in values]


def _values(definition: Definition, steps: Sequence[int]) -> NDArray[np.float64]:
    import numpy as np

    from rheostat.schedules import evaluate as values_at

    if len(steps) > MOST:
        wrong = FieldError("stop", "stop asks for too many values", len(steps), f"≤ {MOST} values")
        raise TooLarge("There are too many values for one answer.", errors=[wrong])
    wanted = steps if isinstance(steps, range) else np.array(steps, dtype=np.int64)
    return values_at(definition, wanted)


def _encoded(form: str, steps: Sequence[int], values: NDArray[np.float64]) -> bytes:
    import numpy as np

    from rheostat.curve_files import Curves, write

    places = np.array(steps, dtype=np.int64)
    written = Curves(places, {"value": values}, shape=values.shape)
    return b"".join(write(FORMATS[form], written))


def _picture(
    output: Path,
    drawn: Sequence[Definition],
    steps: Sequence[int],
    values: Sequence[NDArray[np.float64]],
    *,
    log: bool,
) -> Result:
    from rheostat.curve_files import Annotations

    names = curves.names([item.kind for item in drawn])
    columns = dict(zip(names, values, strict=True))
    title = text.definition(drawn[0].to_json()) if len(drawn) == 1 else ""
    return pictured(
        output, steps, columns, Annotations(title=title, log=log, together=len(drawn) > 1)
    )

"""`rheostat simulate`: what a controller would have done, in this process and without a service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from rheostat.cli import controllers, metric_files, options, words
from rheostat.cli.commands.controllers import ControllerWords, with_kinds
from rheostat.cli.commands.definitions import parsed
from rheostat.cli.results import Result, answering
from rheostat.cli.views import simulated as view
from rheostat.limits import METRIC

if TYPE_CHECKING:
    from rheostat.cli.views.simulated import Simulated


@answering
@with_kinds
def simulate(
    controller_words: ControllerWords,
    metric_file: Annotated[
        str,
        typer.Option(
            "--metric-file",
            metavar="FILE",
            help="CSV with a head, or JSON lines, with a step and the metric; - is standard input.",
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of the metric.",
            show_default="that of the metric's name, or the only one",
        ),
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(
            metavar="DEFINITION",
            help="What it acts on, such as 'cosine start=1e-3 end=0 steps=10k'.",
            show_default="1",
        ),
    ] = None,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    height: options.Height = 10,
    log: options.Log = False,
) -> Result:
    """
    Show what a controller would have decided on a metric: try a patience on the last training.

    \b
    rheostat simulate plateau --metric-file losses.csv --factor 0.5 --patience 3
    rheostat simulate stop --metric-file losses.csv --column val_loss --patience 5
    rheostat simulate plateau --metric-file log.jsonl --definition 'cosine start=1 end=0 steps=10k'

    The same rule decides in a run; there `next` lands as soon as it can, here at its report.

    \b
    KINDS
    """
    from rheostat.controllers import parse_controller  # NumPy loads slowly
    from rheostat.controllers import simulate as decided

    asked = controllers.metric_of(controller_words)
    read = metric_files.read(metric_file, column, asked)
    told = controllers.controller(controller_words, metric=None if asked else _named(read.name))
    found = decided(
        parse_controller(told),
        list(zip(read.steps, read.values, strict=True)),
        definition=None
        if definition is None
        else parsed(
            words.definition(words.split(definition, "--definition")), total, steps_per_epoch
        ),
        total=total,
    )
    document: Simulated = {
        "controller": told,
        "metric": {"steps": read.steps, "values": [view.json_number(v) for v in read.values]},
        "decisions": found.decisions,
        "steps": found.steps,
        "values": found.values,
        "warnings": found.warnings,
    }
    return Result(document, view.simulated, height=height, log=log)


def _named(column: str) -> str:
    """Return a column's name if a metric may have it."""
    return column if re.fullmatch(METRIC, column) else "metric"

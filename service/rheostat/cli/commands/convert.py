"""`rheostat convert`: what other libraries have, converted in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rheostat.cli import options, whole_runs, words
from rheostat.cli.results import Result, answering
from rheostat.cli.views import catalogue

Library = Annotated[
    str | None, typer.Argument(metavar="LIBRARY", help="As it is imported, or its package.")
]
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The scheduler's name there.")]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARAMETERS",
        help="What its constructor is given: NAME=VALUE …, @FILE, - or JSON.",
        show_default=False,
    ),
]
Base = Annotated[
    float | None,
    typer.Option("--base", metavar="VALUE", help="The value that the optimizer starts from."),
]
Hyperparameter = Annotated[
    str, typer.Option(metavar="NAME", help="The field that is wanted, of several.")
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What the reports call the metric of a plateau or an early stopping."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A whole configuration file of another project: YAML, TOML, JSON, Python literals,"
        " or a shell script with flags.",
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="What else the library knows; may be repeated."),
]


@answering
def convert(
    library: Library = None,
    name: Name = None,
    parameters: Parameters = None,
    base: Base = None,
    hyperparameter: Hyperparameter = "lr",
    metric: Metric = None,
    total: options.Total = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    config: Config = None,
    context: Context = None,
) -> Result:
    """
    Convert another library's scheduler or early stopping, or list what can be converted.

    A schedule of steps becomes a definition. What reacts to a metric becomes a controller, which
    a run is armed with, and where it has a warm-up in it both are printed, by their names. A whole
    configuration file becomes a run; what is printed of it is what `run create NAME @FILE` takes.

    \b
    rheostat convert torch CosineAnnealingLR T_max=100 --base 0.1
    rheostat convert torch MultiStepLR milestones=30,60 --base 0.1 > lr.json
    rheostat convert torch ReduceLROnPlateau factor=0.5 patience=3 --metric val_loss
    rheostat convert fvcore CosineParamScheduler start_value=1 end_value=0 --total 9000
    rheostat convert --config ds_config.json > run.json
    rheostat convert transformers
    """
    from rheostat.converters import conversion  # NumPy and Pydantic load slowly

    if config is not None:
        _check_alone(name=name, parameters=parameters, base=base, metric=metric, context=context)
        if hyperparameter != "lr":
            raise typer.BadParameter("--hyperparameter cannot stand beside --config")
        run = whole_runs.converted(str(config), library, total, steps_per_epoch)
        return Result(run, catalogue.definition)
    if library is None:
        return Result(_libraries(), catalogue.libraries)
    if name is None:
        return Result(_schedulers(library), catalogue.schedulers)
    known = _filled(context or [])
    given = {"total": total, "steps_per_epoch": steps_per_epoch, "metric": metric}
    known |= {word: value for word, value in given.items() if value is not None}
    found = conversion(
        library,
        name,
        _filled(parameters or []),
        base,
        hyperparameter=hyperparameter,
        **known,
    )
    document = found.written()
    alone = next(iter(document.values())) if len(document) == 1 else document
    return Result(alone, catalogue.definition)


def _check_alone(**given: Any) -> None:
    """Refuse what describes one scheduler beside a whole file."""
    for word, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"{word} cannot stand beside --config")


def _filled(pieces: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object, and ``name=value`` words that go on from it."""
    filled: dict[str, Any] = {}
    for i, piece in enumerate(pieces):
        name, equals, written = piece.partition("=")
        if equals and name.isidentifier():
            filled[name] = words.value(written)
            continue
        whole = words.value(piece) if i == 0 else None
        if not isinstance(whole, dict):
            raise typer.BadParameter(f"{piece!r} is not a parameter: write name=value")
        filled = whole
    return filled


def _libraries() -> list[catalogue.Library]:
    from rheostat.converters.registry import NAMES

    return [{"library": name, "names": others} for name, others in NAMES.items()]


def _schedulers(library: str) -> list[catalogue.Scheduler]:
    from rheostat.converters.registry import find, unknown_library

    found = find(library)
    if found is None:
        raise unknown_library(library)
    return [
        {"names": item.names, "becomes": item.becomes, "notes": item.notes} for item in found.items
    ]

"""Runs that a file describes: a configuration of another project, or what `convert` printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from rheostat.cli import words

FIELDS: Final = ("parameters", "controllers", "axis", "total", "steps_per_epoch")
"""What a file may say of a run; its library is said beside them."""


def converted(
    file: str, library: str | None, total: int | None, steps_per_epoch: int | None
) -> dict[str, Any]:
    """Return the run that a configuration file describes, without what is the default."""
    from rheostat.converters import config_conversion

    text = words.contents(file)
    lengths: dict[str, Any] = {"total": total, "steps_per_epoch": steps_per_epoch}
    return config_conversion(library, text, file=file, **lengths).written()


def printed(word: str) -> dict[str, Any]:
    """Return the run that ``@FILE`` or ``-`` has, as `rheostat convert --config` printed it."""
    run = words.value(word)
    if not isinstance(run, dict) or not isinstance(run.get("parameters"), dict):
        message = f"{word} is no run: write NAME DEFINITION, or give what `rheostat convert` prints"
        raise typer.BadParameter(message)
    for name in run:
        if name not in {*FIELDS, "library"}:
            raise typer.BadParameter(f"{word} has {name}, which no file says of a run")
    return run


def together(run: Mapping[str, Any], said: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return what a file and the command line say of a run; they must not contradict each other."""
    both = {name: run[name] for name in FIELDS if name in run}
    for name, value in said.items():
        if name in {"parameters", "controllers"}:
            both[name] = _joined(name, both.get(name, {}), value, origin)
        elif both.get(name, value) != value:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(
                f"{option} {value} contradicts {origin}, which has {both[name]}"
            )
        else:
            both[name] = value
    return both


def _joined(
    what: str, run: Mapping[str, Any], said: Mapping[str, Any], origin: str
) -> dict[str, Any]:
    for name in said:
        if name in run:
            raise typer.BadParameter(f"{name} is one of the {what} of {origin} already")
    return {**run, **said}

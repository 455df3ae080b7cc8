"""
From whole configuration files of other libraries to the parameters and controllers of a run.

>>> from rheostat.schedules import convert_config
>>> flags = "--lr 6e-5 --lr-decay-style cosine --lr-warmup-samples 100 --train-samples 2000"
>>> convert_config("megatron", flags)["lr"].to_json()["kind"]
'warmup'

A project is one file here, named as it is imported, and one line in `projects.NAMES`: a function
from the file's content, or its `Flags`, to a `ConfigConversion`, and its `PROJECT`. What says
nothing about a schedule is ignored; a field of a schedule that is not read is refused, by
`check_unknown`. What the file leaves open is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from rheostat.converters.configs import projects
from rheostat.converters.configs.documents import document
from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import ConfigConversion, TrainingLengths, training_lengths
from rheostat.converters.configs.telling import library_of
from rheostat.converters.core import refused
from rheostat.converters.request import check_text, no_kind
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.parse import sound

__all__ = ["ConfigConversion", "config_conversion", "convert_config", "library_of"]


Config = Mapping[str, Any] | str | list[str]
"""The content of a configuration file: data, its text, or the words of a command line."""


def convert_config(
    library: str | None,
    config: Config,
    *,
    file: str | None = None,
    total: int | None = None,
    steps_per_epoch: int | None = None,
) -> dict[str, Definition]:
    """
    Return the definitions that a library's configuration file describes, by parameter.

    ``library`` may be None: then the file's fields tell it. ``config`` is the file's content, as
    data or as its text; a command line may also be a list of its words. ``file`` is the file's
    name, whose ending tells the syntax of a text. ``total`` is the length of the training in steps
    and ``steps_per_epoch`` that of an epoch, for configurations that leave them to the trainer;
    they change nothing in those that do not (DeepSpeed's).

    Raises:
        Invalid: if the library has no such format, a field is missing, wrong, refused, or of a
            schedule but not known, or something in it reacts to a metric: see `config_conversion`.

    """
    lengths: dict[str, Any] = {"total": total, "steps_per_epoch": steps_per_epoch}
    found = config_conversion(library, config, file=file, **lengths)
    if found.controllers:
        name = ", ".join(found.controllers)
        message = f"has a {name}: rheostat.converters.config_conversion has its controller"
        raise refused(FieldError("config", message, None, "schedules of steps alone"))
    return dict(found.parameters)


def config_conversion(
    library: str | None,
    config: Config,
    *,
    file: str | None = None,
    total: int | None = None,
    steps_per_epoch: int | None = None,
) -> ConfigConversion:
    """
    Return the run that a library's configuration file describes.

    The arguments are those of `convert_config`.

    Raises:
        Invalid: if the library has no such format or cannot be told, or a field is missing, wrong,
            refused, or of a schedule but not known.

    """
    with _of_a_file():
        lengths = training_lengths(total, steps_per_epoch)
        named = None if library is None else _named(library)
    data = document(config, name=file)
    with _of_a_file():
        project = named or _told(data)
        if isinstance(data, Flags) and not project.flags:
            raise _no_command_line(project, data)
        return replace(_converted(project, data, lengths), library=project.name)


@contextmanager
def _of_a_file() -> Iterator[None]:
    """Say of what is refused that it is a configuration, and not a scheduler."""
    try:
        yield
    except Invalid as error:
        raise Invalid("The configuration cannot be converted.", errors=error.errors) from None


def _converted(
    project: Project, data: Mapping[str, Any], lengths: TrainingLengths
) -> ConfigConversion:
    """Return what the project makes of its file; what no definition can be is refused."""
    try:
        found = project.conversion(data, lengths)
    except ValidationError as error:
        raise no_kind(error, "config") from None
    except ArithmeticError as error:
        message = f"gives no finite values ({error})"
        raise refused(FieldError("config", message, None, "finite values")) from None
    for definition in found.parameters.values():
        sound(definition, "config")
    return found


def _named(library: str) -> Project:
    check_text(library, "library")
    project = projects.find(library)
    if project is None:
        raise projects.unknown_project(library)
    return project


def _no_command_line(project: Project, flags: Flags) -> Invalid:
    message = f"is a command line; of {project.name} files are read"
    if any("." in name for name in flags):
        message += (
            ", and this only overrides fields of one that is elsewhere: give the whole one, which "
            "Hydra writes to .hydra/config.yaml"
        )
    return refused(FieldError("config", message, shown(" ".join(flags)), "a configuration file"))


def _told(data: Mapping[str, Any]) -> Project:
    library, why = library_of(data)
    if library is None:
        bound = f"one of {', '.join(projects.NAMES)}"
        raise refused(FieldError("library", f"is required, for {why}", None, bound))
    return _named(library)

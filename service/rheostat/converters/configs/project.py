"""A project whose configuration files are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rheostat.converters.configs.reading import ConfigConversion, TrainingLengths


@dataclass(frozen=True)
class Project:
    """
    A project, how its files are told from others', and what they become.

    ``signs`` are the paths of fields that no other project's files have, as
    ``lr_scheduler.decay_ratio``, and ``flags`` the names of such flags, with underscores: without
    them the project reads no command lines. ``tells`` finds further signs, where values count.
    Files of the projects in ``embeds`` may stand within its files: their signs do not count beside
    its own.

    ``checked`` and ``refused`` are cells of the manual's table: against what the values are
    checked, and which corners are refused.
    """

    name: str
    conversion: Callable[[Mapping[str, Any], TrainingLengths], ConfigConversion]
    signs: Collection[str]
    checked: str
    refused: str
    flags: Collection[str] = ()
    tells: Callable[[Mapping[str, Any]], Collection[str]] | None = None
    embeds: Collection[str] = ()

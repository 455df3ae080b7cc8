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

    ``doubt`` says why a file with its signs may be another project's all the same: that it leaves
    out what each fills in with a default of its own (`leaves_out`). A project that was named is
    not doubted.

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
    doubt: Callable[[Mapping[str, Any]], str | None] | None = None


def leaves_out(config: Mapping[str, Any], *names: str) -> str | None:
    """Return that a file does not have one of these fields; ``a or b`` is either."""
    lacking = [
        each for each in names if all(config.get(name) is None for name in each.split(" or "))
    ]
    if not lacking:
        return None
    return (
        f"it leaves out {', '.join(lacking)}, which other projects or releases set to other values"
    )

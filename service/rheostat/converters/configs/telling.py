"""Which project a configuration file is of: told by fields that no other project has."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, NamedTuple

from rheostat.converters.configs import projects
from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.unread_fields import sounds_like_a_schedule

_MOST_NAMES: Final = 20
_LONGEST_NAME: Final = 64
_ALIKE: Final = 0.9


class Told(NamedTuple):
    """A project, or why none can be told."""

    library: str | None
    why: str = ""


def library_of(config: Mapping[str, Any]) -> Told:
    """Return the project that a configuration file is of, if its fields are of one alone."""
    what = "flags" if isinstance(config, Flags) else "fields"
    found = ((project, signs(project, config)) for project in projects.every())
    fitting = {project.name: (project, own) for project, own in found if own}
    for project, _ in [*fitting.values()]:
        if project.name in fitting:
            for name in project.embeds:
                fitting.pop(name, None)
    if len(fitting) == 1:
        ((project, own),) = fitting.values()
        doubt = None if project.doubt is None else project.doubt(config)
        like = f"{project.name} or of a project that is like it"
        says = f"its {', '.join(own)} may be of {like}, and {doubt}"
        return Told(None, says) if doubt else Told(project.name)
    if fitting:
        says = "; ".join(f"{name} has {', '.join(own)}" for name, (_, own) in fitting.items())
        return Told(None, f"its {what} are of several: {says}")
    says = f"none of its {what} is of one library alone, and others have them too"
    return Told(None, says + _nearly(config))


def _nearly(config: Mapping[str, Any]) -> str:
    """Return what is nearly spelled as a sign of a project, which the file may be of."""
    flags = isinstance(config, Flags)
    named = {
        name: project.name
        for project in projects.every()
        for name in (project.flags if flags else project.signs)
    }
    sounding = (name for name in map(str, config) if sounds_like_a_schedule(name))
    for name in islice(sounding, _MOST_NAMES):
        if close := get_close_matches(name[:_LONGEST_NAME], named, n=1, cutoff=_ALIKE):
            return f"; {name} is nearly {close[0]}, of {named[close[0]]}"
    return ""


def signs(project: Project, config: Mapping[str, Any]) -> list[str]:
    """Return the fields of a file, or the flags, that only this project has."""
    if isinstance(config, Flags):
        return sorted(config.keys() & set(project.flags))
    found = {path for path in project.signs if _has(config, path)}
    if project.tells is not None:
        found |= set(project.tells(config))
    return sorted(found)


def _has(config: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(config, Mapping) or name not in config:
            return False
        config = config[name]
    return True

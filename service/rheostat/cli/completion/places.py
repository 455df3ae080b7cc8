"""Where in the commands a line has come to: which command, and what of it is being typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import EnumMeta
from typing import Any, Literal, get_args, get_origin

_CHOICES = re.compile(r"[\[<]=?([\w-]+(?:\|[\w-]+)+)[\]>]")
"""How the help writes what an option takes, if it says so by itself."""


@dataclass
class Place:
    """What was typed of a command, and what comes next."""

    path: tuple[str, ...]
    command: Any
    values: dict[str, list[str]] = field(default_factory=dict)
    """By the name of each parameter: the words that it was given."""
    open_option: Any = None
    """The option whose value comes next."""
    positional: list[str] = field(default_factory=list)

    @property
    def commands(self) -> Mapping[str, Any]:
        """The commands below this one, if it has any."""
        return getattr(self.command, "commands", {})

    @property
    def argument(self) -> Any:
        """The argument that the next word belongs to, if there is one."""
        arguments = [each for each in self.command.params if each.param_type_name == "argument"]
        for at, each in enumerate(arguments):
            if each.nargs == -1 or at >= len(self.positional):
                return each
        return None

    def said(self, name: str) -> str | None:
        """Return the last word that a parameter was given."""
        return self.values[name][-1] if self.values.get(name) else None

    def rest(self) -> list[str]:
        """Return the words of the last argument, which takes all that are left."""
        before = [each for each in self.command.params if each.param_type_name == "argument"]
        return self.positional[len(before) - 1 :]


def place(root: Any, words: Sequence[str]) -> Place | None:
    """Follow words through the commands; None if one of them leads nowhere."""
    here = Place((), root)
    for word in words:
        if here.commands and not word.startswith("-"):
            if word not in here.commands:
                return None
            here = Place((*here.path, word), here.commands[word])
        else:
            _take(here, word)
    _name(here)
    return here


def options(command: Any) -> Iterator[tuple[str, Any]]:
    """Yield each option of a command as it is written."""
    for each in command.params:
        if each.param_type_name == "option" and not getattr(each, "hidden", False):
            for written in (*each.opts, *each.secondary_opts):
                yield written, each


def choices(parameter: Any) -> Sequence[str]:
    """Return what a parameter takes, if it takes few things."""
    found = _CHOICES.fullmatch(parameter.metavar or "")
    if found:
        return found[1].split("|")
    described = getattr(parameter, "type_descriptor", None)  # of typer's own; older ones have click
    if described is not None:
        taken = described.annotation
        if isinstance(taken, EnumMeta):
            members: Any = taken
            return [str(each.value) for each in members]
        return get_args(taken) if get_origin(taken) is Literal else ()
    return getattr(parameter.type, "choices", ())


def takes_value(option: Any) -> bool:
    """Return whether the word behind an option is its value."""
    return not option.is_flag and not (option.metavar or "").startswith("[=")


def _take(here: Place, word: str) -> None:
    if here.open_option is not None:
        here.values.setdefault(here.open_option.name, []).append(word)
        here.open_option = None
        return
    written, equals, value = word.partition("=")
    found = dict(options(here.command)).get(written)
    if found is None:
        here.positional.append(word)
    elif equals:
        here.values.setdefault(found.name, []).append(value)
    elif takes_value(found):
        here.open_option = found
    else:
        here.values.setdefault(found.name, []).append("")


def _name(here: Place) -> None:
    """Give each argument that takes one word the word that it was given."""
    arguments = [each for each in here.command.params if each.param_type_name == "argument"]
    for each, word in zip(arguments, here.positional, strict=False):
        if each.nargs == 1:
            here.values.setdefault(each.name, []).append(word)

"""The flags of a command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Flags(dict[str, Any]):
    """
    What a command line says, by the names of its flags with underscores.

    A value is the word after the flag, a list of several words, or True where there is none. A
    flag that comes again replaces the one before, as argparse has it.
    """


def flags_of(words: Iterable[str]) -> Flags:
    """Return the flags among the words of a command line: each takes the words up to the next."""
    found: dict[str, list[str]] = {}
    name = None
    for word in words:
        if word.startswith("-") and word.lstrip("-")[:1].isalpha():
            flag, equals, value = word.lstrip("-").partition("=")
            name = flag.replace("-", "_")
            found[name] = [value] if equals else []
        elif name is not None:
            found[name].append(word)
    return Flags({name: _value(words) for name, words in found.items()})


def by_long_names(config: Mapping[str, Any], long_names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a configuration whose flags, if it has any, are called by their long names."""
    if not isinstance(config, Flags):
        return config
    return Flags({long_names.get(name, name): value for name, value in config.items()})


def _value(words: list[str]) -> Any:
    if not words:
        return True
    return words[0] if len(words) == 1 else words

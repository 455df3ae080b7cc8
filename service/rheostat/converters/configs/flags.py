"""The flags of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self


class Flags(dict[str, Any]):
    """
    What a command line says, by the names of its flags with underscores.

    A value is the word after the flag, a list of several words, or True where there is none. A
    flag that comes again replaces the one before, as argparse has it.
    """


class Unknown(str):
    """A word of a script of which a part is not known, as it is written there; and why."""

    __slots__ = ("many", "why")
    why: str
    many: bool
    """Whether it may be several words, flags too."""

    def __new__(cls, text: str, why: str, *, many: bool = False) -> Self:
        """Return the word."""
        word = super().__new__(cls, text)
        word.why, word.many = why, many
        return word


_OVERRIDE: Final = re.compile(r"\+{0,2}([A-Za-z_]\w*(?:\.\w+)+)=")


def flags_of(words: Iterable[str]) -> Flags:
    """
    Return the flags among the words of a command line: each takes the words up to the next.

    What Hydra's command lines override, as ``optim.lr=1e-4``, is a flag with dots in its name.
    """
    found = Flags()
    name = None
    for word in words:
        if override := _OVERRIDE.match(word):
            name, text = None, word[override.end() :]
            found[override[1]] = Unknown(text, word.why) if isinstance(word, Unknown) else text
        elif is_flag(word):
            flag, equals, text = word.lstrip("-").partition("=")
            name = flag.replace("-", "_")
            value: Any = text if equals else True
            found[name] = Unknown(text, word.why) if isinstance(word, Unknown) else value
        elif name is not None:
            found[name] = _longer(found[name], word)
    return found


def is_flag(word: str) -> bool:
    """Return whether a word is a flag, as ``--lr``, ``-b`` and ``optim.lr=1`` are, not ``-1``."""
    dashed = word.startswith("-") and word.lstrip("-")[:1].isalpha()
    return dashed or _OVERRIDE.match(word) is not None


def by_long_names(config: Mapping[str, Any], long_names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a configuration whose flags, if it has any, are called by their long names."""
    if not isinstance(config, Flags):
        return config
    return Flags({long_names.get(name, name): value for name, value in config.items()})


def unknown(value: Any) -> Unknown | None:
    """Return the first word of a flag's value that is not known, if there is one."""
    words = value if isinstance(value, list) else [value]
    return next((word for word in words if isinstance(word, Unknown)), None)


def _longer(value: Any, word: str) -> Any:
    """Return the value of a flag with one word more."""
    if value is True or value == "":
        return word
    if not isinstance(value, list):
        return [value, word]
    value.append(word)  # it is nobody else's, and there may be a hundred thousand of them
    return value

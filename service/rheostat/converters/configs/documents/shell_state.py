"""What a shell script has assigned so far, and what of its words is not known."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from rheostat.converters.configs.documents.refusals import refused
from rheostat.converters.configs.flags import Unknown
from rheostat.limits import MAX_CONFIG

HOLDING_FLAGS: Final = re.compile(r"(?i)arg|opt|flag|extra|param|overrid")
"""What is in the names of variables that hold flags."""
MARK: Final = re.compile("\0(\\d+)\0")
"""What stands in a word for what is not known; no text has a null character."""
_HOOK: Final = re.compile(r"conda|mamba|pyenv|ssh-agent|brew|module")
"""What is in commands whose output sets up the shell."""
EXECUTED: Final = "has to be executed"


class Gap(NamedTuple):
    """A part of a word that is not known."""

    text: str
    why: str
    many: bool = False


class Function(NamedTuple):
    """The text of a function, and the line where it begins."""

    text: str
    line: int


class Block(NamedTuple):
    """A block: the word that opens it, and the variables before it."""

    name: str
    before: dict[str, list[str]]
    piped: bool = False
    perhaps: bool = False
    """Whether it is not known that it runs, or how often."""


class State:
    """What a script has assigned so far; a variable is a list of texts, and most have one."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.arrays: dict[str, int] = {}
        """The arrays, with the lines where they begin."""
        self.functions: dict[str, list[Function]] = {}
        """Functions by name, several where a condition chooses among them."""
        self.aliases: dict[str, str] = {}
        self.last_pipe = False
        """Whether the last command of a pipe runs in this shell, as with ``shopt -s lastpipe``."""
        self.used = False
        """Whether a command has a flag."""
        self.gaps: list[Gap] = []
        self.left = 4 * MAX_CONFIG
        """Characters that may still be filled in."""

    def gap(self, text: str, why: str, *, many: bool = False) -> str:
        """Return the mark of what is not known."""
        self.gaps.append(Gap(text, why, many))
        return f"\0{len(self.gaps) - 1}\0"

    def spend(self, count: int) -> None:
        """Count characters that are filled in, up to a bound."""
        self.left -= count
        if self.left < 0:
            message = "becomes too long by what is filled in"
            raise refused(message, f"≤ {4 * MAX_CONFIG} characters")

    def copy(self) -> dict[str, list[str]]:
        """Return the variables as they are."""
        self.spend(len(self.values))
        return dict(self.values)

    def is_output(self, text: str) -> bool:
        """Return whether a word is what a command prints, which may set variables."""
        mark = MARK.fullmatch(text)
        gap = self.gaps[int(mark[1])] if mark else None
        return gap is not None and gap.why is EXECUTED and not _HOOK.search(gap.text)

    def word(self, text: str) -> str:
        """Return a word as it is given to a command."""
        marks = MARK.findall(text)
        if not marks:
            return text
        gaps = [self.gaps[int(mark)] for mark in marks]
        written = MARK.sub(lambda match: self.gaps[int(match[1])].text, text)
        alone = MARK.fullmatch(text) is not None
        return Unknown(written, gaps[0].why, many=alone and gaps[0].many)

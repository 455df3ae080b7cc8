"""The commands of a shell script, as the words that they would be given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import quote
from typing import Any, Final, NamedTuple

from rheostat.converters.configs.documents.refusals import refused
from rheostat.converters.configs.documents.shell_blocks import (
    ASSIGNED,
    COST,
    DECLARING,
    Assigned,
    Blocks,
)
from rheostat.converters.configs.documents.shell_state import MARK, State
from rheostat.converters.configs.documents.shell_words import NAME

_LOCAL: Final = frozenset({"local", "declare", "typeset"})
"""What a function forgets when it returns."""
_SHELL_ONLY: Final = frozenset(
    {"activate", ".bashrc", ".bash_profile", ".profile", "profile", "conda.sh", "modules.sh"}
)
"""Files that set up the shell, and no variables of a training."""
_SHELLS: Final = frozenset({"sh", "bash", "zsh"})
_DEEPEST: Final = 4
"""Scripts in words of scripts."""
_DEEPEST_CALL: Final = 16
"""Functions that call functions."""


class Command(NamedTuple):
    """A command: its words, and the line where it begins."""

    words: list[str]
    line: int


def commands_of(text: str) -> Iterator[Command]:
    """Yield the commands of a script that have words, with what it assigns filled in."""
    state = State()
    state.last_pipe = re.match(r"#!\S*(/| +)zsh\b", text) is not None
    yield from Script(text, state).commands()
    if not state.used and len(state.arrays) == 1:  # the flags alone, without the command
        (name,) = state.arrays
        yield Command([state.word(each) for each in state.values[name]], state.arrays[name])


class Script(Blocks):
    """Follows a script from its first command to its last."""

    def __init__(self, text: str, state: State, depth: int = 1, *, line: int = 1) -> None:
        super().__init__(text, state, line=line)
        self.depth = depth
        self.locals: dict[str, list[str] | None] = {}
        """What variables were that a function forgets when it returns."""

    def commands(self) -> Iterator[Command]:
        """Yield the commands that have words."""
        while self.at < len(self.text):
            start = self.at
            self.ended = None
            words, assigned = self.command()
            if not self.only_read:
                yield from self.done(words, assigned, self.line(start))
            self.end_command(empty=not words and not assigned and self.ended is None)

    def done(self, words: list[str], assigned: list[Assigned], line: int) -> Iterator[Command]:
        """Yield a command; what a process of its own assigns is forgotten, as the shell does."""
        apart = (self.after_pipe and not self.state.last_pipe) or self.forks()
        before = self.state.copy() if apart and self.ended is None else None
        if not words or words[0] in DECLARING:
            self.declare(words, assigned)
        if words:
            yield from self.ran(words, assigned, line)
        if before is not None:
            self.state.values = before
        elif self.ended is not None and (
            (self.ended.piped and not self.state.last_pipe) or self.forks()
        ):
            self.state.values = self.ended.before

    def declare(self, words: list[str], assigned: list[Assigned]) -> None:
        """Set variables; what is declared in a function is its own."""
        assigned += [  # in quotes, or with a name that was filled in
            (match[1], [word[match.end() :]], bool(match[3]))
            for word in words[1:]
            if (match := ASSIGNED.match(word))
        ]
        if words and words[0] in _LOCAL and self.arguments is not None and "-g" not in words:
            self.keep([name for name, _, _ in assigned] + words[1:])
        for name, texts, added in assigned:
            self.assign(name, texts, added=added)

    def forks(self) -> bool:
        """Return whether what follows makes a process of its own of the command."""
        text = self.text[self.at : self.at + 2]
        return text[:1] in {"&", "|"} and text not in {"&&", "||"}

    def keep(self, names: list[str]) -> None:
        """Remember what variables were, which a function has for itself."""
        for name in names:
            if NAME.fullmatch(name):
                self.locals.setdefault(name, self.state.values.pop(name, None))

    def ran(self, words: list[str], assigned: list[Assigned], line: int) -> Iterator[Command]:
        """Yield a command, and those of a script or a function that is one of its words."""
        if words[0] in self.state.functions:
            yield from self.called(words, assigned)
            return
        if words[0] in self.state.aliases:
            yield from self.replaced(words, assigned)
            return
        if words[0] in {"builtin", "command"} and len(words) > 1:
            words = words[1:]
        self.options(words[0], words[1:])
        self.built_in(words[0], words[1:], line)
        if words[0] == "trap":
            yield from self.trapped(words[1:], assigned)
            return
        if words[0] == "eval":
            yield from self.inner(self.inside(" ".join(words[1:])), assigned)
            return
        for text in _scripts(words):
            before, inside = self.state.copy(), self.inside(text)
            inside.arguments = None
            yield from self.inner(inside, assigned)
            self.state.values = before
        self.state.used = self.state.used or any(word.startswith("--") for word in words)
        yield Command([self.state.word(word) for word in words], line)

    def inner(self, script: Script, assigned: list[Assigned]) -> Iterator[Command]:
        """Yield the commands of a script, for which alone variables are set before it."""
        for name, texts, added in assigned:
            script.locals.setdefault(name, self.state.values.get(name))
            self.assign(name, texts, added=added)
        yield from script.commands()
        for name, old in script.locals.items():
            self.state.values.pop(name, None)
            if old is not None:
                self.state.values[name] = old

    def inside(self, text: str, *, deepest: int = _DEEPEST, line: int = 1) -> Script:
        """Return the reader of a script that this one runs."""
        if self.depth >= deepest:
            raise refused("has scripts in scripts", f"≤ {deepest} of them", line=self.line())
        inner = Script(text, self.state, self.depth + 1, line=line)
        inner.perhaps, inner.arguments = self.conditional, self.arguments
        return inner

    def called(self, words: list[str], assigned: list[Assigned]) -> Iterator[Command]:
        """Yield the commands of a function; what it has for itself is forgotten afterwards."""
        functions = self.state.functions[words[0]]
        for function in functions:
            self.state.spend(COST * (len(function.text) + COST))
            inner = self.inside(function.text, deepest=_DEEPEST_CALL, line=function.line)
            inner.perhaps = inner.perhaps or len(functions) > 1
            inner.arguments = words[1:]
            yield from self.inner(inner, assigned)

    def replaced(self, words: list[str], assigned: list[Assigned]) -> Iterator[Command]:
        """Yield the commands of an alias, whose text stands for the first word."""
        name, rest = words[0], " ".join(map(quote, words[1:]))
        text = self.state.aliases.pop(name)  # which is not replaced in itself
        self.state.spend(COST * (len(text) + len(rest) + COST))
        yield from self.inner(self.inside(f"{text} {rest}"), assigned)
        self.state.aliases.setdefault(name, text)

    def trapped(self, words: list[str], assigned: list[Assigned]) -> Iterator[Command]:
        """Yield the commands of a trap, of which it is not known when they run."""
        words = words[1:] if words[:1] == ["--"] else words
        if len(words) < 2 or words[0] in {"-", "-l", "-p", ""}:
            return
        if MARK.search(words[0]):
            self.forget_all(f"may be set by the trap of line {self.line(self.at - 1)}")
            return
        inner = self.inside(words[0], line=self.line(self.at - 1))
        inner.perhaps = True
        yield from self.inner(inner, assigned)

    def options(self, first: str, rest: list[str]) -> None:
        """Set what ``shopt`` says of pipes, and aliases; under a condition both are refused."""
        pipes = first == "shopt" and "lastpipe" in rest and rest[:1] in (["-s"], ["-u"])
        named = [word.partition("=") for word in rest if "=" in word] if first == "alias" else []
        if (pipes or named) and self.conditional:
            message = f"has {'lastpipe' if pipes else 'an alias'} under a condition"
            raise refused(message, "one that is always so, or none", line=self.line(self.at - 1))
        if pipes:
            self.state.last_pipe = rest[0] == "-s"
        for name, _, text in named:
            if MARK.search(text):
                message = f"has an alias {name[:100]} of what is not known"
                raise refused(message, "an alias of text", line=self.line(self.at - 1))
            self.state.aliases[name] = text
        if first == "unalias":
            for name in self.state.aliases.copy() if "-a" in rest else rest:
                self.state.aliases.pop(name, None)

    def built_in(self, first: str, rest: list[str], line: int) -> None:
        """Do what a command of the shell does to variables, or forget them."""
        if first == "unset":
            names: dict[str, Any] = self.state.functions if "-f" in rest else self.state.values
            for name in rest:
                names.pop(name, None)
        elif first in {"read", "mapfile", "readarray"}:
            for name in rest:
                self.forget(name, f"{name} is read when the script runs")
        elif first == "printf" and "-v" in rest[:1]:
            self.forget("".join(rest[1:2]), "printf sets it")
        elif first == "let":
            self.forget_counted(" ".join(rest))
        elif first in {"set", "shift"}:
            self.set_arguments(first, rest)
        elif first in {"exit", "return"}:
            self.leave(first)
        else:
            for source in self.sources(first, rest):
                self.forget_all(f"may be set by {self.state.word(source)[:100]}, in line {line}")

    def leave(self, first: str) -> None:
        """Stop here, or go on where it is not known whether the script does."""
        if not self.conditional and all(block.name == "{" for block in self.blocks):
            self.at = len(self.text)
        elif first == "return":
            self.perhaps = True

    def sources(self, first: str, rest: list[str]) -> Iterator[str]:
        """Yield the words of a command that may set any variable: another file, or an output."""
        if first in {"source", "."} and rest:
            if rest[0].rpartition("/")[2] not in _SHELL_ONLY:
                yield rest[0]
        elif first == "eval" or first in DECLARING:
            yield from filter(self.state.is_output, rest)
            yield from (word for word in rest[:1] if word == "-n")  # a name for any other

    def set_arguments(self, first: str, rest: list[str]) -> None:
        """Set what ``$@`` is, or go on to the next of it."""
        old = self.arguments
        if first == "set" and "--" in rest:
            self.arguments = rest[rest.index("--") + 1 :]
        elif first == "shift" and old is not None:
            count = re.fullmatch("[0-9]{1,6}", "".join(rest[:1]))
            self.arguments = old[int(count[0]) if count else 1 :]
        if self.arguments is not old and self.conditional:
            self.arguments = [self.state.gap("$@", "$@ is set under a condition", many=True)]


def _scripts(words: list[str]) -> Iterator[str]:
    """Yield the scripts that shells are given as words, as in ``bash -c '…'``."""
    for shell, option, text in zip(words, words[1:], words[2:], strict=False):
        if shell.rpartition("/")[2] in _SHELLS and option[:1] == "-" and option.endswith("c"):
            yield text

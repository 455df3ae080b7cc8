"""The commands of a shell script, as the words that they would be given."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.configs.flags import Unknown
from rheostat.limits import MAX_CONFIG

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+?)=")
_COUNTED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(?:[-+*/%]?=(?!=)|\+\+|--)")
"""What arithmetic assigns."""
_HOLDING_FLAGS: Final = re.compile(r"(?i)arg|opt|flag|extra|param|overrid")
"""What is in the names of variables that hold flags."""
_MARK: Final = re.compile("\0(\\d+)\0")
"""What stands in a word for what is not known; no text has a null character."""
_PLAIN: Final = re.compile(r"[^\s;&|()<>\\'\"$`]+")
_IN_QUOTES: Final = re.compile(r'["\\`$]')
"""What is more than itself between double quotes."""
_SPACES: Final = re.compile(r"[ \t\n]+")
_ENDS: Final = " \t\n;&|()<>"
_BRACED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(\[[@*]\])?(:?[-=?+])?")
_HERE: Final = re.compile(r"<<-?[ \t]*['\"\\]?([^\s'\";&|<>()]+)['\"]?")
_REDIRECTED: Final = re.compile(r"&?[<>]+[|&]?[ \t]*")
_WORD_ENDS: Final = r"(?=[\s;&|()<>]|$)"
_KEYWORD: Final = re.compile(
    r"(if|then|elif|else|fi|while|until|do|done|for|select|case|esac|function|time|!|\[\[|\{|\})"
    + _WORD_ENDS
)
_CONDITIONS: Final = frozenset({"if", "while", "until", "for", "select", "case"})
"""Blocks in which an assignment is made, or is not, or is made several times."""
_CLOSING: Final = frozenset({"fi", "done", "esac", "}"})
_DECLARING: Final = frozenset({"export", "declare", "local", "readonly", "typeset"})
_LOCAL: Final = frozenset({"local", "declare", "typeset"})
"""What a function forgets when it returns."""
_SHELL_ONLY: Final = frozenset(
    {"activate", ".bashrc", ".bash_profile", ".profile", "profile", "conda.sh", "modules.sh"}
)
"""Files that set up the shell, and no variables of a training."""
_HOOK: Final = re.compile(r"conda|mamba|pyenv|ssh-agent|brew|module")
"""What is in commands whose output sets up the shell."""
_SHELLS: Final = frozenset({"sh", "bash", "zsh"})
_DEEPEST: Final = 4
"""Scripts in words of scripts."""
_DEEPEST_CALL: Final = 16
"""Functions that call functions."""
_COST: Final = 8
"""Characters to fill in that take the time of one that is read again."""
_EXECUTED: Final = "has to be executed"


_Assigned = tuple[str, list[str], bool]
"""A variable, what it is set to, and whether that is added to what it was."""


class Command(NamedTuple):
    """A command: its words, and the line where it begins."""

    words: list[str]
    line: int


class _Gap(NamedTuple):
    """A part of a word that is not known."""

    text: str
    why: str
    many: bool = False


def commands_of(text: str) -> Iterator[Command]:
    """Yield the commands of a script that have words, with what it assigns filled in."""
    state = _State()
    yield from _Script(text, state).commands()
    if not state.used and len(state.arrays) == 1:  # the flags alone, without the command
        (name,) = state.arrays
        yield Command([state.word(each) for each in state.values[name]], state.arrays[name])


class _Function(NamedTuple):
    """The text of a function, and the line where it begins."""

    text: str
    line: int


class _Block(NamedTuple):
    """A block: the word that opens it, and the variables before it."""

    name: str
    before: dict[str, list[str]]
    piped: bool = False
    perhaps: bool = False
    """Whether it is not known that it runs, or how often."""


class _State:
    """What a script has assigned so far; a variable is a list of texts, and most have one."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.arrays: dict[str, int] = {}
        """The arrays, with the lines where they begin."""
        self.functions: dict[str, list[_Function]] = {}
        """Functions by name, several where a condition chooses among them."""
        self.used = False
        """Whether a command has a flag."""
        self.gaps: list[_Gap] = []
        self.left = 4 * MAX_CONFIG
        """Characters that may still be filled in."""

    def gap(self, text: str, why: str, *, many: bool = False) -> str:
        """Return the mark of what is not known."""
        self.gaps.append(_Gap(text, why, many))
        return f"\0{len(self.gaps) - 1}\0"

    def spend(self, count: int) -> None:
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
        mark = _MARK.fullmatch(text)
        gap = self.gaps[int(mark[1])] if mark else None
        return gap is not None and gap.why is _EXECUTED and not _HOOK.search(gap.text)

    def word(self, text: str) -> str:
        """Return a word as it is given to a command."""
        marks = _MARK.findall(text)
        if not marks:
            return text
        gaps = [self.gaps[int(mark)] for mark in marks]
        written = _MARK.sub(lambda match: self.gaps[int(match[1])].text, text)
        alone = _MARK.fullmatch(text) is not None
        return Unknown(written, gaps[0].why, many=alone and gaps[0].many)


class _Script:
    """Reads a script from its first character to its last."""

    def __init__(self, text: str, state: _State, depth: int = 1, *, line: int = 1) -> None:
        self.text, self.state, self.depth = text, state, depth
        self.at = 0
        self.first_line = line
        self.blocks: list[_Block] = []
        self.after_condition = False
        """Whether the command stands behind ``&&`` or ``||``."""
        self.after_pipe = False
        """Whether the command stands behind ``|``."""
        self.perhaps = False
        """Whether it is not known that this script runs, or that it goes on."""
        self.only_read = False
        """Whether this is a function's text, which runs where it is called."""
        self.ended: _Block | None = None
        """The block that ends in this command."""
        self.arguments: list[str] | None = None
        """What a function is given, or ``set --`` gives; None for what the script is given."""
        self.locals: dict[str, list[str] | None] = {}
        """What variables were that a function forgets when it returns."""
        self.here: list[str] = []
        """The words that end the here-documents which begin in this line."""
        self.breaks = [match.start() for match in re.finditer("\n", text)]

    def commands(self) -> Iterator[Command]:
        """Yield the commands that have words."""
        while self.at < len(self.text):
            start = self.at
            self.ended = None
            words, assigned = self.command()
            if not self.only_read:
                yield from self.done(words, assigned, self.line(start))
            self.end_command(empty=not words and not assigned and self.ended is None)

    def done(self, words: list[str], assigned: list[_Assigned], line: int) -> Iterator[Command]:
        """Yield a command; what a process of its own assigns is forgotten, as the shell does."""
        apart = self.after_pipe or self.forks()
        before = self.state.copy() if apart and self.ended is None else None
        if not words or words[0] in _DECLARING:
            self.declare(words, assigned)
        if words:
            yield from self.ran(words, assigned, line)
        if before is not None:
            self.state.values = before
        elif self.ended is not None and (self.ended.piped or self.forks()):
            self.state.values = self.ended.before

    def declare(self, words: list[str], assigned: list[_Assigned]) -> None:
        """Set variables; what is declared in a function is its own."""
        assigned += [  # in quotes, or with a name that was filled in
            (match[1], [word[match.end() :]], bool(match[3]))
            for word in words[1:]
            if (match := _ASSIGNED.match(word))
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
            if _NAME.fullmatch(name):
                self.locals.setdefault(name, self.state.values.pop(name, None))

    def line(self, at: int | None = None) -> int:
        return bisect_right(self.breaks, self.at if at is None else at) + self.first_line

    def wrong(self, message: str) -> OtherSyntaxError:
        return OtherSyntaxError(f"line {self.line()}: {message}")

    def starts(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    # commands

    def command(self) -> tuple[list[str], list[_Assigned]]:
        """Return the words of the next command, and what it assigns; stops where it ends."""
        words: list[str] = []
        assigned: list[_Assigned] = []
        while self.at < len(self.text):
            self.skip_blanks()
            here = self.text[self.at : self.at + 1]
            if here in {"<", ">"} or self.starts("&>"):
                self.redirect(words)
            elif here in {"", "\n", ";", "&", "|", ")"}:
                break
            elif here == "(":
                words = self.parenthesis(words)
            elif self.opens(words):
                pass
            elif (not words or words[0] in _DECLARING) and (
                match := _ASSIGNED.match(self.text, self.at)
            ):
                self.at = match.end()
                assigned.append((match[1], self.assigned(match), bool(match[3])))
            else:
                words += self.word()
        return words, assigned

    def skip_blanks(self) -> None:
        """Go to the next word of this line, over comments and escaped ends of lines."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t":
                self.at += 1
            elif self.starts("\\\n"):
                self.at += 2
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                break

    def end_command(self, *, empty: bool) -> None:
        """Go over what ends a command, and over the here-documents behind it."""
        text = self.text[self.at : self.at + 2]
        if not (empty and text[:1] == "\n"):  # a command may begin in the line after && and |
            self.after_condition = text in {"&&", "||"}
            self.after_pipe = text[:1] == "|" and text != "||"
        if text in {"&&", "||", "|&"}:
            self.at += 2
            return
        if text == ";;" and self.blocks and self.blocks[-1].name == "case":
            self.at += 2
            self.pattern()
        elif text[:1] == ")":
            if not self.blocks or self.blocks[-1].name != "(":
                raise self.wrong("a ) has no (")
            self.state.values = self.blocks.pop().before
            self.at += 1
        elif text[:1] == "\n":
            self.at += 1
            while self.here:
                end = re.compile(rf"[ \t]*{re.escape(self.here.pop(0))}[ \t]*(\n|$)")
                self.skip_here(end)
        else:
            self.at += 1

    def skip_here(self, end: re.Pattern[str]) -> None:
        while self.at < len(self.text) and not (match := end.match(self.text, self.at)):
            newline = self.text.find("\n", self.at)
            self.at = len(self.text) if newline < 0 else newline + 1
        if self.at < len(self.text) and match:
            self.at = match.end()

    def opens(self, words: list[str]) -> bool:
        """Take a keyword, if one begins the command, and what belongs to it."""
        match = None if words else _KEYWORD.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        name = match[1]
        if name in _CONDITIONS or name == "{":
            self.begin(name)
        elif name in _CLOSING:
            if not self.blocks:
                raise self.wrong(f"{name} closes nothing")
            self.ended = self.blocks.pop()
        heads = {
            "for": self.loop,
            "select": self.loop,
            "while": self.forget_looped,
            "until": self.forget_looped,
            "case": self.case,
            "function": self.named,
            "[[": self.test,
        }
        if name in heads:
            heads[name]()
        return True

    def named(self) -> None:
        """Take a function that is told by the keyword, with its name, and () or not."""
        self.skip_blanks()
        name = "".join(self.word())
        if head := re.compile(r"[ \t]*\(\s*\)").match(self.text, self.at):
            self.at = head.end()
        self.function(name)

    def begin(self, name: str) -> None:
        """Open a block; behind a condition it is not known that it runs."""
        perhaps = self.conditional or name in _CONDITIONS
        self.blocks.append(_Block(name, self.state.copy(), self.after_pipe, perhaps))
        self.after_condition = self.after_pipe = False

    def function(self, name: str) -> None:
        """Take the text of a function: it runs where it is called, and nowhere else."""
        if self.only_read:
            return
        while self.text[self.at : self.at + 1] in {" ", "\t", "\n"}:
            self.at += 1
        start, perhaps = self.at, self.conditional
        self.read_on([])
        self.ended = None
        found = _Function(self.text[start : self.at], self.line(start))
        others = self.state.functions.get(name, []) if perhaps else []
        self.state.functions[name] = [*others, found]

    def read_on(self, blocks: list[_Block]) -> set[str]:
        """Go to where these blocks end, or the next one; return what is set on the way."""
        names: set[str] = set()
        outer = self.state, self.blocks, self.only_read
        self.state, self.blocks, self.only_read = _State(), blocks, True
        while self.at < len(self.text):
            _, assigned = self.command()
            names |= {name for name, _, added in assigned if not added}
            if not self.blocks:
                break
            self.end_command(empty=False)
            if not self.blocks:
                break
        self.state, self.blocks, self.only_read = outer
        return names

    def forget_looped(self) -> None:
        """Forget what the loop that begins here sets: it comes by again."""
        if self.only_read:
            return
        here, line = self.at, self.line()
        names = self.read_on([self.blocks[-1]])
        self.state.spend(_COST // 2 * (self.at - here))
        self.at = here
        self.after_condition = self.after_pipe = False
        for name in names & self.state.values.keys():
            self.forget(name, f"{name} is set in the loop of line {line}")

    def test(self) -> None:
        """Go over what is tested between ``[[`` and ``]]``."""
        end = self.text.find("]]", self.at)
        if end < 0:
            raise self.wrong("a [[ has no ]]")
        self.at = end + 2

    def loop(self) -> None:
        """Go over the head of a loop, whose variable has several values."""
        self.skip_blanks()
        if match := _NAME.match(self.text, self.at):
            self.forget(match[0], f"{match[0]} is set by a loop")
        self.skip_words()
        self.forget_looped()

    def case(self) -> None:
        """Go over what is compared, and over the first pattern."""
        self.skip_words(until="in")
        self.pattern()

    def skip_words(self, until: str = "") -> None:
        """Go over the words up to the end of the command, or up to one of them."""
        while True:
            self.skip_blanks()
            here = self.text[self.at : self.at + 1]
            if here == "(":
                self.at = self.closed(self.at)
            elif here in _ENDS or (until in self.word() and until):
                return

    def pattern(self) -> None:
        """Go over a pattern of ``case``, or leave it at its end."""
        while True:
            self.skip_blanks()
            if not self.starts("\n"):
                break
            self.at += 1
        if not re.compile("esac" + _WORD_ENDS).match(self.text, self.at):
            end = self.text.find(")", self.at)
            if end < 0:
                raise self.wrong("case has no pattern")
            self.at = end + 1

    def parenthesis(self, words: list[str]) -> list[str]:
        """Take a function's head, arithmetic, or the beginning of a subshell."""
        if words:
            if len(words) > 1 or not re.compile(r"\(\s*\)").match(self.text, self.at):
                raise self.wrong("a ( where a word should be")
            self.at = self.closed(self.at)
            self.function(words[0])
            return []
        if self.starts("(("):
            end = self.closed(self.at)
            self.forget_counted(self.text[self.at : end])
            self.at = end
        else:
            self.begin("(")
            self.at += 1
        return words

    def redirect(self, words: list[str]) -> None:
        """Go over a redirection and its file: they are no words of the command."""
        if self.text[self.at + 1 : self.at + 2] == "(" and not self.starts("&"):
            end = self.closed(self.at + 1)
            words.append(self.state.gap(self.text[self.at : end], _EXECUTED))
            self.at = end
            return
        if words and words[-1].isdigit() and self.text[self.at - 1].isdigit():
            words.pop()  # the number of what is redirected
        here = None if self.starts("<<<") else _HERE.match(self.text, self.at)
        if here is not None:
            self.here.append(here[1])
            self.at = here.end()
            return
        if match := _REDIRECTED.match(self.text, self.at):
            self.at = match.end()
        self.word()

    def ran(self, words: list[str], assigned: list[_Assigned], line: int) -> Iterator[Command]:
        """Yield a command, and those of a script or a function that is one of its words."""
        if words[0] in self.state.functions:
            yield from self.called(words, assigned)
            return
        if words[0] in {"builtin", "command"} and len(words) > 1:
            words = words[1:]
        self.built_in(words[0], words[1:], line)
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

    def inner(self, script: _Script, assigned: list[_Assigned]) -> Iterator[Command]:
        """Yield the commands of a script, for which alone variables are set before it."""
        for name, texts, added in assigned:
            script.locals.setdefault(name, self.state.values.get(name))
            self.assign(name, texts, added=added)
        yield from script.commands()
        for name, old in script.locals.items():
            self.state.values.pop(name, None)
            if old is not None:
                self.state.values[name] = old

    def inside(self, text: str, *, deepest: int = _DEEPEST, line: int = 1) -> _Script:
        """Return the reader of a script that this one runs."""
        if self.depth >= deepest:
            raise refused("has scripts in scripts", f"≤ {deepest} of them", line=self.line())
        inner = _Script(text, self.state, self.depth + 1, line=line)
        inner.perhaps, inner.arguments = self.conditional, self.arguments
        return inner

    def called(self, words: list[str], assigned: list[_Assigned]) -> Iterator[Command]:
        """Yield the commands of a function; what it has for itself is forgotten afterwards."""
        functions = self.state.functions[words[0]]
        for function in functions:
            self.state.spend(_COST * (len(function.text) + _COST))
            inner = self.inside(function.text, deepest=_DEEPEST_CALL, line=function.line)
            inner.perhaps = inner.perhaps or len(functions) > 1
            inner.arguments = words[1:]
            yield from self.inner(inner, assigned)

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
        elif first == "eval" or first in _DECLARING:
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

    # assignments

    @property
    def conditional(self) -> bool:
        inside = bool(self.blocks) and self.blocks[-1].perhaps
        return self.after_condition or self.perhaps or inside

    def assigned(self, match: re.Match[str]) -> list[str]:
        """Return what is assigned: the words of an array, or one text."""
        if match[2]:
            self.word()
            return [self.state.gap(match[0], "an element of it is set apart")]
        if not self.starts("("):
            return ["".join(self.word(split=False))]
        line = self.line()
        self.at += 1
        texts: list[str] = []
        while True:
            self.skip_blanks()
            if self.starts("\n"):
                self.at += 1
            elif self.starts(")"):
                self.at += 1
                break
            elif self.text[self.at : self.at + 1] in _ENDS:
                raise self.wrong(f"the array of line {line} is not closed")
            else:
                texts += self.word()
        if any(text.startswith("--") for text in texts):
            self.state.arrays.setdefault(match[1], line)
        return texts

    def assign(self, name: str, texts: list[str], *, added: bool) -> None:
        """Set a variable, or add to it; under a condition it is not known what that gives."""
        values = self.state.values
        why = f"{name} is set under a condition, in line {self.line(self.at - 1)}"
        if self.conditional and not added:
            many = _HOLDING_FLAGS.search(name) is not None
            texts = [self.state.gap(f"${name}", why, many=many)]
        elif self.conditional:
            texts = [text + self.state.gap("", why) for text in texts]
        old = values.get(name)
        if added and old is None:
            old = [self.state.gap(f"${name}", f"{name} is not set in the script")]
        if added and old is not None:
            self.state.spend(sum(map(len, old)) + len(old))
            array = name in self.state.arrays or len(texts) != 1 or len(old) != 1
            texts = old + texts if array else [old[0] + texts[0]]
        values[name] = texts

    def forget(self, name: str, why: str) -> None:
        many = _HOLDING_FLAGS.search(name) is not None
        self.state.values[name] = [self.state.gap(f"${name}", why, many=many)]

    def forget_all(self, why: str) -> None:
        """Forget every variable, for any of them may be set."""
        self.state.spend(_COST * len(self.state.values))
        for name in self.state.values:
            self.forget(name, f"{name} {why}")

    def forget_counted(self, text: str) -> None:
        for name in _COUNTED.findall(text):
            self.forget(name, f"{name} is computed")

    # words

    def word(self, *, split: bool = True) -> list[str]:
        """Return the word that begins here, as the words that it becomes."""
        found = _Fields()
        while self.at < len(self.text):
            here = self.text[self.at]
            if match := _PLAIN.match(self.text, self.at):
                found.add(match[0])
                self.at = match.end()
            elif here in _ENDS:
                break
            elif here == "$":
                self.dollar(found, split=split)
            else:
                self.quote(found, here)
        found.end()
        return found.words

    def quote(self, found: _Fields, here: str) -> None:
        """Add what a quote, a backtick or a backslash begins."""
        if here == "'":
            found.add(self.quoted("'"))
        elif here == '"':
            self.double(found)
        elif here == "`":
            found.add(self.backticks())
        else:
            if not self.starts("\\\n"):
                found.add(self.text[self.at + 1 : self.at + 2])
            self.at += 2

    def dollar(self, found: _Fields, *, split: bool) -> None:
        """Add what ``$`` begins; without quotes it is split at its spaces."""
        if self.starts("$'"):
            self.at += 1
            found.add(self.quoted("'", escaped=True))
            return
        for i, text in enumerate(self.expansion(quoted=False)):
            if i:
                found.end()
            if split:
                found.spread(text)
            else:
                found.add(text)

    def quoted(self, quote: str, *, escaped: bool = False) -> str:
        """Return the text between two quotes."""
        start = self.at
        end = self.text.find(quote, start + 1)
        while escaped and end > 0 and self.text[end - 1] == "\\":
            end = self.text.find(quote, end + 1)
        if end < 0:
            raise self.wrong("a quote is not closed")
        self.at = end + 1
        text = self.text[start + 1 : end]
        if escaped and "\\" in text:
            return self.state.gap(text, _EXECUTED)
        return text

    def double(self, found: _Fields) -> None:
        """Add the text between two double quotes, with what is filled in."""
        start = self.at
        self.at += 1
        nothing = False  # "$@" makes no word where that is nothing
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == '"':
                self.at += 1
                if not nothing:
                    found.add("")
                return
            if here == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                if following != "\n":
                    found.add(following if following in '"\\$`' else here + following)
                self.at += 2
            elif here == "`":
                found.add(self.backticks())
            elif here == "$":
                texts = self.expansion(quoted=True)
                nothing = not texts
                for i, text in enumerate(texts):
                    if i:
                        found.end()
                    found.add(text)
            else:
                end = _IN_QUOTES.search(self.text, self.at)
                to = len(self.text) if end is None else end.start()
                found.add(self.text[self.at : to])
                self.at = to
        self.at = start
        raise self.wrong("a quote is not closed")

    def backticks(self) -> str:
        text = self.quoted("`")
        return self.state.gap(f"`{text}`", _EXECUTED)

    def expansion(self, *, quoted: bool) -> list[str]:
        """Return what ``$`` and what follows becomes."""
        start = self.at
        following = self.text[start + 1 : start + 2] or "."
        if following == "(":
            self.at = self.closed(start + 1)
            return [self.state.gap(self.text[start : self.at], _EXECUTED)]
        if following == "{":
            self.at = self.closed(start + 1)
            return self.braced(self.text[start : self.at], quoted=quoted)
        if match := _NAME.match(self.text, start + 1):
            self.at = match.end()
            return self.variable(match[0], quoted=quoted)[:1]
        self.at += 2
        if following in "@*0123456789":
            return self.given(following, quoted=quoted)
        if following in "#?$!-":
            why = f"${following} is known only when the script runs"
            return [self.state.gap(f"${following}", why)]
        self.at = start + 1
        return ["$"]

    def given(self, which: str, *, quoted: bool) -> list[str]:
        """Return ``$@``, ``$*`` or ``$1``; of what the script is given the file says nothing."""
        given = self.arguments
        if which in "@*":
            self.state.spend(sum(map(len, given or ())) + len(given or ()))
            joined = which == "*" and quoted and given
            return [" ".join(given)] if joined and given else list(given or ())
        if given is None or which == "0" or any(map(_MARK.fullmatch, given[: int(which) - 1])):
            return [self.state.gap(f"${which}", f"${which} is known only when the script runs")]
        return given[int(which) - 1 : int(which)] or [""]

    def braced(self, text: str, *, quoted: bool) -> list[str]:
        """Return what ``${…}`` becomes."""
        match = _BRACED.match(text)
        if text[2:-1] in {*"@*123456789"}:
            return self.given(text[2], quoted=quoted)
        if text[2] in "@*":  # a part of them
            return [self.state.gap(text, _EXECUTED, many=self.arguments is not None)]
        if match is None or (match[3] is None and match.end() != len(text) - 1):
            return [self.state.gap(text, _EXECUTED)]
        name, everything, default = match.groups()
        if default is not None:
            value = self.state.values.get(name)
            if value is not None and any(value) and default[-1] != "+":
                return self.variable(name, quoted=quoted)[:1]
            return [self.state.gap(text, f"{name} may be set in the environment")]
        values = self.variable(name, quoted=quoted and not everything)
        if everything == "[*]" and quoted:
            return [" ".join(values)]
        return values if everything else values[:1]

    def variable(self, name: str, *, quoted: bool) -> list[str]:
        values = self.state.values.get(name)
        if values is None:
            many = not quoted and _HOLDING_FLAGS.search(name) is not None
            return [self.state.gap(f"${name}", f"{name} is not set in the script", many=many)]
        self.state.spend(sum(map(len, values)) + len(values))
        return values

    def closed(self, start: int) -> int:
        """Return where what opens at a place has been closed."""
        opening = self.text[start]
        closing = {"(": ")", "{": "}"}[opening]
        special = re.compile(rf"[\\'\"{re.escape(opening + closing)}]")
        depth, at = 0, start
        quote = ""
        while match := special.search(self.text, at):
            here, at = match[0], match.end()
            if here == "\\" and quote != "'":
                at += 1
            elif quote:
                quote = "" if here == quote else quote
            elif here in "'\"":
                quote = here
            elif here == opening:
                depth += 1
            elif here == closing:
                depth -= 1
                if depth == 0:
                    return at
        self.at = start
        raise self.wrong(f"a {opening} is not closed")


class _Fields:
    """The words that one word becomes."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.parts: list[str] | None = None

    def add(self, text: str) -> None:
        """Go on with a word; an empty text makes one too."""
        if self.parts is None:
            self.parts = []
        self.parts.append(text)

    def spread(self, text: str) -> None:
        """Go on with a text that is split at its spaces."""
        for i, piece in enumerate(_SPACES.split(text)):
            if i:
                self.end()
            if piece:
                self.add(piece)

    def end(self) -> None:
        """End a word, if one has begun."""
        if self.parts is not None:
            self.words.append("".join(self.parts))
        self.parts = None


def _scripts(words: list[str]) -> Iterator[str]:
    """Yield the scripts that shells are given as words, as in ``bash -c '…'``."""
    for shell, option, text in zip(words, words[1:], words[2:], strict=False):
        if shell.rpartition("/")[2] in _SHELLS and option[:1] == "-" and option.endswith("c"):
            yield text

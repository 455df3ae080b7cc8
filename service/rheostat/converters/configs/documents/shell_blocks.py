"""The commands of a shell script, and the blocks that they stand in."""

from __future__ import annotations

import re
from typing import Final

from rheostat.converters.configs.documents.shell_state import (
    EXECUTED,
    HOLDING_FLAGS,
    Block,
    Function,
    State,
)
from rheostat.converters.configs.documents.shell_words import ENDS, NAME, Words

ASSIGNED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+?)=")
_COUNTED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(?:[-+*/%]?=(?!=)|\+\+|--)")
"""What arithmetic assigns."""
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
DECLARING: Final = frozenset({"export", "declare", "local", "readonly", "typeset"})
COST: Final = 8
"""Characters to fill in that take the time of one that is read again."""
Assigned = tuple[str, list[str], bool]
"""A variable, what it is set to, and whether that is added to what it was."""


class Blocks(Words):
    """Reads a text command by command."""

    def __init__(self, text: str, state: State, *, line: int = 1) -> None:
        super().__init__(text, state, line=line)
        self.blocks: list[Block] = []
        self.ended: Block | None = None
        """The block that ends in this command."""
        self.after_condition = False
        """Whether the command stands behind ``&&`` or ``||``."""
        self.after_pipe = False
        """Whether the command stands behind ``|``."""
        self.perhaps = False
        """Whether it is not known that this script runs, or that it goes on."""
        self.only_read = False
        """Whether this is a function's text, which runs where it is called."""
        self.here: list[str] = []
        """The words that end the here-documents which begin in this line."""

    def command(self) -> tuple[list[str], list[Assigned]]:
        """Return the words of the next command, and what it assigns; stops where it ends."""
        words: list[str] = []
        assigned: list[Assigned] = []
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
            elif (not words or words[0] in DECLARING) and (
                match := ASSIGNED.match(self.text, self.at)
            ):
                self.at = match.end()
                assigned.append((match[1], self.assigned(match), bool(match[3])))
            else:
                words += self.word()
        return words, assigned

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
        """Go over a here-document."""
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
        self.blocks.append(Block(name, self.state.copy(), self.after_pipe, perhaps))
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
        found = Function(self.text[start : self.at], self.line(start))
        others = self.state.functions.get(name, []) if perhaps else []
        self.state.functions[name] = [*others, found]

    def read_on(self, blocks: list[Block]) -> set[str]:
        """Go to where these blocks end, or the next one; return what is set on the way."""
        names: set[str] = set()
        outer = self.state, self.blocks, self.only_read
        self.state, self.blocks, self.only_read = State(), blocks, True
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
        self.state.spend(COST // 2 * (self.at - here))
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
        if match := NAME.match(self.text, self.at):
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
            elif here in ENDS or (until in self.word() and until):
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
            words.append(self.state.gap(self.text[self.at : end], EXECUTED))
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

    @property
    def conditional(self) -> bool:
        """Whether it is not known that the command runs, or how often."""
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
            elif self.text[self.at : self.at + 1] in ENDS:
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
            many = HOLDING_FLAGS.search(name) is not None
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
        """Set a variable to what is not known."""
        many = HOLDING_FLAGS.search(name) is not None
        self.state.values[name] = [self.state.gap(f"${name}", why, many=many)]

    def forget_all(self, why: str) -> None:
        """Forget every variable, for any of them may be set."""
        self.state.spend(COST * len(self.state.values))
        for name in self.state.values:
            self.forget(name, f"{name} {why}")

    def forget_counted(self, text: str) -> None:
        """Forget what arithmetic assigns."""
        for name in _COUNTED.findall(text):
            self.forget(name, f"{name} is computed")

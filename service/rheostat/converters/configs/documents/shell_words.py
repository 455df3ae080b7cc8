"""The words of a shell script: quotes, and what stands for variables, filled in."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError
from rheostat.converters.configs.documents.shell_state import EXECUTED, HOLDING_FLAGS, MARK, State

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN: Final = re.compile(r"[^\s;&|()<>\\'\"$`]+")
_IN_QUOTES: Final = re.compile(r'["\\`$]')
"""What is more than itself between double quotes."""
_SPACES: Final = re.compile(r"[ \t\n]+")
ENDS: Final = " \t\n;&|()<>"
_BRACED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(\[[@*]\])?(:?[-=?+])?")


class Words:
    """Reads a text word by word."""

    def __init__(self, text: str, state: State, *, line: int = 1) -> None:
        self.text, self.state = text, state
        self.at = 0
        self.first_line = line
        self.breaks = [match.start() for match in re.finditer("\n", text)]
        self.arguments: list[str] | None = None
        """What a function is given, or ``set --`` gives; None for what the script is given."""

    def line(self, at: int | None = None) -> int:
        """Return the line of a place, or of this one."""
        return bisect_right(self.breaks, self.at if at is None else at) + self.first_line

    def wrong(self, message: str) -> OtherSyntaxError:
        """Return the error about this line."""
        return OtherSyntaxError(f"line {self.line()}: {message}")

    def starts(self, text: str) -> bool:
        """Return whether a text stands here."""
        return self.text.startswith(text, self.at)

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

    def word(self, *, split: bool = True) -> list[str]:
        """Return the word that begins here, as the words that it becomes."""
        found = Fields()
        while self.at < len(self.text):
            here = self.text[self.at]
            if match := _PLAIN.match(self.text, self.at):
                found.add(match[0])
                self.at = match.end()
            elif here in ENDS:
                break
            elif here == "$":
                self.dollar(found, split=split)
            else:
                self.quote(found, here)
        found.end()
        return found.words

    def quote(self, found: Fields, here: str) -> None:
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

    def dollar(self, found: Fields, *, split: bool) -> None:
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
            return self.state.gap(text, EXECUTED)
        return text

    def double(self, found: Fields) -> None:
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
        """Take a command between backticks, whose output is not known."""
        text = self.quoted("`")
        return self.state.gap(f"`{text}`", EXECUTED)

    def expansion(self, *, quoted: bool) -> list[str]:
        """Return what ``$`` and what follows becomes."""
        start = self.at
        following = self.text[start + 1 : start + 2] or "."
        if following == "(":
            self.at = self.closed(start + 1)
            return [self.state.gap(self.text[start : self.at], EXECUTED)]
        if following == "{":
            self.at = self.closed(start + 1)
            return self.braced(self.text[start : self.at], quoted=quoted)
        if match := NAME.match(self.text, start + 1):
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
        if given is None or which == "0" or any(map(MARK.fullmatch, given[: int(which) - 1])):
            return [self.state.gap(f"${which}", f"${which} is known only when the script runs")]
        return given[int(which) - 1 : int(which)] or [""]

    def braced(self, text: str, *, quoted: bool) -> list[str]:
        """Return what ``${…}`` becomes."""
        match = _BRACED.match(text)
        if text[2:-1] in {*"@*123456789"}:
            return self.given(text[2], quoted=quoted)
        if text[2] in "@*":  # a part of them
            return [self.state.gap(text, EXECUTED, many=self.arguments is not None)]
        if match is None or (match[3] is None and match.end() != len(text) - 1):
            return [self.state.gap(text, EXECUTED)]
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
        """Return what a variable is set to."""
        values = self.state.values.get(name)
        if values is None:
            many = not quoted and HOLDING_FLAGS.search(name) is not None
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


class Fields:
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

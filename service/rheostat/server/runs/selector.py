r"""
Selectors: which runs are meant, by their labels, as Kubernetes writes it.

A selector is a list of requirements, of which all must hold, separated by commas::

    team=nlp, stage in (pretrain, mid), tier!=dev, gpu, !frozen

``key=value`` (or ``==``), ``key!=value``, ``key in (a, b)``, ``key notin (a, b)``, ``key`` for a
run that has the label, ``!key`` for one that has not. As there, ``!=`` and ``notin`` hold of runs
without the label, too. A key or value with a space or one of ``,=!()"\`` is put into double
quotes, in which ``\`` stands before ``"`` and ``\``.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_LABEL, MAX_LABELS, MAX_NAME

MAX_SELECTOR = 4_096
"""Characters of a selector."""

MAX_VALUES = 64
"""Values in one list of a selector."""

TOKEN = re.compile(r'\s*(?:([^\s,=!()"\\]+)|"((?:[^"\\]|\\["\\])*)"|(==|!=|[=!(),]))')
SPECIAL = re.compile(r'[\s,=!()"\\]')


class Relation(StrEnum):
    """How a label stands to the values of a requirement."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold of one label."""

    key: str
    relation: Relation
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds of these labels."""
        match self.relation:
            case Relation.IN:
                return labels.get(self.key) in self.values
            case Relation.NOT_IN:
                return labels.get(self.key) not in self.values
            case Relation.EXISTS:
                return self.key in labels
            case Relation.ABSENT:
                return self.key not in labels

    def __str__(self) -> str:
        """Return it as it is written."""
        key, values = _quoted(self.key), [_quoted(value) for value in sorted(self.values)]
        match self.relation, values:
            case Relation.EXISTS, _:
                return key
            case Relation.ABSENT, _:
                return f"!{key}"
            case Relation.IN, [only]:
                return f"{key}={only}"
            case Relation.NOT_IN, [only]:
                return f"{key}!={only}"
        return f"{key} {self.relation} ({','.join(values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements of which all must hold; of none, every run is meant."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str, field: str = "selector") -> Selector:
        """
        Return what a text asks for; nothing asks for every run.

        Raises:
            Invalid: It is not written as a selector is, or too long; `field` is named.

        """
        if len(text) > MAX_SELECTOR:
            message = f"{field} has {len(text)} characters, and at most {MAX_SELECTOR} are read"
            wrong = FieldError(field, message, len(text), f"<= {MAX_SELECTOR} characters")
            raise Invalid(message, errors=[wrong])
        return cls(tuple(_Parser(text, field).requirements()))

    def also(self, other: Selector) -> Selector:
        """Return what means the runs that both mean."""
        return Selector((*self.requirements, *other.requirements))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a run with these labels is meant."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        """Return it as it is written; two that are written alike mean the same."""
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()


class _Parser:
    """Reads a selector word by word; quoted words are never signs."""

    def __init__(self, text: str, field: str) -> None:
        self._text, self._field = text, field
        self._words = list(self._split())
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        if not self._words:
            return
        for count in range(1, MAX_LABELS + 2):
            if count > MAX_LABELS:
                self._refuse(f"at most {MAX_LABELS} requirements are read")
            yield self._requirement()
            if self._at == len(self._words):
                return
            self._take(",")

    def _requirement(self) -> Requirement:
        if self._next("!"):
            return Requirement(self._word("a label", MAX_NAME), Relation.ABSENT)
        key = self._word("a label", MAX_NAME)
        for sign, relation in (("=", Relation.IN), ("==", Relation.IN), ("!=", Relation.NOT_IN)):
            if self._next(sign):
                return Requirement(key, relation, frozenset({self._value()}))
        for relation in (Relation.IN, Relation.NOT_IN):
            if self._next(relation):
                return Requirement(key, relation, self._values())
        return Requirement(key, Relation.EXISTS)

    def _values(self) -> frozenset[str]:
        self._take("(")
        found = {self._value()}
        while self._next(","):
            found.add(self._value())
            if len(found) > MAX_VALUES:
                self._refuse(f"at most {MAX_VALUES} values are read in a list")
        self._take(")")
        return frozenset(found)

    def _value(self) -> str:
        # as in `key=`: a label that says nothing
        if self._at == len(self._words) or self._words[self._at] in _ENDS:
            return ""
        return self._word("a value", MAX_LABEL)

    def _word(self, what: str, longest: int) -> str:
        if self._at == len(self._words):
            self._refuse(f"{what} is expected at its end")
        word, quoted = self._words[self._at]
        if not quoted and SPECIAL.search(word):
            self._refuse(f"{what} is expected, and not {word!r}")
        if len(word) > longest:
            self._refuse(f"{what} has at most {longest} characters, and {word[:20]!r}… has more")
        self._at += 1
        return word

    def _next(self, word: str) -> bool:
        """Go past a sign, if it comes next."""
        found = self._at < len(self._words) and self._words[self._at] == (word, False)
        self._at += found
        return found

    def _take(self, sign: str) -> None:
        if not self._next(sign):
            rest = [repr(word) for word, _ in self._words[self._at : self._at + 1]]
            self._refuse(f"{sign!r} is expected, and not {rest[0] if rest else 'its end'}")

    def _split(self) -> Iterator[tuple[str, bool]]:
        place, text = 0, self._text.rstrip()
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                self._refuse(f"{text[place : place + 20].strip()!r} cannot be read")
            plain, quoted, sign = found.groups()
            if quoted is not None:
                yield re.sub(r"\\(.)", r"\1", quoted), True
            else:
                yield plain or sign, False
            place = found.end()

    def _refuse(self, why: str) -> NoReturn:
        message = f"{self._field} is not a selector: {why}"
        expected = "such as team=nlp,stage in (pretrain,mid),!frozen"
        shown = self._text[:100]
        raise Invalid(message, errors=[FieldError(self._field, message, shown, expected)])


_ENDS = ((",", False), (")", False))


def _quoted(word: str) -> str:
    if word and not SPECIAL.search(word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'

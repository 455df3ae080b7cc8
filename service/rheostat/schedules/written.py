"""
Definitions as they were written: the words of lengths that depend on the run.

``"10%"``, ``"3 epochs"`` and ``"rest"`` are resolved to steps when a definition is stored, and kept
beside them: for another total the same words mean other steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from typing import Any, NamedTuple

from rheostat import wire
from rheostat.schedules.definition import Definition
from rheostat.schedules.lengths import Kept, is_spoken
from rheostat.schedules.parse import ParseContext, parsed, passed
from rheostat.schedules.references import Lookup


@dataclass(frozen=True)
class Words:
    """A definition in its words, and the total that they are laid out for."""

    data: Mapping[str, Any]
    """The canonical JSON, but for lengths that depend on the run: they are text."""
    total: int | None
    steps_per_epoch: int | None = None
    kept: Mapping[str, Kept] | None = None
    """Boundaries that stay where an earlier total had put them, by their paths."""

    def laid_out(self, field: str = "definition") -> Definition:
        """
        Return the definition in whole steps; paths of errors begin with ``field``.

        Raises:
            Invalid: if the words have no room in the total.

        """
        return parsed(self.data, self._context(field)).definition

    def moved(self, total: int, now: int, origin: int) -> Words:
        """
        Return the words for another total, in force from step ``now`` of their own clock on.

        Boundaries at or below ``now`` stay, but for the end of a curve that ended with the total
        so far; the run counts ``origin`` more than the words do.
        """
        if self.total is None:
            return replace(self, total=total)
        totals = (Fraction(self.total), Fraction(self.total - origin))
        kept = passed(self.data, self._context("definition"), Fraction(now), totals)
        return replace(self, total=total, kept=kept)

    def scaled(self, factor: float) -> Words:
        """Return the words with all values multiplied."""
        if self.data["kind"] == "scale":
            return replace(self, data={**self.data, "factor": factor * self.data["factor"]})
        kept = self.kept and {f".of{path}": place for path, place in self.kept.items()}
        data = {"kind": "scale", "of": self.data, "factor": factor}
        return replace(self, data=data, kept=kept)

    def _context(self, field: str) -> ParseContext:
        kept = None if self.kept is None else tuple(sorted(self.kept.items()))
        return ParseContext(self.total, self.steps_per_epoch, field, kept)

    def to_json(self) -> wire.Words:
        """Return the wire form, which is also what is stored."""
        document: wire.Words = {"definition": dict(self.data), "total": self.total}
        if self.steps_per_epoch is not None:
            document["steps_per_epoch"] = self.steps_per_epoch
        if self.kept is not None:
            places = self.kept.items()
            document["kept"] = {key: list(p) if isinstance(p, tuple) else p for key, p in places}
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Words:
        """Read what was stored."""
        kept = data.get("kept")
        if kept is not None:
            kept = {path: tuple(p) if isinstance(p, list) else p for path, p in kept.items()}
        return cls(data["definition"], data["total"], data.get("steps_per_epoch"), kept)


class Written(NamedTuple):
    """A definition, and its words if it has lengths that depend on the run."""

    definition: Definition
    words: Words | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of what is said: two with the same words are the same."""
        if self.words is None:
            return self.definition.content_hash
        return sha256(json.dumps(self.words.data, sort_keys=True).encode()).hexdigest()

    def laid_out(self, total: int, field: str = "definition") -> Written:
        """Return the definition laid out for a total, if its words depend on the run."""
        if self.words is None or self.words.total == total:
            return self
        words = replace(self.words, total=total)
        return Written(words.laid_out(field), words)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form: the definition in whole steps, with its words beside them."""
        document = self.definition.to_json()
        return document if self.words is None else {**document, "words": self.words.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], total: int | None, field: str) -> Written:
        """
        Read what was stored, laid out for ``total`` if one is given.

        Raises:
            Invalid: if it is no definition or has no room in the total; paths begin with ``field``.

        """
        if "words" not in data:
            return cls(parsed(data, ParseContext(field=field)).definition)
        words = Words.from_json(data["words"])
        if total is not None:
            words = replace(words, total=total)
        return cls(words.laid_out(field), words)


def write(
    data: Any,
    *,
    total: int | None = None,
    steps_per_epoch: int | None = None,
    field: str = "definition",
    lookup: Lookup | None = None,
) -> Written:
    """
    Return the definition that JSON data describes, and its words; the arguments are `parse`'s.

    Raises:
        Invalid: with one item for each wrong field.

    """
    found = parsed(data, ParseContext(total, steps_per_epoch, field), lookup)
    if not found.spoken:
        return Written(found.definition)
    said = _in_words(found.data, found.definition.to_json())
    return Written(found.definition, Words(said, total, steps_per_epoch))


def _in_words(raw: Any, resolved: Any) -> Any:
    """Return the canonical JSON with the text of lengths in place of their steps."""
    if isinstance(resolved, dict):
        return {
            key: _in_words(raw[key], value) if key in raw else value
            for key, value in resolved.items()
        }
    if isinstance(resolved, list):
        return [_in_words(*pair) for pair in zip(raw, resolved, strict=True)]
    return raw if is_spoken(raw) and not isinstance(resolved, str) else resolved

"""
YAML as PyYAML's safe loader reads it, which most projects use, but for a few things.

A number may be written as ``1e-4``, which YAML 1.1 takes for text. A key is the text that it is
written as, and stands once. A date stays text. Tags are refused, and so is a second document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.request import MAX_DEPTH, MAX_VALUES

_TAG: Final = "tag:yaml.org,2002:"
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")
"""A number with an exponent, as in YAML 1.2."""
_LONGEST_NUMBER: Final = 400
"""Characters of a number; its digits are no more than those of the greatest float64."""
_MERGE: Final = "<<"


def read_yaml(text: str) -> Any:
    """Return the data of a YAML text of one document."""
    import yaml  # noqa: PLC0415 - only who reads YAML needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(yaml.parse(text, Loader=loader), yaml).document()
    except yaml.YAMLError as error:
        raise OtherSyntaxError(_why(error)) from None
    except ValueError as error:  # text that has no UTF-8
        raise OtherSyntaxError(str(error)) from None


def _why(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return where + str(getattr(error, "problem", None) or error).partition("\n")[0]


class _Builder:
    """Builds data of the events of a parser. An alias is its anchor's very value, not a copy."""

    def __init__(self, events: Iterator[Any], yaml: Any) -> None:
        self.events = events
        self.yaml = yaml
        self.resolver = yaml.resolver.Resolver()
        self.constructor = yaml.constructor.SafeConstructor()
        self.anchors: dict[str, Any] = {}
        self.count = 0

    def document(self) -> Any:
        """Return the data of the only document."""
        value = None
        documents = 0
        for event in self.events:
            if not isinstance(event, self.yaml.DocumentStartEvent):
                continue
            documents += 1
            if documents > 1:
                raise refused("a second document begins", "one document", line=_line(event))
            value = self.value(next(self.events), 1)
        return value

    def value(self, event: Any, depth: int) -> Any:
        """Return what begins with an event."""
        self.spend(1)
        if depth > MAX_DEPTH:
            raise refused("is nested too deep", f"≤ {MAX_DEPTH} levels", line=_line(event))
        if isinstance(event, self.yaml.AliasEvent):
            return self.alias(event)
        self.check_tag(event)
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)  # until it is whole: it cannot be in itself
        if isinstance(event, self.yaml.ScalarEvent):
            found = self.scalar(event)
        elif isinstance(event, self.yaml.SequenceStartEvent):
            found = [self.value(item, depth + 1) for item in self.until(self.yaml.SequenceEndEvent)]
        else:
            found = self.mapping(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = found
        return found

    def spend(self, count: int) -> None:
        self.count += count
        if self.count > MAX_VALUES:
            raise refused("has too many values", f"≤ {MAX_VALUES} values")

    def until(self, end: type) -> Iterator[Any]:
        """Yield the events that begin the members of a list or an object."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield event

    def mapping(self, depth: int) -> dict[str, Any]:
        """Return an object. What is merged into it gives way to its own keys."""
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for event in self.until(self.yaml.MappingEndEvent):
            if not isinstance(event, self.yaml.ScalarEvent):
                raise refused("a key is no text", "keys that are text", line=_line(event))
            self.check_tag(event)
            name = event.value
            value = self.value(next(self.events), depth + 1)
            if name == _MERGE and event.implicit[0]:
                merged = self.merged(value, event)
            elif name in found:
                message = f"has the key {name[:100]} a second time"
                raise refused(message, "one of them", name, line=_line(event))
            else:
                found[name] = value
        return {**merged, **found}

    def merged(self, value: Any, event: Any) -> dict[str, Any]:
        """Return what ``<<`` merges: an object, or several of which the first comes first."""
        found: dict[str, Any] = {}
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, Mapping):
                raise refused("<< merges objects alone", "an object", line=_line(event))
            self.spend(len(each) + len(found))
            found = {**each, **found}
        return found

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            message = f"*{event.anchor[:100]} has no anchor before it that is whole"
            raise refused(message, "an anchor before its alias", line=_line(event))
        return self.anchors[event.anchor]

    def check_tag(self, event: Any) -> None:
        if event.tag is not None:
            message = f"has the tag {event.tag[:100]}, which says what to make of a value"
            raise refused(message, "no tags", line=_line(event))

    def scalar(self, event: Any) -> Any:
        """Return a text, or what its plain form is: as PyYAML resolves it."""
        text = event.value
        if not event.implicit[0] or len(text) > _LONGEST_NUMBER:
            return text
        tag = self.resolver.resolve(self.yaml.ScalarNode, text, (True, False))
        if tag == f"{_TAG}str" and _FLOAT.fullmatch(text):
            return float(text)
        construct = {
            f"{_TAG}null": self.constructor.construct_yaml_null,
            f"{_TAG}bool": self.constructor.construct_yaml_bool,
            f"{_TAG}int": self.constructor.construct_yaml_int,
            f"{_TAG}float": self.constructor.construct_yaml_float,
        }.get(tag)
        if construct is None:  # text, and dates
            return text
        try:
            return construct(self.yaml.ScalarNode(tag, text))
        except (ValueError, OverflowError):  # as _, which PyYAML takes for a number and cannot read
            return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1

"""
YAML as PyYAML's safe loader reads it, which most projects use, but for a few things.

A number may be written as ``1e-4``, which YAML 1.1 takes for text. A key is the text that it is
written as, and stands once. A date stays text. What a project's own tag stands before, as
``!PiecewiseDecay {gamma: 0.1}``, is an object of that one key, ``{"!PiecewiseDecay": {…}}``. Tags
of Python are refused, and so is a second document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.request import MAX_DEPTH, MAX_VALUES
from rheostat.errors import Invalid

_TAG: Final = "tag:yaml.org,2002:"
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")
"""A number with an exponent, as in YAML 1.2."""
_LONGEST_NUMBER: Final = 400
"""Characters of a number; its digits are no more than those of the greatest float64."""
_MERGE: Final = "<<"
_OWN: Final = re.compile(r"![A-Za-z_][A-Za-z0-9_.]{0,99}")
"""A project's own tag."""


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
        safe = yaml.constructor.SafeConstructor()
        self.constructors: dict[str, Callable[[Any], Any]] = {
            f"{_TAG}str": safe.construct_yaml_str,
            f"{_TAG}null": safe.construct_yaml_null,
            f"{_TAG}bool": safe.construct_yaml_bool,
            f"{_TAG}int": safe.construct_yaml_int,
            f"{_TAG}float": safe.construct_yaml_float,
        }
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
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)  # until it is whole: it cannot be in itself
        if isinstance(event, self.yaml.ScalarEvent):
            found = self.scalar(event)
        elif isinstance(event, self.yaml.SequenceStartEvent):
            found = [self.value(item, depth + 1) for item in self.until(self.yaml.SequenceEndEvent)]
        else:
            found = self.mapping(depth)
        found = self.tagged(event, found)
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
            if event.tag is not None:
                raise _tag_refused(event)
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

    def tagged(self, event: Any, found: Any) -> Any:
        """Return a value under its project's own tag, and a scalar as YAML's tag has made it."""
        if event.tag is None or self.plain_tag(event):
            return found
        if _OWN.fullmatch(event.tag):
            return {event.tag: found}
        raise _tag_refused(event)

    def plain_tag(self, event: Any) -> bool:
        """Return whether a scalar has a tag of YAML's own, as ``!!float``."""
        return isinstance(event, self.yaml.ScalarEvent) and event.tag in self.constructors

    def scalar(self, event: Any) -> Any:
        """Return a text, or what its plain form is: as PyYAML resolves it."""
        text = event.value
        if len(text) > _LONGEST_NUMBER or event.tag == f"{_TAG}str":
            return text
        if self.plain_tag(event):
            return self.constructed(event, event.tag)
        if not event.implicit[0]:
            return text
        tag = self.resolver.resolve(self.yaml.ScalarNode, text, (True, False))
        if tag == f"{_TAG}str" and _FLOAT.fullmatch(text):
            return float(text)
        try:
            return self.constructed(event, tag) if tag in self.constructors else text
        except Invalid:  # as _, which PyYAML takes for a number and cannot read
            return text

    def constructed(self, event: Any, tag: str) -> Any:
        """Return the scalar of a tag of YAML's own."""
        try:
            return self.constructors[tag](self.yaml.ScalarNode(tag, event.value))
        except (KeyError, ValueError, OverflowError):
            what = tag.removeprefix(_TAG)
            message = f"!!{what} {event.value[:100]} is no {what}"
            raise refused(message, f"a {what}", event.value, line=_line(event)) from None


def _tag_refused(event: Any) -> Invalid:
    message = f"has the tag {event.tag[:100]}, which says what to make of a value"
    bound = "tags of numbers and texts, or a project's own, as !PiecewiseDecay"
    return refused(message, bound, line=_line(event))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1

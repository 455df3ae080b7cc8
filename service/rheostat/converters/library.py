"""A library: its converters by the names of its schedulers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import TypeAlias

from rheostat.schedules.union import AnyDefinition

Converter: TypeAlias = Callable[..., AnyDefinition]
"""A function of a `Case` and of the library's own parameters, by keyword."""


@dataclass(frozen=True)
class Scheduler:
    """A scheduler of a library: its names, its converter, and the fields that it schedules."""

    names: tuple[str, ...]
    function: Converter
    hyperparameters: tuple[str, ...] | None
    """None: any that its user names."""

    @property
    def becomes(self) -> str:
        """The first paragraph of what the manual says: what it becomes."""
        return self._paragraphs()[0]

    @property
    def notes(self) -> str:
        """The rest of what the manual says: in what it differs."""
        return " ".join(self._paragraphs()[1:])

    def _paragraphs(self) -> list[str]:
        text = cleandoc(self.function.__doc__ or "")
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


@dataclass(frozen=True)
class Library:
    """The schedulers of one library, in the order of the manual."""

    name: str
    schedulers: list[Scheduler] = field(default_factory=list)
    reactive: list[str] = field(default_factory=list)
    """The names of the schedulers that react to a metric, which is no function of the step."""

    def scheduler(
        self, *names: str, hyperparameters: tuple[str, ...] | None = ("lr",)
    ) -> Callable[[Converter], Converter]:
        """Return a decorator that registers the converter of the scheduler of these names."""

        def register(function: Converter) -> Converter:
            self.schedulers.append(Scheduler(names, function, hyperparameters))
            return function

        return register

    def metric_driven(self, *names: str) -> None:
        """Register schedulers that react to a metric: they are refused, saying so."""
        self.reactive.extend(names)

    def find(self, name: str) -> Scheduler | None:
        """Return the scheduler of this name, if there is one."""
        return next((item for item in self.schedulers if name in item.names), None)

    def names(self) -> Iterator[str]:
        """Yield every name of every scheduler."""
        for item in self.schedulers:
            yield from item.names

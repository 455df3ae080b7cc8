"""
A metric's values from a file: CSV with a head, JSON lines, or one JSON list; or standard input.

A row of CSV and an object of JSON have a step and one or more metrics under their names; a list of
JSON is ``[step, value]``. Whatever cannot be read is refused with its line and value.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import typer

from rheostat.cli import words
from rheostat.limits import MAX_STEP, whole_number
from rheostat.visible import visible

STEPS = ("step", "steps", "global_step", "iteration", "iter", "trained_steps", "epoch")
"""What the column of steps may be called, the best first."""
VALUE = "value"
"""What the column of values may be called, whatever the metric is."""
MOST = 1_000_000
"""Rows of one file."""

Row = tuple[int, Any, Any]
"""A line's number, and what stands there as step and as value."""


class Metric(NamedTuple):
    """A metric as a file has it."""

    name: str
    steps: list[int]
    values: list[float]


def read(path: str, column: str | None = None, metric: str | None = None) -> Metric:
    """
    Return a metric of a file; ``-`` is standard input.

    The column is the one that is named, else the one of the metric's name, else the only one
    besides the step.
    """
    text = sys.stdin.read() if path == "-" else words.contents(path)
    origin = "standard input" if path == "-" else path
    found = _Reader(origin, column, metric)
    rows = found.rows(text)
    steps: list[int] = []
    values: list[float] = []
    for line, step, value in rows:
        steps.append(found.step(line, step, steps[-1] if steps else None))
        values.append(found.value(line, value))
        if len(steps) > MOST:
            raise typer.BadParameter(f"{origin} has more than {MOST:,} rows")
    if not steps:
        raise typer.BadParameter(f"{origin} has no row with a step and a value")
    return Metric(found.column or metric or VALUE, steps, values)


class _Reader:
    """One file, and the column that is looked for."""

    def __init__(self, origin: str, column: str | None, metric: str | None) -> None:
        self.origin, self.column, self._metric = origin, column, metric
        self._step: str | None = None
        self._unit = "line"

    def rows(self, text: str) -> Iterator[Row]:
        """Yield each line's number, step and value."""
        first = text.lstrip()[:1]
        if first == "[" and _is_one_document(text):
            self._unit = "item"
            return self._items(enumerate(self._json(text, 1), 1))
        if first in {"{", "["}:
            lines = ((n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip())
            return self._items(((n, self._json(line, n)) for n, line in lines))
        return self._table(text)

    def step(self, line: int, said: Any, before: int | None) -> int:
        """Return a step, which is above the one before it."""
        number = said if type(said) is int else None
        if isinstance(said, float) and said.is_integer():
            number = int(said)
        if isinstance(said, str):
            number = whole_number(said.strip())
        if number is None or not 0 <= number <= MAX_STEP:
            raise self._wrong(line, f"{said!r} is no step, a whole number from 0 to {MAX_STEP:,}")
        if before is not None and number <= before:
            raise self._wrong(line, f"step {number:,} does not come after {before:,}")
        return number

    def value(self, line: int, said: Any) -> float:
        """Return a value, which may be NaN or infinite."""
        if not isinstance(said, bool) and isinstance(said, int | float | str):
            try:
                return float(said)
            except (ValueError, OverflowError):
                pass
        raise self._wrong(line, f"{said!r:.100} is no number")

    def _table(self, text: str) -> Iterator[Row]:
        table = csv.reader(text.splitlines())
        try:
            head = [name.strip() for name in next(table, [])]
            if len(head) == 1 or not head or all(_is_number(name) for name in head):
                raise typer.BadParameter(
                    f"{self.origin} has no head: its first line names the columns, as step,val_loss"
                )
            step, column = self._places(head, 1)
            for row in table:
                if not any(cell.strip() for cell in row):
                    continue
                if max(step, column) >= len(row):
                    columns = f"{len(row)} columns, and the head {len(head)}"
                    raise self._wrong(table.line_num, f"it has {columns}")
                if row[column].strip():  # metrics of one file are often measured at other steps
                    yield table.line_num, row[step], row[column]
        except csv.Error as error:
            raise self._wrong(table.line_num, str(error)) from error

    def _items(self, items: Iterator[tuple[int, Any]]) -> Iterator[Row]:
        for line, item in items:
            if isinstance(item, list) and len(item) == 2:
                yield line, *item
            elif isinstance(item, dict):
                if self.column is None or self._step is None:
                    self._places([*item], line)
                if self.column in item:
                    yield line, item.get(self._step), item[self.column]
            else:
                bound = 'an object such as {"step": 100, "val_loss": 2.3}, or [step, value]'
                raise self._wrong(line, f"{json.dumps(item)[:100]} is not {bound}")

    def _places(self, names: Sequence[str], line: int) -> tuple[int, int]:
        """Choose the columns of step and value, and return where they stand."""
        steps = [name for name in STEPS if name in names]
        if not steps:
            told = f"one of {', '.join(STEPS)}; it has {', '.join(names)}"
            raise self._wrong(line, f"there is no column of steps, which is called {told}")
        self._step = steps[0]
        others = [name for name in names if name not in STEPS]
        wanted = [self.column] if self.column else [self._metric, VALUE]
        chosen = next((name for name in wanted if name in others), None)
        if chosen is None and self.column is None and len(others) == 1:
            chosen = others[0]
        if chosen is None:
            none = f"there is no column {self.column!r}." if self.column else "which is the metric?"
            raise self._wrong(line, f"{none} Choose --column of {', '.join(others)}")
        self.column = chosen
        return names.index(self._step), names.index(chosen)

    def _json(self, text: str, line: int) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(line, f"it is not JSON: {text.strip()[:60]!r}") from error

    def _wrong(self, line: int, why: str) -> typer.BadParameter:
        return typer.BadParameter(visible(f"{self.origin}, {self._unit} {line}: {why}"))


def _is_one_document(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list) and not _is_pair(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _is_pair(found: Any) -> bool:
    """Say whether a list is one report, alone in its file."""
    return len(found) == 2 and not isinstance(found[0], list | Mapping)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

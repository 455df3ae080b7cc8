"""What each rank did, and tables of it."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from digits.plan import LR


class Record(NamedTuple):
    """What one rank used in each step, and what it ended with."""

    lr: array[float]
    weight_decay: array[float]
    weights: array[float]
    accuracy: float

    def first(self, condition: Callable[[float, float], bool]) -> int | None:
        """Return the first step whose learning rate and weight decay meet the condition."""
        steps = enumerate(zip(self.lr, self.weight_decay, strict=True))
        return next((step for step, values in steps if condition(*values)), None)

    @property
    def switches(self) -> list[int | None]:
        """The first steps with at most half of the learning rate, and without weight decay."""
        halved = self.first(lambda lr, _: lr <= LR / 2)
        return [halved, self.first(lambda _, weight_decay: weight_decay == 0)]

    def differing(self, values: Mapping[str, Sequence[float]]) -> int:
        """Return how many of the numbers used are not, bit for bit, those of ``values``."""
        pairs = [
            pair
            for name in ("lr", "weight_decay")
            for pair in zip(getattr(self, name), values[name], strict=True)
        ]
        return sum(struct.pack("d", used) != struct.pack("d", other) for used, other in pairs)

    @property
    def checksum(self) -> str:
        """The SHA-256 of the parameters, shortened."""
        return hashlib.sha256(self.weights).hexdigest()[:12]

    @property
    def percent(self) -> str:
        """The accuracy on the test images."""
        return f"{self.accuracy:.1%}"


def report(
    records: Sequence[Record], announced: list[int], ledger: Mapping[str, Sequence[float]]
) -> bool:
    """
    Print what the ranks did; return whether all of it is alike and as announced.

    What a fast training was told for a step past its end has no rank switch.
    """
    steps = len(records[0].lr)
    announced_within = [step if step < steps else None for step in announced]
    rows = [
        [*record.switches, 2 * len(record.lr), record.differing(ledger), record.checksum]
        for record in records
    ]
    heads = ["rank", "halved from", "tail from", "values checked", "differing", "parameters"]
    _print_table([*heads, "test accuracy"], _numbered(rows, records))
    alike = all(row == [*announced_within, 2 * steps, 0, rows[0][-1]] for row in rows)
    print(
        "All ranks switched at the announced steps, used the ledger's values, and hold one model."
        if alike
        else f"RANKS DIFFER from one another, or from the announced steps {announced}."
    )
    return alike


def report_naive(records: Sequence[Record]) -> None:
    """Print how far the ranks are from one another."""
    changes = sorted({lr for record in records for lr in record.lr}, reverse=True)[1:]
    begins = [[_begin(record, lr) for record in records] for lr in changes]
    uneven = [steps for steps in begins if len(set(steps)) > 1]
    example = uneven[0] if uneven else ["-"] * len(records)
    rows = [
        [*record.switches, begin, record.differing(records[0]._asdict()), record.checksum]
        for record, begin in zip(records, example, strict=True)
    ]
    heads = ["rank", "halved from", "tail from", "uneven from", "unlike rank 0's", "parameters"]
    _print_table([*heads, "test accuracy"], _numbered(rows, records))
    models = len({record.checksum for record in records})
    print(f"{len(changes)} values were used; {len(uneven)} of them began at different steps on")
    print(f"different ranks (the first such is in the table). {models} different models,")
    print(f"whose parameters are up to {_apart(records):.1e} apart.\n\n{EXPLANATION}")


EXPLANATION = """\
Nothing is broken here. Each rank was told the latest values at the moment it asked; but ranks ask
at different moments, and a change that falls between them reaches some a step later. Gradients
are averaged over the ranks, learning rates are not: the models part, and nothing joins them."""


def _begin(record: Record, lr: float) -> int | None:
    return record.first(lambda used, _: used <= lr)


def _apart(records: Sequence[Record]) -> float:
    first = records[0].weights
    return max(abs(a - b) for r in records for a, b in zip(r.weights, first, strict=True))


def _numbered(rows: Iterable[list[Any]], records: Sequence[Record]) -> list[list[Any]]:
    pairs = enumerate(zip(rows, records, strict=True))
    return [[rank, *row, record.percent] for rank, (row, record) in pairs]


def _print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print()
    for row in cells:
        print("   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print()

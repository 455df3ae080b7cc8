"""Pure rules of control: whose past a report measures, and where gates are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rheostat.controllers import parse_controller
from rheostat.errors import Invalid, StaleGeneration, UnknownGeneration
from rheostat.server.runs.barriers import Gate
from rheostat.server.runs.control.armed import Armed, Checkpoint, Head
from rheostat.server.runs.control.gates import gates, is_gate
from rheostat.server.runs.control.places import (
    Owner,
    Stretch,
    lasts,
    owner_of,
    require_place,
    stretches,
)
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage


def generation(
    number: int, parent: tuple[str, int] | None, start: int, settled: int, run: str = "a"
) -> Generation:
    """Return a generation of a run, by default of ``a``."""
    return Generation(GenerationKey(run, number), parent and GenerationKey(*parent), start, settled)


LINEAGE = Lineage(
    "a",
    [
        generation(1, None, 0, 100),
        generation(2, ("a", 1), 50, 80),
        generation(3, ("a", 1), 60, 90),
        generation(4, ("a", 3), 40, 70),
    ],
)
"""Rewound to 50, then from the first generation at 60, then to 40, before that branch."""
FORKED = Lineage(
    "b",
    [generation(1, None, 0, 100), generation(1, ("a", 1), 64, 200, "b"),
     generation(2, ("b", 1), 128, 150, "b")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("number", "step", "owner"),
    [(1, 0, 1), (2, 0, 1), (2, 50, 1), (2, 51, 2), (3, 60, 1), (3, 61, 3), (4, 40, 1), (4, 41, 4)],
)
def test_a_report_belongs_to_whom_the_last_cell_below_it_belongs(
    number: int, step: int, owner: int
) -> None:
    """It measures what all steps below made; at step 0 that is the root's."""
    assert owner_of(LINEAGE, number, step, Grid()) == Owner(0, owner)


def test_cells_count_as_a_whole() -> None:
    """Whoever has read a part of a cell has its value: the cell's owner is the report's."""
    lineage = Lineage("a", [generation(1, None, 0, 64), generation(2, ("a", 1), 32, 64)])
    grid = Grid(16)
    owners = [owner_of(lineage, 2, step, grid).generation for step in (31, 32, 33, 48, 49)]
    assert owners == [1, 1, 2, 2, 2]


def test_what_a_fork_shares_is_counted_by_forks() -> None:
    """So that a run's id may change: a restored database has new ones."""
    assert owner_of(FORKED, 2, 64, Grid()) == Owner(1, 1)
    assert owner_of(FORKED, 2, 65, Grid()) == Owner(0, 1)
    assert owner_of(FORKED, 2, 129, Grid()) == Owner(0, 2)


def test_each_step_of_a_line_lies_in_one_stretch() -> None:
    """And in that of its owner."""
    for lineage, number in ((LINEAGE, 4), (LINEAGE, 3), (FORKED, 2)):
        line = stretches(lineage, number, 99)
        for step in range(100):
            found = [each.owner for each in line if each.after < step <= each.last]
            assert found == [owner_of(lineage, number, step, Grid())]


def test_a_branch_before_a_branch_cuts_it_off() -> None:
    """Generation 4 branches at 40 from generation 3, which begins at 60."""
    assert lasts(LINEAGE, 4, 1000) == {4: 1000, 3: 40, 1: 40}
    assert stretches(LINEAGE, 4, 1000) == [
        Stretch(Owner(0, 4), 40, 1000),
        Stretch(Owner(0, 1), -1, 40),
    ]


@pytest.mark.parametrize(
    ("number", "step", "error"),
    [
        (4, 70, None),
        (4, 71, Invalid),
        (1, 40, None),
        (1, 41, StaleGeneration),
        (3, 40, None),
        (3, 41, StaleGeneration),
        (2, 0, StaleGeneration),
        (5, 0, UnknownGeneration),
    ],
)
def test_only_what_is_on_the_line_is_taken(
    number: int, step: int, error: type[Exception] | None
) -> None:
    """P6: as a checkpoint is, at the branch itself too, and nothing from beyond what is settled."""
    if error is None:
        require_place(LINEAGE, 4, number, step)
        return
    with pytest.raises(error):
        require_place(LINEAGE, 4, number, step)


def armed(**config: Any) -> Armed:
    """Return a controller that is armed when nothing is settled."""
    fields = {"kind": "stop", "metric": "loss", "gate": {"every": 10}, **config}
    controller = parse_controller(fields)
    return Armed("stop", controller, None, 2, 2, 0, (Checkpoint(None, controller.initial()),))


def base(controller: Armed, head: Head, **rest: int) -> int | None:
    """Return above which step the gates of a controller begin."""
    where = {"start": 0, "begins": 0, "steps_per_epoch": 25, "cell": 1, **rest}
    found = gates([(controller, head)], **where)
    return found[0].base if found else None


def test_gates_begin_above_whatever_is_past() -> None:
    """What was reported, the generation's and the training's start, and when it was armed."""
    stop = armed()
    state = stop.controller.initial()
    assert base(stop, Head(None, state)) == 0
    assert base(stop, Head(30, state), start=20, begins=25) == 30
    assert base(stop, Head(30, state), start=40, begins=25) == 40
    assert base(stop, Head(30, state), start=40, begins=45) == 45
    assert base(armed(start=35), Head(None, state)) == 34
    assert base(armed(limit=2), Head(None, state, decisions=2)) is None


@pytest.mark.parametrize(
    ("every", "cell", "places"),
    [(10, 1, [10, 20, 30]), (10, 8, [10, 16, 20, 24, 30, 32]), (16, 8, [16, 32])],
)
def test_gates_are_at_multiples_or_at_the_end_of_their_cells(
    every: int, cell: int, places: list[int]
) -> None:
    """A report may come at either."""
    stop = armed(gate={"every": every})
    assert [step for step in range(1, 33) if is_gate(stop, step, None, cell)] == places


def test_a_gate_is_nearest_at_the_end_of_its_cell() -> None:
    """The first multiple of 10 above 10 is 20, within the cell that ends at 24."""
    assert Gate("stop", "loss", 10, 0).after(0) == 10
    assert Gate("stop", "loss", 10, 0, 8).after(0) == 16
    assert Gate("stop", "loss", 10, 10, 8).after(0) == 24


@pytest.mark.parametrize(("every", "cell"), [(10, 1), (10, 8), (16, 8), (3, 8)])
def test_ranks_hold_where_a_gate_is_after_another(every: int, cell: int) -> None:
    """Those that come to a pause at a gate are told so, in runs of long cells, too."""
    gate, held = Gate("stop", "loss", every, 0, cell), [0]
    while held[-1] < 96:
        held.append(replace(gate, base=held[-1]).after(0))
    assert [step for step in range(97) if gate.is_at(step)] == [h for h in held[1:] if h < 97]
    assert Gate("stop", "loss", 10, 10, 8).after(16) == 24

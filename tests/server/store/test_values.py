"""Settling and previews in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rheostat.errors import Invalid, StepJump, UnknownRun
from rheostat.server.runs import settling
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.store.operations import close, served, show, values

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk


def test_a_block_holds_every_parameter_in_the_order_of_names(desk: Desk) -> None:
    """Two cells of lr = 100 - step, and of wd = 0.5."""
    assert desk.settle(desk.create(), 0, 2) == [[100, 99], [0.5, 0.5]]


def test_settling_moves_the_settled_end_to_the_end_of_the_block(desk: Desk) -> None:
    """P2: what was handed out is settled, also when the read skipped some steps."""
    desk.settle(desk.create(), 8, 4)
    assert desk.read(show.show, "gpt")["settled_until"] == 12


def test_a_later_read_of_lower_steps_does_not_move_it_back(desk: Desk) -> None:
    """The settled end only rises."""
    run = desk.create()
    desk.settle(run, 8, 4)
    desk.settle(run, 0, 2)
    assert desk.read(show.show, "gpt")["settled_until"] == 12


def test_skipped_steps_keep_the_values_that_were_in_force(desk: Desk) -> None:
    """P1: steps below the settled end cannot be changed, though nobody has read them yet."""
    run = desk.create()
    desk.settle(run, 8, 4)
    desk.revise({"lr": {"edit": "scale", "factor": 0.5}})
    assert desk.settle(run, 10, 4)[0] == [90, 89, 44, 43.5]
    assert desk.settle(run, 0, 2)[0] == [100, 99]


def test_every_shape_of_request_gives_the_same_bits(desk: Desk) -> None:
    """P1: singly, in blocks, overlapping, and as a preview."""
    cosine = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 777}
    run = desk.create(parameters={"lr": cosine, "wd": cosine})
    singly = [desk.settle(run, step, 1)[0][0] for step in range(40)]
    assert desk.settle(run, 0, 64)[0][:40] == singly
    assert desk.settle(run, 30, 7)[0] == singly[30:37]
    assert list(desk.read(values.preview, "gpt", BlockRequest(0, 0, 40)).values[0]) == singly


def test_what_was_served_comes_back_though_the_core_computes_otherwise(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: after a restart, on another CPU or version, the ledger is what is handed out."""
    run = desk.create()
    first = desk.settle(run, 0, 8)
    desk.restart()

    def one_ulp_off(*args: object) -> settling.Segment:
        exact = compute(*args)  # type: ignore[arg-type]
        return settling.Segment(exact.start, exact.stop, np.nextafter(exact.values, np.inf))

    compute = settling.compute
    monkeypatch.setattr(values, "compute", one_ulp_off)
    assert desk.settle(run, 0, 8) == first
    assert desk.settle(run, 8, 1)[0] == [np.nextafter(92, np.inf)]


def test_a_preview_settles_nothing_and_says_what_is_final(desk: Desk) -> None:
    """Only settled cells are final."""
    desk.settle(desk.create(), 0, 2)
    block = desk.read(values.preview, "gpt", BlockRequest(0, 1, 3))
    assert block.final == [True, False, False]
    assert desk.read(show.show, "gpt")["settled_until"] == 2


def test_values_belong_to_cells(desk: Desk) -> None:
    """On a grid of 10, step 25 has the value of step 20."""
    run = desk.create(resolution=10)
    assert desk.settle(run, 0, 3)[0] == [100, 90, 80]
    assert list(desk.read(values.preview_step, "gpt", 25).values[0]) == [80]


def test_a_refused_read_settles_nothing(desk: Desk) -> None:
    """A jump too far ahead leaves the run as it was."""
    run = desk.create(max_jump=8)
    with pytest.raises(StepJump):
        desk.settle(run, 1, 8)
    assert desk.read(show.show, "gpt")["settled_until"] == 0


def test_the_ledger_shows_what_was_served_and_nothing_else(desk: Desk) -> None:
    """Steps that nobody read are not in it."""
    run = desk.create()
    desk.settle(run, 0, 2)
    desk.settle(run, 8, 1)
    page, _ = desk.read(served.served, "gpt", None, 0, None)
    found = [(item["start"], list(item["values"]["lr"])) for item in page["segments"]]
    assert found == [(0, [100, 99]), (8, [92])]


def test_pages_of_the_ledger_join_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell is on exactly one page, also if a page ends within a block."""
    run = desk.create()
    for start, count in ((0, 5), (5, 3), (10, 7)):
        desk.settle(run, start, count)
    monkeypatch.setattr(served, "PAGE", 8)  # four cells of two parameters
    steps: list[int] = []
    following: int | None = 0
    while following is not None:
        page, following = desk.read(served.served, "gpt", None, following, None)
        for item in page["segments"]:
            steps += range(item["start"], item["start"] + item["count"])
    assert steps == [*range(8), *range(10, 17)]


def test_a_run_made_again_under_a_deleted_name_is_another_run(desk: Desk) -> None:
    """P1: the old id is gone for good, and the new run starts with nothing settled."""
    old = desk.create()
    desk.settle(old, 0, 4)
    desk.write(close.delete, "gpt")
    new = desk.create(parameters={"lr": {"kind": "constant", "value": 1}})
    assert new != old
    assert desk.settle(new, 0, 2) == [[1, 1]]
    with pytest.raises(UnknownRun):
        desk.settle(old, 0, 1)


def test_the_widest_cells_can_be_settled(desk: Desk) -> None:
    """A resolution near the last coordinate leaves a few cells."""
    run = desk.create(resolution=2**50)
    assert desk.settle(run, 0, 2)[1] == [0.5, 0.5]


def test_the_ledger_shows_whole_cells(desk: Desk) -> None:
    """A range that ends within a cell shows it."""
    run = desk.create(resolution=10)
    desk.settle(run, 0, 3)
    page, _ = desk.read(served.served, "gpt", None, 3, 15)
    assert [(item["start"], item["count"]) for item in page["segments"]] == [(0, 2)]


def test_a_block_that_no_run_has_is_invalid_in_any_generation(desk: Desk) -> None:
    """P10: what is wrong with a request is said before what it would meet."""
    run = desk.create()
    for generation in (1, 2):
        with pytest.raises(Invalid):
            desk.write(values.settle, run, BlockRequest(generation, 0, 0))

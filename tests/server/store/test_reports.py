"""Reports in the store, on both databases: written once, under the past that they measure."""

from __future__ import annotations

import struct
from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from rheostat.controllers import value_of_json
from rheostat.errors import Invalid, StaleGeneration, UnknownGeneration, UnknownMetric, UnknownRun
from rheostat.limits import MAX_METRICS
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, control, fork, recover, report, reported
from rheostat.server.store.operations.reported import Wanted
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk


def read(desk: Desk, metric: str = "loss", **wanted: Any) -> list[tuple[int, float, str]]:
    """Return the reports of a metric of the run ``gpt``."""
    found = desk.read(reported.reported, "gpt", Wanted(metric, **wanted))
    values = [value_of_json(value) for value in found["values"]]
    return list(zip(found["steps"], values, found["sources"], strict=True))


def test_a_report_is_written_once(desk: Desk) -> None:
    """P11: what comes again is counted, and of two that differ the first one stays."""
    run = desk.create()
    desk.settle(run, 0, 20)
    assert desk.report(run, (8, 2.0), (16, 1.5))["kept"] == 2
    answer = desk.report(run, (8, 2.0), (16, 1.25))
    assert (answer["kept"], answer["repeated"]) == (0, 1)
    assert answer["differs"] == [{"metric": "loss", "step": 16, "kept": 1.5, "given": 1.25}]
    assert read(desk) == [(8, 2.0, "main"), (16, 1.5, "main")]


def test_one_request_may_say_a_thing_twice(desk: Desk) -> None:
    """It is as if the second had come in a request of its own."""
    run = desk.create()
    answer = desk.report(run, (0, 2.0), (0, 2.0), (0, 3.0))
    assert (answer["kept"], answer["repeated"], len(answer["differs"])) == (1, 1, 1)


def test_every_float64_comes_back_with_its_bits(desk: Desk) -> None:
    """NaN and infinities too: they are data, and no value that is served."""
    run = desk.create()
    desk.settle(run, 0, 8)
    given = [nan, inf, -inf, -0.0, 5e-324, 1.7976931348623157e308]
    desk.report(run, *enumerate(given))
    found = [value for _, value, _ in read(desk)]
    assert struct.pack("<6d", *found) == struct.pack("<6d", *given)
    assert desk.report(run, *enumerate(given))["repeated"] == len(given)
    assert len(desk.report(run, (3, 0.0))["differs"]) == 1


def test_each_source_has_a_report_of_its_own(desk: Desk) -> None:
    """They are read by step, and at one step by the names of their sources."""
    run = desk.create()
    desk.settle(run, 0, 8)
    desk.report(run, (4, 2.0), source="b")
    desk.report(run, (4, 1.0), (2, 3.0), source="a")
    assert read(desk) == [(2, 3.0, "a"), (4, 1.0, "a"), (4, 2.0, "b")]


def test_nobody_reports_from_beyond_what_is_settled(desk: Desk) -> None:
    """P10: at the settled end itself all steps below were applied."""
    run = desk.create()
    desk.settle(run, 0, 20)
    assert desk.report(run, (20, 1.0))["settled_until"] == 20
    with pytest.raises(Invalid) as refusal:
        desk.report(run, (20, 2.0), (21, 1.0))
    assert refusal.value.errors[0].field == "reports[1].step"
    assert refusal.value.errors[0].bound == "<= 20"
    with pytest.raises(UnknownGeneration):
        desk.report(run, (1, 1.0), generation=2)
    with pytest.raises(UnknownRun):
        desk.report("gpt", (1, 1.0))


def test_a_report_from_beyond_a_branch_is_stale(desk: Desk) -> None:
    """P6: a metric at the branch itself was measured on the shared past; nothing else is kept."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.write(rewind, "gpt", RewindRequest(8))
    with pytest.raises(StaleGeneration) as refusal:
        desk.report(run, (8, 1.0), (9, 1.0))
    assert refusal.value.members["generation"] == 2
    with pytest.raises(UnknownMetric):
        read(desk)
    assert desk.report(run, (8, 1.0))["kept"] == 1


def test_one_point_of_history_has_one_key(desk: Desk) -> None:
    """Whichever generation sends it, a step at or below a branch is the shared past's."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.report(run, (8, 1.0), (12, 2.0))
    desk.write(rewind, "gpt", RewindRequest(8))
    desk.settle(run, 8, 12, generation=2)
    answer = desk.report(run, (8, 1.0), (12, 3.0), generation=2)
    assert (answer["repeated"], answer["kept"]) == (1, 1)
    assert read(desk) == [(8, 1.0, "main"), (12, 3.0, "main")]
    assert read(desk, generation=1) == [(8, 1.0, "main"), (12, 2.0, "main")]


def test_a_fork_reports_for_itself_on_the_past_that_it_shares(desk: Desk) -> None:
    """What it reports at a step that the other run owns counts for it alone."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.report(run, (8, 1.0))
    body = {"name": "decay", "from": {"run": "gpt", "step": 16}}
    other = desk.write(fork.fork, body, Note())["id"]
    assert desk.report(other, (8, 5.0), (16, 4.0))["kept"] == 2
    assert read(desk) == [(8, 1.0, "main")]
    found = desk.read(reported.reported, "decay", Wanted("loss"))
    assert found["values"] == [5.0, 4.0]
    desk.write(recover.recover)
    found = desk.read(reported.reported, "decay", Wanted("loss"))
    assert found["values"] == [5.0, 4.0]


def test_too_many_metrics_are_named_and_left_out(desk: Desk) -> None:
    """The first 64 stay, and so does what a controller reads."""
    run = desk.create()
    for number in range(MAX_METRICS):
        desk.report(run, (0, 1.0), metric=f"m{number}")
    desk.arm("stop", kind="stop", metric="watched")
    assert desk.report(run, (0, 1.0), metric="more")["ignored"] == ["more"]
    answer = desk.report(run, (0, 1.0), metric="watched")
    assert (answer["kept"], answer["ignored"], answer["watched"]) == (1, [], ["watched"])
    assert desk.report(run, (0, 1.0), metric="m7")["repeated"] == 1


def test_who_follows_misses_none(desk: Desk) -> None:
    """Reports past a number come in the order in which they were kept, in parts."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.report(run, (3, 3.0), (1, 1.0), (2, 2.0))
    first = desk.read(reported.reported, "gpt", Wanted("loss", after=0, points=2))
    assert first["steps"] == [1, 3]
    rest = desk.read(reported.reported, "gpt", Wanted("loss", after=first["next"], points=2))
    assert rest["steps"] == [2]
    desk.report(run, (5, 5.0), metric="other")
    desk.report(run, (4, 4.0))
    last = desk.read(reported.reported, "gpt", Wanted("loss", after=rest["next"]))
    assert last["steps"] == [4]


def test_a_long_metric_is_thinned_and_keeps_its_extremes(desk: Desk) -> None:
    """As plans are."""
    run = desk.create()
    desk.settle(run, 0, 120)
    values = {step: float(step % 7) for step in range(120)}
    values[57] = 99.0
    desk.report(run, *values.items())
    found = read(desk, points=10)
    assert len(found) <= 10
    assert (57, 99.0, "main") in found
    assert read(desk, start=10, stop=12) == [(10, 3.0, "main"), (11, 4.0, "main")]


def test_a_metric_that_nothing_reads_any_more_is_thinned_bit_by_bit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many reports it has, no request drops more than 512 while other runs wait."""
    run = desk.create()
    for block in range(16):
        desk.settle(run, 200 * block, 200)
    desk.report(run, *((step, float(step)) for step in range(3_000)))
    before = len(read(desk, points=100_000))
    monkeypatch.setattr(report, "MAX_KEPT", 100)
    found = [before]
    for step in range(3_000, 3_020):
        desk.report(run, (step, float(step)))
        found.append(len(read(desk, points=100_000)))
    assert max(earlier + 1 - later for earlier, later in pairwise(found)) == 512
    assert found[-1] == 100
    assert read(desk, points=100_000)[-1] == (3_019, 3019.0, "main")


def test_a_finished_run_keeps_reports(desk: Desk) -> None:
    """Its controllers do not read them."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("stop", kind="stop", metric="loss", patience=1)
    desk.write(close.finish, "gpt", None, Note())
    answer = desk.report(run, (1, 1.0), (2, 2.0), (3, 3.0))
    assert (answer["kept"], answer["decisions"], answer["watched"]) == (3, [], [])


def test_what_many_sources_reported_is_read_in_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: the last of three sources completes ten steps, of which seven reports are read at once.

    A step has two reports of others, so that three steps are consumed by each request.
    """
    monkeypatch.setattr(report, "READ_AT_ONCE", 7)
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", kind="plateau", metric="loss", sources={"expect": 3})
    steps = [(step, float(step)) for step in range(10)]
    for source in ("a", "b"):
        assert desk.report(run, *steps, source=source)["again"] is False
    answers = [desk.report(run, *steps, source="c") for _ in range(4)]
    assert [answer["kept"] for answer in answers] == [3, 3, 3, 1]
    assert [answer["again"] for answer in answers] == [True, True, True, False]
    assert desk.read(control.show_one, "gpt", "plateau")["last"] == {"step": 9, "value": 9.0}

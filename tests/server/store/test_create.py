"""Creating, finding, joining and ending runs, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rheostat.errors import Finished, IdempotencyMismatch, NameTaken, StaleCheckpoint, TooLate
from rheostat.server.runs.revision import Note
from rheostat.server.runs.selector import Selector
from rheostat.server.store.idempotency import IdempotencyKey, once
from rheostat.server.store.operations import close, create, show, workers
from rheostat.server.store.operations.join import Checkpoint
from rheostat.server.store.run_lists import WantedRuns

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

CONSTANT = {"kind": "constant", "value": 1}
BODY: dict[str, Any] = {"name": "gpt", "parameters": {"lr": CONSTANT}, "labels": {"team": "nlp"}}


def test_the_same_body_finds_the_run_again(desk: Desk) -> None:
    """Every requeue of a job can send it: the first creates, the others find."""
    first, created = desk.write(create.ensure, BODY, Note())
    again, created_again = desk.write(create.ensure, BODY, Note())
    assert (created, created_again) == (True, False)
    assert first["id"] == again["id"]


def test_another_body_is_refused_with_the_differences(desk: Desk) -> None:
    """The fields are named, with what is there and what was sent; labels do not count."""
    desk.write(create.ensure, BODY, Note())
    relabelled, created = desk.write(create.ensure, {**BODY, "labels": {"team": "cv"}}, Note())
    assert not created
    assert relabelled["labels"] == {"team": "nlp"}
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, {**BODY, "axis": "tokens", "total": 9}, Note())
    assert refusal.value.members["differences"] == [
        {"field": "axis", "there": "step", "sent": "tokens"},
        {"field": "total", "there": None, "sent": 9},
    ]


@pytest.mark.parametrize(
    "otherwise",
    [
        {"labels": {"team": "cv", "job": "1002"}},
        {"labels": {}},
        {"parameters": {"lr": {"kind": "constant", "value": 1.0}}},
        {"guards": {"lr": {"min": 0}}},
        {"guards": {"lr": {"min": 0.0, "max": None}}, "axis": "step", "total": None},
    ],
)
def test_what_means_the_same_finds_the_run_again(desk: Desk, otherwise: dict[str, Any]) -> None:
    """Defaults may be said or not, and labels are not compared: the run keeps its first ones."""
    first = desk.write(create.create, BODY, Note())
    again, created = desk.write(create.ensure, {**BODY, **otherwise}, Note())
    assert not created
    assert (again["id"], again["labels"]) == (first["id"], {"team": "nlp"})


def test_a_bound_that_differs_is_another_run(desk: Desk) -> None:
    """A run that may be negative is not one that may not."""
    desk.write(create.ensure, BODY, Note())
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, {**BODY, "guards": {"lr": {"min": None}}}, Note())
    assert [item["field"] for item in refusal.value.members["differences"]] == ["guards.lr"]


def test_a_name_is_taken_once(desk: Desk) -> None:
    """Creating is not finding."""
    desk.write(create.create, BODY, Note())
    with pytest.raises(NameTaken):
        desk.write(create.create, BODY, Note())


def test_a_request_with_a_key_has_its_effect_once(desk: Desk) -> None:
    """P4: a lost acknowledgement can be asked for again, also after a restart."""
    key = IdempotencyKey("k1", "hash")

    first = desk.write(once, key, lambda records: create.create(records, BODY, Note()))
    desk.restart()
    again = desk.write(once, key, lambda records: create.create(records, BODY, Note()))
    assert json.loads(json.dumps(first)) == again


def test_a_key_belongs_to_one_request(desk: Desk) -> None:
    """Another body under the same key is a mistake, and is refused."""
    desk.write(
        once, IdempotencyKey("k1", "one"), lambda records: create.create(records, BODY, Note())
    )
    with pytest.raises(IdempotencyMismatch):
        desk.write(
            once, IdempotencyKey("k1", "two"), lambda records: create.create(records, BODY, Note())
        )


def test_runs_are_listed_by_name_label_and_page(desk: Desk) -> None:
    """Three runs, two of one team, one to a page."""
    for name, team in (("a", "nlp"), ("b", "cv"), ("c", "nlp")):
        desk.write(create.create, {**BODY, "name": name, "labels": {"team": team}}, Note())
    nlp = Selector.parse("team=nlp")
    first, after = desk.read(workers.runs, WantedRuns(nlp, limit=1))
    rest, end = desk.read(workers.runs, WantedRuns(nlp, after=after or "", limit=1))
    assert [item["name"] for item in first + rest] == ["a", "c"]
    assert (after is None, end) == (False, None)


def test_a_checkpoint_of_another_run_is_stale(desk: Desk) -> None:
    """P6: though the name is the same, the id is not."""
    run = desk.create()
    assert desk.join("gpt", checkpoint=Checkpoint(run, 1, 0))["id"] == run
    with pytest.raises(StaleCheckpoint, match="of the run run_0"):
        desk.join("gpt", checkpoint=Checkpoint("run_0", 1, 0))


def test_finishing_closes_a_run_where_it_is_settled(desk: Desk) -> None:
    """A second finish at the same end is no error; another end is."""
    desk.settle(desk.create(), 0, 7)
    assert desk.write(close.finish, "gpt", None, Note())["end"] == 7
    assert desk.write(close.finish, "gpt", 7, Note())["end"] == 7
    with pytest.raises(Finished):
        desk.write(close.finish, "gpt", 9, Note())


def test_the_history_says_who_finished_a_run_and_why(desk: Desk) -> None:
    """It is the last revision, and takes effect at the end."""
    desk.settle(desk.create(), 0, 7)
    desk.write(close.finish, "gpt", 9, Note("bob", "converged"))
    items, _ = desk.read(show.revisions, "gpt", 1, 10)
    (last,) = items
    found = last["revision"], last["kind"], last["effective"], last["author"], last["message"]
    assert found == (2, "finish", 9, "bob", "converged")


def test_a_run_cannot_end_before_what_is_settled(desk: Desk) -> None:
    """What workers have, they have."""
    desk.settle(desk.create(), 0, 7)
    with pytest.raises(TooLate) as refusal:
        desk.write(close.finish, "gpt", 6, Note())
    assert refusal.value.members == {"earliest": 7}

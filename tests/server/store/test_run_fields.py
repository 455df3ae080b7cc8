"""What a run is created with: each field is stored, read again, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import text

from rheostat.controllers import parse_controller
from rheostat.errors import NameTaken
from rheostat.server.runs.barriers import Barriers, Gate, Stop
from rheostat.server.runs.protection import StoredProtect
from rheostat.server.runs.revision import Note
from rheostat.server.runs.spec import RunBody, StoredRun
from rheostat.server.store import migrate, tables
from rheostat.server.store.operations import create, fork, show
from rheostat.server.store.records import RunRecord

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

PLATEAU = parse_controller({"kind": "plateau", "metric": "loss", "parameters": ["beta"]})
FIELDS: dict[str, Any] = {
    "name": "gpt",
    "parameters": {"beta": {"kind": "constant", "value": 0.5}},
    "axis": "tokens",
    "resolution": 16,
    "total": 4096,
    "steps_per_epoch": 512,
    "max_block": 8,
    "max_jump": 32,
    "guards": {"beta": {"min": 0.0, "max": 1.0, "max_ratio": 2.0}},
    "labels": {"team": "a"},
    "paused": True,
    "describe": {"beta": {"text": "momentum", "unit": "1", "takes_effect": "epoch"}},
    "signals": {"checkpoint": {"arguments": {"tag": {"type": "string", "max": 64}}}},
    "controllers": {"plateau": PLATEAU.document},
    "goal": {"metric": "loss", "target": 2.5},
    "about": "digits",
    "protect": {"except": ["stop"]},
}
"""Every field of a run's body, each with another value than its default."""

NOT_COMPARED = {"name", "labels"}
"""What a body may have otherwise than the run that it finds."""
NOT_INHERITED = {"name", "labels", "paused"}
"""What a fork has of its own."""

APART = {"id", "spec", "name", "stored"}
"""Columns of `runs` that are no fields of a record, or fields that are no columns of their own."""


@pytest.mark.parametrize("field", [*RunBody.model_fields])
def test_what_is_received_is_stored_and_shown(desk: Desk, field: str) -> None:
    """P8: nothing that a run was created with is swallowed."""
    assert field in FIELDS, f"give {field} a value in FIELDS"
    sent = {key: FIELDS[key] for key in ("name", "parameters", "total", field)}
    created: Mapping[str, Any] = desk.write(create.create, sent, Note())
    assert field in created, f"rheostat/server/store/operations/show.py does not answer {field}"
    assert created[field] == FIELDS[field]
    desk.restart()
    shown: Mapping[str, Any] = desk.read(show.show, "gpt")
    assert shown[field] == FIELDS[field]
    (spec,) = desk.read(
        lambda r: r.connection.execute(text("SELECT spec FROM runs")).scalars().all()
    )
    assert set(orjson.loads(spec)) == set(RunBody.model_fields) == set(StoredRun.model_fields)


@pytest.mark.parametrize("field", FIELDS)
def test_what_differs_is_another_run(desk: Desk, field: str) -> None:
    """P8: a body finds the run that it would create, or is told the field that differs."""
    body = {"name": "gpt", "parameters": {"beta": {"kind": "constant", "value": 0.25}}}
    desk.write(create.create, body, Note())
    sent = {**body, field: FIELDS[field]}
    if field in NOT_COMPARED:
        assert not desk.write(create.ensure, sent, Note())[1]
        return
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, sent, Note())
    (found,) = {item["field"].split(".")[0] for item in refusal.value.members["differences"]}
    assert found == field


def test_a_fork_inherits_what_is_not_its_own(desk: Desk) -> None:
    """A fork has the specification of its run, in all that decides its values and beyond."""
    desk.write(create.create, FIELDS, Note())
    body = {"name": "decay", "from": {"run": "gpt"}}
    made: Mapping[str, Any] = desk.write(fork.fork, body, Note())
    assert {field for field in FIELDS if made[field] != FIELDS[field]} == NOT_INHERITED


def test_a_record_has_all_columns() -> None:
    """A column of a run's row is a field of its record, and is written and read with the others."""
    columns = {column.name for column in tables.runs.columns} - APART
    assert columns == {field.name for field in fields(RunRecord)} - APART


def test_a_row_is_read_as_it_was_written(desk: Desk) -> None:
    """Each field of a record comes back as it was: none is left out on either way."""
    desk.create(total=64)

    def again(records: Any) -> tuple[RunRecord, RunRecord]:
        run = records.find("gpt", lock=True)
        whole: dict[str, Any] = {
            field.name: field.name if "str" in str(field.type) else number
            for number, field in enumerate(fields(RunRecord), start=7)
            if field.name not in APART
        }
        whole["needs"] = migrate.HEAD
        whole["protect"] = StoredProtect.model_validate({"except": ["stop"]})
        whole["barriers"] = Barriers((Stop(3, 64, hold=True),), (Gate("plateau", "loss", 8, 0),))
        new = RunRecord(
            id=f"run_{'1' * 26}", spec=run.spec.model_copy(update={"name": "b"}), **whole
        )
        records.add(new, 0)
        return new, records.find("b")

    written, read = desk.write(again)
    assert read == written

"""Whatever a run is created with can be said on the command line, and is seen there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import typer
from tests.cli.conftest import Command
from tests.cli.test_commands import COMMANDS
from tests.conftest import Guarded
from tests.server.store.test_run_fields import FIELDS

from rheostat.cli.failures import reported
from rheostat.cli.views import runs
from rheostat.cli.views.screen import Screen
from rheostat.errors import FieldError, Invalid
from rheostat.server.routes.runs import STATE

ARGUMENTS = {"name", "parameters"}
"""What is no option, but stands at the beginning of the line."""
UNSEEN = {"steps_per_epoch", "max_block", "max_jump"}
"""What `run show` tells with --json alone: definitions and clients mind these, people seldom."""
WITH = {"paused": {"state": "paused"}}
"""What the service tells together with a field."""
OPTIONS = [field for field in FIELDS if field not in ARGUMENTS]


def option(field: str) -> str:
    """Return what a field is called on the command line: that of many is given one by one."""
    many = isinstance(FIELDS[field], dict)
    return "--" + (field.removesuffix("s") if many else field).replace("_", "-")


def written(value: Any, path: str = "") -> Iterator[str]:
    """Yield what a person types after the option, once for each part of an object."""
    if value is True:
        yield ""  # a flag is said by its name alone
    elif isinstance(value, list):
        yield shlex.quote(f"{path}={orjson.dumps(value).decode()}")
    elif value is None:
        yield f"{path}=null"
    elif not isinstance(value, dict):
        yield f"{path}={value}" if path else f"{value}"
    else:
        for key, inner in value.items():
            yield from written(inner, f"{path}.{key}" if path else key)


@pytest.mark.parametrize("field", OPTIONS)
def test_a_field_of_a_run_is_an_option(
    operator: Command, guarded: Guarded, new_name: Callable[[], str], field: str
) -> None:
    """P8: a run is created from the command line with whatever the service takes."""
    there = {name for each in COMMANDS["run create"].params for name in each.opts}
    assert option(field) in there, f"rheostat/cli/commands/runs.py: create has no {option(field)}"
    said = " ".join(f"{option(field)} {words}" for words in written(FIELDS[field]))
    total = "" if field == "total" else "--total 4096"
    if field == "protect":  # where there are others, who may accept something
        said += f" --server {guarded.url} --token {guarded.secrets['operator']}"
    ran = operator(f"run create {new_name()} beta 0.5 {total} {said} --json")
    assert ran.code == 0, ran.err
    assert ran.json[field] == FIELDS[field], f"rheostat/cli/commands/runs.py drops {field}"


def drawn(capsys: pytest.CaptureFixture[str], **fields: Any) -> str:
    """Return what `run show` shows a person of a run."""
    state: Any = {**STATE, **fields}
    runs.run(Screen(), state, origin=None)
    return capsys.readouterr().out


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in UNSEEN])
def test_a_field_of_a_run_is_seen(capsys: pytest.CaptureFixture[str], field: str) -> None:
    """Two runs that differ in one field are not shown alike."""
    assert field in STATE, f"rheostat/wire/runs.py: RunState has no {field}"
    usual, other = drawn(capsys), drawn(capsys, **{field: FIELDS[field], **WITH.get(field, {})})
    assert usual != other, f"rheostat/cli/views/runs.py: run does not show {field}"


@pytest.mark.parametrize("field", [f for f in OPTIONS if not isinstance(FIELDS[f], dict)])
def test_a_field_that_is_refused_is_called_as_one_types_it(
    capsys: pytest.CaptureFixture[str], field: str
) -> None:
    """P10: a refusal names the option; that of a part of an object names the part."""
    with pytest.raises(typer.Exit), reported(as_json=False):
        raise Invalid("no", errors=[FieldError(field, "cannot be", "this")])
    lines = capsys.readouterr().err.splitlines()
    assert f"  {option(field)}: cannot be" in lines, f"rheostat/cli/failures.py: FIELDS of {field}"

"""Every edit is everywhere where edits are: one that was forgotten somewhere is named here."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from tests.oracle import edits as oracle
from tests.oracle.test_oracle import MEANINGS

import rheostat
from rheostat.changes import EDITS, EditRow
from rheostat.cli import words
from rheostat.server.runs import edits as service

ROOT = Path(__file__).parents[1]
SCHEMAS = json.loads((ROOT / "docs/openapi.json").read_text())["components"]["schemas"]
DOCUMENTED = SCHEMAS["Edit"]["discriminator"]["mapping"]
TESTS = ROOT / "tests/server"


def named(*classes: type[service.Edit]) -> dict[str, type[service.Edit]]:
    """Return classes by the names of their edits."""
    return {get_args(cls.model_fields["edit"].annotation)[0]: cls for cls in classes}


CLASSES = named(*service.Edit.__subclasses__())
SERVED = named(*service.EDITS)
NAMES = sorted({*EDITS, *CLASSES, *oracle.EDITS, *DOCUMENTED})


def row(name: str) -> EditRow:
    """Return the row of an edit, without which nobody can write it."""
    assert name in EDITS, "it has no row: add its function to rheostat/changes.py"
    return EDITS[name]


def used(*files: Path) -> set[str]:
    """Return the edits that Python files write: as ``{"edit": NAME}`` or ``_edit(NAME)``."""
    return {name for file in files for name in _used(ast.parse(file.read_text()))}


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Dict():
                for key, value in zip(node.keys, node.values, strict=True):
                    match key, value:
                        case ast.Constant(value="edit"), ast.Constant(value=str(name)):
                            yield name
            case ast.Call(func=ast.Name(id="_edit"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def of_service(name: str) -> type[service.Edit]:
    """Return the class of an edit, without which the service does not know it."""
    assert name in CLASSES, "it has no class: add it to rheostat/server/runs/edits.py"
    return CLASSES[name]


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_in_the_table_and_the_service(name: str) -> None:
    """What the service takes, and what clients can write, are the same edits."""
    assert row(name)
    assert of_service(name)
    assert name in SERVED, "add its class to EDITS in rheostat/server/runs/edits.py"
    assert name in DOCUMENTED, "docs/openapi.json is old: run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_written_with_the_fields_that_the_service_takes(name: str) -> None:
    """A builder takes the fields of the edit, no others, wants what is required, sends them all."""
    build, fields = row(name).build, of_service(name).model_fields
    parameters = inspect.signature(build).parameters.values()
    where = f"{build.__name__}() of rheostat/changes.py and {CLASSES[name].__name__} differ"
    assert {each.name for each in parameters} == fields.keys() - {"edit"}, where
    needed = {each.name for each in parameters if each.default is inspect.Parameter.empty}
    assert needed == {key for key, it in fields.items() if it.is_required()} - {"edit"}, where
    given: dict[str, Any] = {each.name: {each.name: 1} for each in parameters}
    assert build(**given) == {"edit": name, **given}


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_can_be_imported_from_the_package(name: str) -> None:
    """`from rheostat import scale` works for every edit, and `__all__` says so."""
    build = row(name).build
    assert build.__name__ in rheostat.__all__, "export it in rheostat/__init__.py"
    assert getattr(rheostat, build.__name__, None) is build, "import it in rheostat/__init__.py"


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_can_be_typed(name: str) -> None:
    """The command line reads the edit, with its bare value in the field that the table says."""
    bare = row(name).bare
    if bare is None:
        assert words.changes(["lr", name]) == {"lr": {"edit": name}}
        with pytest.raises(typer.BadParameter, match=f"{name} takes no value"):
            words.changes(["lr", name, "5"])
        return
    assert bare in of_service(name).model_fields, "the row in rheostat/changes.py names no field"
    value = {"kind": "constant", "value": 5} if bare == "definition" else 5
    assert words.changes(["lr", name, "5"]) == {"lr": {"edit": name, bare: value}}


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_in_the_manual(name: str) -> None:
    """`rheostat run change --help`, and so docs/cli.md, lists the edit with its sentence."""
    told = [*row(name).usage.split(), *row(name).sentence.split()]
    lines = (ROOT / "docs/cli.md").read_text().splitlines()
    assert told in [line.split() for line in lines], "docs/cli.md is old: run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_tested(name: str) -> None:
    """The edit has examples by hand, a place in the oracle of the tests, and random uses."""
    assert name in used(TESTS / "runs/test_edits.py"), (
        "add examples to tests/server/runs/test_edits.py"
    )
    assert name in oracle.EDITS, "the model computes it: add it to tests/oracle/edits.py"
    known = {change.get("edit") for change, _ in MEANINGS}
    assert name in known, "add values of it to MEANINGS in tests/oracle/test_oracle.py"
    random = used(TESTS / "protocol/strategies.py", TESTS / "protocol/machine.py")
    assert name in random, "use it at random in tests/server/protocol/strategies.py"

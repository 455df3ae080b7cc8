"""Every edit is everywhere where edits are: one that was forgotten somewhere is named here."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from tests.oracle import edits as oracle

import rheostat
from rheostat.changes import EDITS
from rheostat.cli import words

ROOT = Path(__file__).parents[1]
SCHEMAS = json.loads((ROOT / "docs/openapi.json").read_text())["components"]["schemas"]
SERVED = SCHEMAS["Edit"]["discriminator"]["mapping"]
NAMES = sorted({*EDITS, *SERVED})
TESTS = ROOT / "tests/server"


def texts(*files: Path) -> set[str]:
    """Return the strings that stand in Python files."""
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str)}


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_in_the_table_and_the_service(name: str) -> None:
    """What the service takes, and what clients can write, are the same edits."""
    assert name in EDITS, "add it to rheostat/changes.py"
    assert name in SERVED, "add it to EDITS in rheostat/server/runs/edits.py"


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_written_with_the_fields_that_the_service_takes(name: str) -> None:
    """A builder takes the fields of the edit, no others, and wants those that are required."""
    fields = SCHEMAS[SERVED[name].rpartition("/")[2]]
    build = EDITS[name].build
    parameters = inspect.signature(build).parameters.values()
    assert {each.name for each in parameters} == fields["properties"].keys() - {"edit"}
    needed = {each.name for each in parameters if each.default is inspect.Parameter.empty}
    assert needed == {*fields["required"]} - {"edit"}


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_can_be_imported_from_the_package(name: str) -> None:
    """`from rheostat import scale` works for every edit, and `__all__` says so."""
    build = EDITS[name].build
    assert build.__name__ in rheostat.__all__, "export it in rheostat/__init__.py"
    assert getattr(rheostat, build.__name__) is build


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_can_be_typed(name: str) -> None:
    """The command line reads the edit, with its bare value in the field that the table says."""
    bare = EDITS[name].bare
    typed: dict[str, Any] = words.changes(["lr", name, "5"])["lr"]
    assert typed["edit"] == name
    assert typed[bare or "definition"] == (5 if bare else {"kind": "constant", "value": 5})


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_in_the_manual(name: str) -> None:
    """`rheostat run change --help`, and so docs/cli.md, lists the edit with its sentence."""
    lines = (ROOT / "docs/cli.md").read_text().splitlines()
    listed = [line.split() for line in lines if EDITS[name].sentence in line]
    assert [*EDITS[name].usage.split(), *EDITS[name].sentence.split()] in listed


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_tested(name: str) -> None:
    """The edit has examples by hand, a place in the oracle of the tests, and random uses."""
    assert name in texts(TESTS / "runs/test_edits.py")
    assert name in oracle.EDITS, "the model computes it: add it to tests/oracle/edits.py"
    assert name in texts(TESTS / "protocol/strategies.py", TESTS / "protocol/machine.py")

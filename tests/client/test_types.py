"""What a type checker and an editor know of the client."""

from __future__ import annotations

import pydoc
from pathlib import Path

import pytest
from mypy import api

import rheostat
from rheostat.client.calls import RunOptions
from rheostat.server.runs.spec import RunSpec

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("typed_program.py")


def checked(program: Path) -> str:
    """Return what mypy says of a program, in its strict mode; nothing if it is sound."""
    config = str(ROOT / "pyproject.toml")
    said, wrong, _ = api.run(["--strict", "--config-file", config, "--no-pretty", str(program)])
    assert not wrong
    return "" if said.startswith("Success") else said


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the paths of the configuration begin."""
    monkeypatch.chdir(ROOT)


def test_every_call_says_what_it_returns() -> None:
    """A program that uses client, adapter and answers passes mypy's strict mode."""
    assert checked(PROGRAM) == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('client.control("a").show()["settled"]', 'has no key "settled"'),
        ('client.control("a").change({}, dry_run=True)["revision"]', 'has no key "revision"'),
        ('client.create_run("a", {}, resolutoin=8)', '"resolutoin"'),
        ('client.tokens.create("ann", "root")', "\"Literal['root']\""),
        ('client.run("a").value("lr", "7")', 'expected "int"'),
    ],
)
def test_a_slip_is_seen_before_the_program_runs(tmp_path: Path, line: str, complaint: str) -> None:
    """A misspelt field or argument is an error of types."""
    program = tmp_path / "program.py"
    program.write_text(f"from rheostat import Client\nclient = Client('http://a')\n{line}\n")

    assert complaint in checked(program)


@pytest.mark.parametrize("cls", [rheostat.Run, rheostat.AsyncRun])
def test_help_names_the_answer(cls: type[rheostat.Run | rheostat.AsyncRun]) -> None:
    """`help` of a call names the type that it returns, and what it raises."""
    assert "wire.RunState" in pydoc.plain(pydoc.render_doc(cls.show))
    assert "Raises:" in pydoc.plain(pydoc.render_doc(cls.value))


def test_a_run_can_be_created_with_all_that_there_is() -> None:
    """The options of `create_run` are the fields of the service's own body."""
    fields = set(RunSpec.model_fields) - {"name", "parameters"}

    assert RunOptions.__annotations__.keys() == fields, "RunOptions of rheostat/client/calls.py"


@pytest.mark.parametrize("field", RunOptions.__annotations__)
@pytest.mark.parametrize("cls", [rheostat.AsyncClient, rheostat.Client])
def test_help_names_every_option(
    cls: type[rheostat.Client | rheostat.AsyncClient], field: str
) -> None:
    """What a run can be created with is in the docstring, where one looks for it."""
    told = cls.create_run.__doc__ or ""
    assert f"``{field}``" in told, f"create_run of rheostat/client/_async/client.py: {field}"

"""Every command is in the manual with an example, answers in JSON, and fails readably."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command, Ran
from tests.conftest import RunningServer
from typer.main import get_command
from typer.testing import CliRunner

from rheostat.cli.app import complete

MANUAL = (Path(__file__).parents[2] / "docs/cli.md").read_text()
IN_THEIR_TURN = [
    "evaluate",
    "plot",
    "kinds",
    "convert",
    "run create",
    "run list",
    "run show",
    "run plan",
    "run explain",
    "run change",
    "run cancel",
    "run undo",
    "run advance",
    "run extend",
    "run rewind",
    "run fork",
    "run history",
    "run finish",
    "run watch",
    "run delete",
    "schedule put",
    "schedule list",
    "schedule show",
    "schedule plot",
    "schedule values",
    "schedule delete",
    "token create",
    "token list",
    "token revoke",
    "recover",
]
"""The commands whose examples are tried, each where what it speaks of is there."""
BY_THEMSELVES = {"serve", "demo"}
"""Those that start servers: `test_process` and `test_demo` are about them."""
WRONG = {
    "serve": ("serve --port 70000", 2),
    "demo": ("demo --seconds 1", 2),
    "evaluate": ("evaluate cosinus start=1", 1),
    "plot": ("plot cosine start=1", 1),
    "kinds": ("kinds cosinus", 1),
    "convert": ("convert pytorsch", 1),
    "recover": ("recover --yes --database sqlite:////nowhere/at/all.db", 1),
    "token create": ("token create ann --role viewer --server http://127.0.0.1:1", 3),
    "token list": ("token list --server http://127.0.0.1:1", 3),
    "token revoke": ("token revoke ann --yes --server http://127.0.0.1:1", 3),
}
"""Lines that fail, and the exit code; the other commands are tried without a service."""


def commands() -> dict[str, Any]:
    """Return every command by the words that call it."""
    root: Any = get_command(complete())
    return {
        f"{name} {below}".strip(): command
        for name, found in root.commands.items()
        for below, command in getattr(found, "commands", {"": found}).items()
    }


COMMANDS = commands()


def examples(name: str) -> list[str]:
    """Return the examples in a command's help."""
    return re.findall(rf"^ *(rheostat {name}\b.*)$", COMMANDS[name].help, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_manual_with_an_example(name: str) -> None:
    """docs/cli.md has a part about the command, and shows at least one line that one can type."""
    heading = f"\n### `rheostat {name}`\n"
    assert heading in MANUAL
    part = MANUAL.partition(heading)[2].partition("\n### ")[0]
    assert examples(name)
    assert all(re.sub(r"\s+", " ", line) in re.sub(r"\s+", " ", part) for line in examples(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_are_tried(name: str) -> None:
    """A new command has a place among those whose examples are run."""
    assert (name in IN_THEIR_TURN) != (name in BY_THEMSELVES)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Ran]]]:
    """Run all examples with ``--json`` in an empty folder, with a service of their own."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "lr.json").write_text('{"kind": "cosine", "start": 1, "end": 0, "steps": 9}')
    scheduler = {"type": "WarmupLR", "params": {"warmup_max_lr": 0.1, "warmup_num_steps": 10}}
    (folder / "ds_config.json").write_text(json.dumps({"scheduler": scheduler}))
    running = RunningServer(tmp_path_factory.mktemp("server"), {})
    before = Path.cwd()
    os.chdir(folder)
    yield {name: [_run(line, running.url) for line in examples(name)] for name in IN_THEIR_TURN}
    os.chdir(before)
    running.close()


def _run(line: str, url: str) -> Ran:
    _, *words = shlex.split(line.partition(" > ")[0])
    environment = {"RHEOSTAT_AUTHOR": "ann"}
    if words[0] not in {"token", "recover"}:  # these would ask the service, not the database
        environment["RHEOSTAT_URL"] = url
    unasked = ["--yes"] if words[0] == "recover" else []
    done = CliRunner().invoke(complete(), [*words, *unasked, "--json"], env=environment)
    return Ran(done.exit_code, done.stdout, done.stderr)


@pytest.mark.parametrize("name", IN_THEIR_TURN)
def test_a_command_answers_in_json(name: str, tried: dict[str, list[Ran]]) -> None:
    """The first example works; with `--json`, each one prints JSON and nothing else."""
    first, *others = tried[name]
    assert first.code == 0, first.err
    for ran in (first, *others):
        assert ran.code in {0, 1, 3}, ran.err  # another one may need what is not there
        assert [json.loads(line) for line in ran.out.splitlines()]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_fails_readably(name: str, rheostat: Command) -> None:
    """What goes wrong is one block on standard error, without a traceback, and an exit code."""
    line, code = WRONG.get(name, (examples(name)[0].removeprefix("rheostat "), 3))
    ran = rheostat(line)
    assert ran.code == code
    assert ran.out == ""
    assert ran.err.strip()
    assert "Traceback" not in ran.err
    assert code == 2 or "\n\n" not in ran.err.strip()  # 2 tells the usage, and then the error


def counting() -> Iterator[Any]:
    """Yield what reads each option and argument that takes steps or cells."""
    app: Any = complete()
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    found: list[Any] = [each.callback for group in groups for each in group.registered_commands]
    for command in found:
        for parameter in inspect.signature(command).parameters.values():
            for option in getattr(parameter.annotation, "__metadata__", ()):
                if option.metavar in {"STEP", "STEPS", "CELLS"}:
                    yield pytest.param(option, id=f"{command.__name__} {parameter.name}")


@pytest.mark.parametrize("option", [*counting()])
def test_steps_and_cells_are_taken_with_units(option: Any) -> None:
    """Whatever takes steps or cells takes `1G` and `2.5k`, as definitions do."""
    assert option.parser("1G") == 10**9
    assert option.parser("2.5k") == 2500

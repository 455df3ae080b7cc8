"""Every command has its name, is in the manual with an example, answers, and fails readably."""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command, Ran
from tests.cli.running import command_tree, invoke
from tests.conftest import RunningServer

from rheostat.cli import commands as package
from rheostat.cli.app import complete

MANUAL = (Path(__file__).parents[2] / "docs/cli.md").read_text()
IN_THEIR_TURN = [
    "evaluate",
    "plot",
    "kinds",
    "convert",
    "simulate",
    "run create",
    "run list",
    "run show",
    "run plan",
    "run explain",
    "run brief",
    "run allowances",
    "run change",
    "change",
    "run cancel",
    "run undo",
    "run advance",
    "run extend",
    "run rewind",
    "run fork",
    "run checkpoints",
    "run export",
    "run import",
    "run surface",
    "run note",
    "run signal",
    "run pause",
    "run resume",
    "run stop",
    "run arm",
    "run controllers",
    "run decisions",
    "run metrics",
    "run reset",
    "run disarm",
    "run propose",
    "run proposals",
    "run accept",
    "run decline",
    "run history",
    "run workers",
    "run mismatches",
    "run finish",
    "run wait",
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
    "audit",
    "purge",
    "backup",
    "restore",
    "hook set",
    "hook list",
    "hook show",
    "hook deliveries",
    "hook remove",
    "recover",
]
"""The commands whose examples are tried, each where what it speaks of is there."""
BY_THEMSELVES = {
    *("serve", "mcp", "demo", "local list", "local stop"),
    *("hook test", "hook retry", "run protect", "run unprotect"),
}
"""
Those about servers, those for admins, and who is told by a hook: `test_process`, `test_demo`,
`tests/local`, `tests/mcp`, `test_protected` and `test_hooks` are about them.
"""
WRONG = {
    "serve": ("serve --port 70000", 2),
    "mcp": ("mcp --url http://127.0.0.1:1", 3),
    "demo": ("demo --seconds 1", 2),
    "evaluate": ("evaluate cosinus start=1", 1),
    "plot": ("plot cosine start=1", 1),
    "kinds": ("kinds cosinus", 1),
    "convert": ("convert pytorsch", 1),
    "simulate": ("simulate plato --metric-file losses.csv", 2),
    "run import": ("run import nothing.json", 1),
    "local list": ("local list all", 2),
    "local stop": ("local stop nothing.db", 1),
    "audit": ("audit --server http://127.0.0.1:1", 3),
    "purge": ("purge --tokens --older-than 1d --yes --server http://127.0.0.1:1", 3),
    "backup": ("backup x.backup --database sqlite:////nowhere/at/all.db", 1),
    "restore": ("restore nothing.backup --database sqlite:///x.db", 1),
    "recover": ("recover --yes --database sqlite:////nowhere/at/all.db", 1),
    "token create": ("token create ann --role viewer --server http://127.0.0.1:1", 3),
    "token list": ("token list --server http://127.0.0.1:1", 3),
    "token revoke": ("token revoke ann --yes --server http://127.0.0.1:1", 3),
    "hook set": ("hook set a https://x.org/ -e stopped --server http://127.0.0.1:1", 3),
    "hook list": ("hook list --server http://127.0.0.1:1", 3),
    "hook show": ("hook show a --server http://127.0.0.1:1", 3),
    "hook test": ("hook test a --server http://127.0.0.1:1", 3),
    "hook deliveries": ("hook deliveries a --server http://127.0.0.1:1", 3),
    "hook retry": ("hook retry a 1 --server http://127.0.0.1:1", 3),
    "hook remove": ("hook remove a --yes --server http://127.0.0.1:1", 3),
}
"""Lines that fail, and the exit code; the other commands are tried without a service."""
OF_THE_DATABASE = {"token", "hook", "audit", "purge", "backup", "restore", "recover"}
"""What works on the database itself."""


def commands() -> dict[str, Any]:
    """Return every command by the words that call it."""
    root = command_tree()
    return {
        f"{name} {below}".strip(): command
        for name, found in root.commands.items()
        for below, command in getattr(found, "commands", {"": found}).items()
    }


COMMANDS = commands()
TRIED = [name for name in IN_THEIR_TURN if name in COMMANDS]


def callbacks() -> list[Any]:
    """Return the function behind every command."""
    app: Any = complete()
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    return [each.callback for group in groups for each in group.registered_commands]


def examples(name: str) -> list[str]:
    """Return the examples in a command's help."""
    return re.findall(rf"^ *(rheostat {name}\b.*)$", COMMANDS[name].help, re.MULTILINE)


@pytest.mark.parametrize("module", [item.name for item in pkgutil.iter_modules(package.__path__)])
def test_a_command_has_a_name(module: str) -> None:
    """What is made a command is one that can be typed."""
    found = import_module(f"{package.__name__}.{module}")
    made = {
        each
        for each in vars(found).values()
        if inspect.isfunction(each)
        and each.__module__ == found.__name__
        and "as_json" in inspect.signature(each).parameters
    }
    unnamed = [each.__name__ for each in made.difference(callbacks())]
    assert not unnamed, f"{unnamed} of {found.__name__} are not in rheostat/cli/app.py"


def test_only_commands_are_tried() -> None:
    """A command that is gone, or has another name now, has no place here any more."""
    assert not {*IN_THEIR_TURN, *BY_THEMSELVES, *WRONG}.difference(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_manual_with_an_example(name: str) -> None:
    """docs/cli.md has a part about the command, and shows at least one line that one can type."""
    assert examples(name), f"the docstring has no line `rheostat {name} …`"
    heading = f"\n### `rheostat {name}`\n"
    assert heading in MANUAL, "`make docs` writes docs/cli.md"
    part = MANUAL.partition(heading)[2].partition("\n### ")[0]
    assert all(re.sub(r"\s+", " ", line) in re.sub(r"\s+", " ", part) for line in examples(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_are_tried(name: str) -> None:
    """A new command has a place among those whose examples are run."""
    assert (name in IN_THEIR_TURN) != (name in BY_THEMSELVES), (
        f"{name!r} belongs in IN_THEIR_TURN, or in BY_THEMSELVES"
    )


@pytest.fixture(scope="module", params=[("--json",), ()], ids=["json", "people"])
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[bool, dict[str, list[Ran]]]]:
    """Run all examples in an empty folder, with a service of their own: for scripts, for people."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "lr.json").write_text('{"kind": "cosine", "start": 1, "end": 0, "steps": 9}')
    sft = "lr_scheduler_type: cosine\nnum_train_epochs: 2\n"
    (folder / "train.yaml").write_text(sft)
    (folder / "losses.csv").write_text("step,val_loss\n100,2\n200,1\n300,NaN\n")
    (folder / "log.jsonl").write_text('{"step": 100, "val_loss": 2}\n{"step": 200, "val_loss": 3}')
    (folder / "plateau.json").write_text('{"kind": "plateau", "metric": "val_loss"}')
    scheduler = {"type": "WarmupLR", "params": {"warmup_max_lr": 0.1, "warmup_num_steps": 10}}
    (folder / "ds_config.json").write_text(json.dumps({"scheduler": scheduler}))
    running = RunningServer(tmp_path_factory.mktemp("server"), {})
    before = Path.cwd()
    os.chdir(folder)
    options = request.param
    yield (
        bool(options),
        {name: [_run(line, running.url, options) for line in examples(name)] for name in TRIED},
    )
    os.chdir(before)
    running.close()


def _run(line: str, url: str, options: tuple[str, ...]) -> Ran:
    _, *words = shlex.split(line.partition(" > ")[0])
    environment = {"RHEOSTAT_AUTHOR": "ann"}
    if words[0] not in OF_THE_DATABASE:  # these would ask the service
        environment["RHEOSTAT_URL"] = url
    unasked = ["--yes"] if words[0] in {"recover", "purge"} else []
    done = invoke([*words, *unasked, *options], env=environment)
    return Ran(done.exit_code, done.stdout, done.stderr)


@pytest.mark.parametrize("name", TRIED)
def test_a_command_answers(name: str, tried: tuple[bool, dict[str, list[Ran]]]) -> None:
    """The first example works, for people too; with `--json`, each prints JSON and nothing else."""
    as_json, ran_all = tried
    first, *others = ran_all[name]
    assert first.code == 0, first.err
    assert first.out.strip()
    for ran in (first, *others):
        assert ran.code in {0, 1, 3, 4}, ran.err  # another one may need what is not there
        assert not as_json or [json.loads(line) for line in ran.out.splitlines()]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_fails_readably(name: str, rheostat: Command) -> None:
    """What goes wrong is one block on standard error, without a traceback, and an exit code."""
    line, code = WRONG.get(name, (examples(name)[0].removeprefix("rheostat "), 3))
    ran = rheostat(line)
    assert ran.code == code, f"{line!r}; another line that fails has its place in WRONG"
    assert ran.out == ""
    assert ran.err.strip()
    assert "Traceback" not in ran.err
    assert code == 2 or "\n\n" not in ran.err.strip()  # 2 tells the usage, and then the error


def counting() -> Iterator[Any]:
    """Yield what reads each option and argument that takes steps or cells."""
    for command in callbacks():
        for parameter in inspect.signature(command).parameters.values():
            for option in getattr(parameter.annotation, "__metadata__", ()):
                if option.metavar in {"STEP", "STEPS", "CELLS"}:
                    yield pytest.param(option, id=f"{command.__name__} {parameter.name}")


@pytest.mark.parametrize("option", [*counting()])
def test_steps_and_cells_are_taken_with_units(option: Any) -> None:
    """Whatever takes steps or cells takes `1G` and `2.5k`, as definitions do."""
    assert option.parser("1G") == 10**9
    assert option.parser("2.5k") == 2500

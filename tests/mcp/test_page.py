"""docs/agents.md cannot rot: its tables are those of the code, and its session is gone through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from tests.cli.running import command_tree
from tests.conftest import guarding

from rheostat import Client, wire
from rheostat.mcp.bounded import MOST
from rheostat.mcp.tools import TOOLS
from rheostat.server.runs import token_limit

PAGE = (Path(__file__).parents[2] / "docs/agents.md").read_text()
NEEDED = {None: "`viewer`", "propose": "`proposer`", "note": "`worker`, or a limit"}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading, by what stands first in each, as code."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in re.findall(r"^\| `.*\|$", part, re.MULTILINE)]
    return {first.strip(" `"): [each.strip() for each in rest] for first, *rest in cells}


def test_every_tool_is_told_with_what_it_needs() -> None:
    """The table has the tools in their order, and the role that each takes."""
    table = rows("What it may see and do")
    assert [*table] == [*sorted(TOOLS, key=lambda name: (TOOLS[name].acts, _late(name)))]
    for name, (_, needs) in table.items():
        offer = TOOLS[name]
        acts = "`operator`, `--allow-changes`"
        assert needs == (acts if offer.acts else NEEDED[offer.may]), name


def _late(name: str) -> bool:
    """Whether a tool needs more than to look, and comes later in the table."""
    return TOOLS[name].may is not None


def test_every_word_of_a_limit_is_told() -> None:
    """The table has each word that a limit takes, in its order, with what it may say."""
    table = rows("Limits")
    assert [*table] == [*token_limit._READ]
    assert re.findall(r"`(\w+)`", table["edits"][0])[:-1] == [*token_limit.EDIT_NAMES]
    assert re.findall(r"`(\w+)`", table["acts"][0]) == [*token_limit.COUNTED]
    assert re.findall(r"`(\w+)`", table["changes"][0])[:3] == [*token_limit.PERIODS]
    for word in token_limit.FREE:
        assert word in PAGE
    assert set(token_limit.COUNTED + token_limit.FREE) <= set(get_args(wire.ProposalKind))
    example = re.findall(r"--limit '([^']+)'", PAGE)
    for text in example:
        assert str(token_limit.TokenLimit.parse(text))


def test_the_bound_is_that_of_the_code() -> None:
    """How many bytes an answer has at most."""
    assert f"{MOST:,} bytes" in PAGE


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL), ids=range(2))
def test_configurations_start_the_command(block: str) -> None:
    """What is pasted into a program is JSON, and starts `rheostat mcp` with options that it has."""
    whole = json.loads(block)
    [server] = (whole.get("mcpServers") or whole["servers"]).values()
    command, *options = server["args"]
    known = {each for one in command_tree().commands[command].params for each in one.opts}
    assert server["command"] == "rheostat"
    assert {each for each in options if each.startswith("--")} <= known
    assert "--allow-changes" in known
    assert {*server["env"]} <= {"RHEOSTAT_TOKEN", "RHEOSTAT_TOKEN_FILE"}


def test_the_session_goes_as_it_says(tmp_path: Path) -> None:
    """Each command by hand prints what stands below it."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    steps = [
        text.split("\n", 1)
        for block in blocks
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "rheostat"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rheostat.cli "$@"\n')
    command.chmod(0o755)
    with guarding(tmp_path) as guarded:
        admin = guarded.secrets["admin"]
        with Client(guarded.url, token=admin) as client:
            client.create_run("gpt", {"lr": 4e-4}, total=10_000)
        environment = {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "RHEOSTAT_URL": guarded.url,
            "RHEOSTAT_TOKEN": admin,
            "COLUMNS": "200",
        }
        mark = "-- next --"
        script = f"\necho; echo '{mark}'\n".join(command for command, _ in steps)
        shell = ["bash", "-c", script]
        done = subprocess.run(
            shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
    printed = [
        [line.rstrip() for line in each.strip().splitlines()] for each in done.stdout.split(mark)
    ]
    assert printed == [output.strip().splitlines() for _, output in steps], done.stderr

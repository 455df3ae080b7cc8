"""The README cannot lie: its session is gone through again, word for word."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.conftest import StartServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
VARYING = re.compile(r"run_[0-9a-f]{26}|\"request_id\":\"[0-9a-f]{16}\"")
"""What differs from one session to the next."""


class Step(NamedTuple):
    """A command as it is typed, and what it prints."""

    command: str
    output: str


def session() -> list[Step]:
    """Return the steps of all console blocks: a command begins with ``$`` and may go on."""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = text.splitlines()
            size = 1
            while "\n".join(lines[:size]).count("'") % 2:
                size += 1
            steps.append(Step("\n".join(lines[:size]), "\n".join(lines[size:])))
    return steps


def test_the_session_finds_its_name_free() -> None:
    """Who has trained with the lines before the session can go through it on the same server."""
    before, _, rest = README.partition("\n## A session")
    trained = set(re.findall(r"\.run\(\"(\w+)\"", before))
    created = set(re.findall(r"-X PUT \S+/v1/runs/(\w+)", rest))
    assert trained
    assert created
    assert not trained & created


def test_the_session_goes_as_it_says(start_server: StartServer, tmp_path: Path) -> None:
    """Every command prints what the README shows, but for ids."""
    address = start_server().url.removeprefix("http://")
    steps = session()
    mark = "-- next --"
    script = f"\necho; echo '{mark}'\n".join(step.command for step in steps)
    shell = ["bash", "-c", script.replace("localhost:8000", address)]
    printed = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    outputs = [text.strip() for text in printed.split(mark)]
    assert [VARYING.sub("…", step.output) for step in steps] == [
        VARYING.sub("…", output) for output in outputs
    ]
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")

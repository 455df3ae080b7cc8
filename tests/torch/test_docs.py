"""The tutorial cannot lie: its code runs, and prints what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.test_docstrings import let_clients_go, run_page
from typer.testing import CliRunner

from rheostat.cli.app import complete

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
README = Path(__file__).parents[2] / "README.md"


def test_the_tutorial_does_what_it_says(server: str) -> None:
    """All blocks, one after the other, in one namespace."""
    names, blocks = run_page(PAGE, server)
    names["client"].close()
    assert blocks > 10


def test_the_first_lines_of_the_readme_train(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What README begins with sets an optimizer's rate, and its command changes it."""
    monkeypatch.setenv("RHEOSTAT_URL", server)
    text = README.read_text().partition("\n## A session")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    names: dict[str, Any] = {"optimizer": optimizer}
    exec(code, names)  # noqa: S102 - our own page
    scheduler = names["scheduler"]
    assert scheduler.get_last_lr() == [0.0]
    (command,) = re.findall(r"^rheostat (run change .*?)  +#", text, re.MULTILINE)
    line = shlex.split(command)
    done = CliRunner().invoke(complete(), line, env={"RHEOSTAT_URL": server})
    assert done.exit_code == 0, done.stderr
    effective = names["run"].history()[-1]["effective"]
    while scheduler.last_epoch < effective:
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == [0.5 * 4e-4 * effective / 128]
    del names, scheduler
    let_clients_go()

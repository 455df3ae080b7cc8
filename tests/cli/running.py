"""Commands run in the test's own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from rheostat.cli.app import complete


@cache
def command_tree() -> Any:
    """Return all commands, made once: it takes 30 ms, four times as long as most of them run."""
    return get_command(complete())


def invoke(
    words: Sequence[str],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    prog_name: str = "rheostat",
) -> Result:
    """Run `rheostat` with these words, in an environment that has these variables, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", lambda _: command_tree())
        return CliRunner().invoke(complete(), words, input=stdin, env=env, prog_name=prog_name)

"""The OpenAPI document and the service say the same: schemathesis, with all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Guarded

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "0"))
"""Generated requests of each operation and role; those of the document are always sent."""

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
ENDLESS = "/events$"
RECURSIVE = "evaluate|convert|^/v1/runs$|^/v1/runs/.run.$|schedules/.name.$|revisions$|rewind"
"""Paths that take definitions: to generate them from their recursive schema takes for ever."""


def assert_sound(url: str, folder: Path, secret: str | None = None) -> None:
    """Send what the document allows, and what it does not; hold every answer to it."""
    _send(url, folder, secret, "examples", ENDLESS)
    if EXAMPLES:
        _send(url, folder, secret, "coverage,fuzzing", f"{ENDLESS}|{RECURSIVE}")


def _send(url: str, folder: Path, secret: str | None, phases: str, excluded: str) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"{url}/openapi.json", "--checks", "all", "--phases", phases),
        *("--max-examples", str(max(min(EXAMPLES, 100), 1)), "--seed", "1", "--no-color"),
        *("--exclude-path-regex", excluded, "--suppress-health-check", "all"),
        *(() if secret is None else ("--header", f"Authorization: Bearer {secret}")),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ["viewer", "worker", "operator", "admin", None])
def test_every_role_is_answered_as_the_document_says(
    role: str | None, guarded: Guarded, tmp_path: Path
) -> None:
    """P10: no failure of any check, with a token of each role and with none."""
    assert_sound(guarded.url, tmp_path, None if role is None else guarded.secrets[role])


def test_without_tokens_the_document_holds(server: str, tmp_path: Path) -> None:
    """P10: no failure of any check at a server that asks for no tokens."""
    assert_sound(server, tmp_path)

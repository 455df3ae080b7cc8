"""The programs that look at what operators start, and where that is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PATH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

RunProgram = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run_program() -> RunProgram:
    """Return what runs a program to its end; skip the test if it is nowhere."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        found = shutil.which(name, path=PATH)
        if found is None:
            pytest.skip(f"needs {name}: pip install -r tests/deploy/requirements.txt, or apt-get")
        command = [found, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return run

"""Every test of every framework passes with the oldest version, too, and of those apart at all."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest
from tests.frameworks.cells import FOLDER, framework_of, modules, overlay_of
from tests.frameworks.conftest import OLDEST

OLDER = [module for module in modules() if framework_of(module).overlaid]


@pytest.mark.parametrize("module", OLDER, ids=lambda module: framework_of(module).name)
def test_the_oldest_version_passes_them_all(module: ModuleType) -> None:
    """The same tests, in a process that finds the oldest version first."""
    folder = overlay_of(module)
    if not folder.exists():
        pytest.skip(f"needs {folder}: python -m tests.frameworks.oldest")
    file = FOLDER / f"{module.__name__.rpartition('.')[2]}.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(file)],
        env={**os.environ, "PYTHONPATH": str(folder), OLDEST: "1"},
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:]

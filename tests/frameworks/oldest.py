"""
Installs the oldest version of each framework into a folder of its own, beside the newest, and what
is tested apart.

usage: python -m tests.frameworks.oldest [framework …]

A folder is put in front of the others by ``PYTHONPATH``; what it does not have is the newest. So it
costs what the framework itself takes, and not another PyTorch.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.frameworks.cells import framework_of, modules, overlay_of


def main(*names: str) -> None:
    """Install those that are not there, or only those that are named."""
    for module in modules():
        framework, folder = framework_of(module), overlay_of(module)
        if not framework.overlaid or (names and folder.name not in names):
            continue
        wanted = [f"{framework.package}=={framework.oldest}", *framework.old_needs]
        mark = folder / ".installed"
        if mark.exists() and mark.read_text() == "\n".join(wanted):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--target", str(folder), *wanted], check=True)
        mark.write_text("\n".join(wanted))


if __name__ == "__main__":
    main(*sys.argv[1:])

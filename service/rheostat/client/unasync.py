"""
Write the blocking client: ``_sync`` is ``_async`` without what waits for an event loop.

    python service/rheostat/client/unasync.py

Only ``network.py`` is written by hand in both folders. Text is replaced, in docstrings too, so
that these have to be true of both clients. A test compares the files with what this would write.
It imports nothing of the package, which may be broken until this has run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BY_HAND = "network.py"
REPLACED = [
    (r"\b(?:async|await) ", ""),
    (r"\bAsync(?=[A-Z])", ""),  # AsyncClient, AsyncIterator, httpx.AsyncBaseTransport
    (r"\ba(?=closing\b)", ""),
    (r"\b__a(?=(?:enter|exit)__)", "__"),
    (r"\b_async\b", "_sync"),
]
HEADER = "# Made from _async/{name} by unasync.py: edit that one, and run this.\n\n"


def blocking(name: str, text: str) -> str:
    """Return the blocking form of a file, formatted."""
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    left = re.search(r"\basync(?!io\b)\w*|\bawait\b", text)
    if left is not None:
        raise ValueError(
            f"{name}: {left[0]!r} is left, and `REPLACED` does not say what it becomes"
        )
    where = str(HERE / "_sync" / name)
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", where]
    text = HEADER.format(name=name) + text
    done = subprocess.run(command, input=text, check=True, capture_output=True, text=True)  # noqa: S603
    return str(done.stdout)


def made() -> dict[Path, str]:
    """Return what each generated file has to hold."""
    sources = sorted(path for path in (HERE / "_async").glob("*.py") if path.name != BY_HAND)
    return {HERE / "_sync" / path.name: blocking(path.name, path.read_text()) for path in sources}


def main() -> None:
    """Write the files."""
    for path, text in made().items():
        path.write_text(text)


if __name__ == "__main__":
    main()

"""The command `rheostat`. Importing this loads nothing; `main` says what is missing."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line; without the extra `server`, say how to get it."""
    serves = sys.argv[1:2] == ["serve"]
    if serves:  # told to stop while it still loads, it stops; as a container's first process, too
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        if serves:  # to load the other commands would delay the service
            from rheostat.cli.root import app
        else:
            from rheostat.cli.app import app
        app(prog_name="rheostat")
    except ModuleNotFoundError as error:
        if (error.name or "rheostat").partition(".")[0] == "rheostat":
            raise
        sys.exit(f'The command line needs {error.name}: pip install "rheostat[server]"')

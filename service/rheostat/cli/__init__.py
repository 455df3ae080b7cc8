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
    _open_streams()
    if "_RHEOSTAT_COMPLETE" in os.environ:
        from rheostat.cli.completion import answer

        answer(sys.argv[1:], os.environ)
    try:
        from rheostat.cli import app

        # to load the other commands would delay the service
        commands = app.root if serves else app.complete
        commands()(prog_name="rheostat")
    except ModuleNotFoundError as error:
        if (error.name or "rheostat").partition(".")[0] == "rheostat":
            raise
        sys.exit(f'The command line needs {error.name}: pip install "rheostat[server]"')


def _open_streams() -> None:
    """Let the standard streams take every character, and open those that were closed."""
    # A file or socket that took the number of one would be written to by whoever writes to it.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        else:
            stream.reconfigure(errors="replace")

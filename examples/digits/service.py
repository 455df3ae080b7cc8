"""A `rheostat serve` process, started, killed and started again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class Service:
    """A server on a free port, with its database and its log in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it says that it serves."""
        port = self.url.rpartition(":")[2] or "0"
        database = f"sqlite:///{self.directory / 'rheostat.db'}"
        command = [sys.executable, "-m", "rheostat.cli", "serve", "--port", port]
        with (self.directory / "server.log").open("a") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [*command, "--database", database], stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline() if self.process.stdout else ""
        if " serves " not in line:
            sys.exit(f"the server did not start:\n{(self.directory / 'server.log').read_text()}")
        self.url = line.split()[3]

    def kill(self) -> None:
        """Kill it at once, as ``kill -9`` does."""
        self.process.kill()
        self.process.communicate()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

"""A `rheostat serve` process, started, killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

RHEOSTAT = (sys.executable, "-m", "rheostat.cli")


class Service:
    """
    A server on a free port, with its database and its log in ``directory``.

    With ``auth`` it requires tokens, and `admin` is one.
    """

    def __init__(self, directory: Path, *, auth: bool = False) -> None:
        self.directory = directory
        self.database = f"sqlite:///{directory / 'rheostat.db'}"
        self.auth = auth
        self.admin = self.url = ""

    def __enter__(self) -> Self:
        if self.auth:
            options = ("--role", "admin", "--database", self.database, "--json")
            command = [*RHEOSTAT, "token", "create", "admin", *options]
            made = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603
            self.admin = json.loads(made.stdout)["token"]
        self.start()
        return self

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it says that it serves."""
        port = self.url.rpartition(":")[2] or "0"
        command = [*RHEOSTAT, "serve", "--port", port, "--database", self.database]
        command += ["--auth"] if self.auth else []
        with (self.directory / "server.log").open("a") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command, stdout=subprocess.PIPE, stderr=log, text=True
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

"""What is loaded before a server is ready, and what only when it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store

START = """
import json, sys
from rheostat.cli import app
app.root()
from rheostat.server import serve
from rheostat.server.settings import Settings
settings = Settings(database=sys.argv[1])
serve._open(settings, requires_tokens=False)
print(json.dumps([*sys.modules]))
serve._application(settings)
print(json.dumps([*sys.modules]))
"""


def test_a_start_loads_what_it_serves_with(tmp_path: Path) -> None:
    """A supervisor loads no application, and a worker no migrations, pictures or other database."""
    url = f"sqlite:///{tmp_path / 'rheostat.db'}"
    open_store(Settings(database=url)).close()
    command = [sys.executable, "-c", START, url]
    printed = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    supervisor, worker = (set(json.loads(line)) for line in printed)
    assert supervisor.isdisjoint({"fastapi", "rheostat.server.app"})
    assert "fastapi" in worker
    assert worker.isdisjoint(
        {"alembic", "matplotlib", "rich", "httpx", "rheostat.cli.commands.runs"}
    )
    assert "sqlalchemy.dialects.postgresql" not in worker

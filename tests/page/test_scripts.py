"""The page's scripts: their size, their types, and whose they are."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from tests.page.wire_types import written

from rheostat.server.app import create_app
from rheostat.server.settings import Settings

WEB = Path(str(files("rheostat.server"))) / "web"
MODULES = sorted(WEB.glob("*.js"))
VENDOR = WEB / "vendor"
TYPES = Path(__file__).parent / "types"
TYPESCRIPT = "typescript@5.9.3"

MOST_LINES, MOST_LINES_OF_ROUTER, MOST_COLUMNS = 250, 80, 160
MOST_BYTES, MOST_COMPRESSED = 217_000, 87_000


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_one_idea(module: Path) -> None:
    """A module is short enough to be read at once, and so is each line."""
    lines = module.read_text().splitlines()
    assert len(lines) <= (MOST_LINES_OF_ROUTER if module.name == "app.js" else MOST_LINES)
    assert max(map(len, lines)) <= MOST_COLUMNS


def test_all_scripts_are_small() -> None:
    """The page is there at once on a slow line: what it loads is bounded, plain and compressed."""
    scripts = [path.read_bytes() for path in (*MODULES, *VENDOR.glob("*.js"))]
    assert sum(map(len, scripts)) <= MOST_BYTES
    assert sum(len(gzip.compress(script)) for script in scripts) <= MOST_COMPRESSED


def test_libraries_are_what_they_are_said_to_be() -> None:
    """Each file of another project is listed with version, licence and sum, and no other is."""
    row = r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$"
    told = re.findall(row, (VENDOR / "VENDOR.md").read_text(), re.MULTILINE)
    there = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.suffix in {".js", ".css"}
    }
    assert dict(told) == there


def test_types_are_those_of_the_wire(tmp_path: Path) -> None:
    """TypeScript finds nothing: each field that the page reads is in the service's answers."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("the page's types are checked where node is: apt-get install nodejs npm")
    for path in (*MODULES, *TYPES.iterdir()):
        shutil.copy(path, tmp_path)
    (tmp_path / "vendor").mkdir()
    shutil.move(tmp_path / "standalone.module.d.ts", tmp_path / "vendor")
    document = create_app(Settings(docs=True)).openapi()
    (tmp_path / "wire.d.ts").write_text(written(document))
    command = [npm, "exec", "--yes", f"--package={TYPESCRIPT}", "--", "tsc", "-p", "."]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr

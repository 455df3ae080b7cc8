"""Every format is everywhere where formats are: one that was forgotten somewhere is named here."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from rheostat.cli.app import complete
from rheostat.curve_files import WRITERS
from rheostat.formats import NUMBERS, PICTURES, Format

VALUES = [1.0, 0.7, 0.1, 1e-7]
LONGEST = -1.2345678901234567e-300
"""A number of the longest text that float64 has."""
TABLE = {"kind": "table", "values": VALUES}
MANUAL = (Path(__file__).parents[1] / "docs/formats.md").read_text()


def _csv(body: bytes) -> list[float]:
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [int(row["step"]) for row in rows] == [0, 1, 2, 3]
    return [float(row["value"]) for row in rows]


READERS: Mapping[Format, Callable[[bytes], list[float]]] = {
    Format.JSON: lambda body: list(json.loads(body)["values"]),
    Format.F64: lambda body: list(struct.unpack("<4d", body)),
    Format.NPY: lambda body: list(np.load(io.BytesIO(body)).ravel()),
    Format.CSV: _csv,
}
"""How others read the numbers of a format."""
SIGNATURES = {Format.PNG: b"\x89PNG\r\n\x1a\n", Format.SVG: b"<?xml"}


@pytest.mark.parametrize("chosen", Format)
def test_a_format_is_written_and_explained(chosen: Format) -> None:
    """A format has a writer, and a line in the manual with its media type and its sentence."""
    assert chosen in WRITERS
    (line,) = (line for line in MANUAL.splitlines() if line.startswith(f"| `{chosen}` |"))
    assert chosen.media_type in line
    assert chosen.sentence in line


def test_the_longest_numbers_have_room() -> None:
    """P13: however many numbers of whatever texts are written, nothing is written beyond them."""
    program = f"""
import numpy as np
from rheostat.curve_files import SLICE, Curves, write
from rheostat.formats import Format
for count in range(SLICE + 1):
    for values in (np.full(count, {LONGEST}), np.full(count, -(2**63))):
        write(Format.JSON, Curves(range(count), {{}}, {{"values": values}}))
"""
    watched = {**os.environ, "PYTHONMALLOC": "debug"}  # which looks behind what is given back
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=watched, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _check(chosen: Format, body: bytes) -> None:
    """Check what a file of the format holds."""
    if chosen.picture:
        assert body.startswith(SIGNATURES[chosen])
    else:
        assert READERS[chosen](body) == VALUES


@pytest.mark.parametrize("chosen", Format)
def test_a_format_is_answered(chosen: Format, http: httpx.Client) -> None:
    """The service answers in every format, by its name and its media type: the same bits (P1)."""
    body = {"definition": TABLE, "stop": len(VALUES)}
    named = http.post("/v1/evaluate", json=body, params={"format": chosen})
    accepted = http.post("/v1/evaluate", json=body, headers={"Accept": chosen.media_type})
    for answer in (named, accepted):
        assert answer.headers["content-type"].partition(";")[0] == chosen.media_type
        _check(chosen, answer.content)


@pytest.mark.parametrize("chosen", [*NUMBERS, *PICTURES])
def test_a_format_is_written_by_the_command_line(chosen: Format, tmp_path: Path) -> None:
    """`evaluate --format` writes every format of numbers, `plot --output` every kind of picture."""
    file = tmp_path / f"curve.{chosen}"
    definition = ["table", "values=1,0.7,0.1,1e-7"]
    form = [] if chosen.picture else ["--format", str(chosen)]
    command = "plot" if chosen.picture else "evaluate"
    stop = str(len(VALUES))
    line = [command, *definition, "--stop", stop, *form, "--output", str(file)]
    done = CliRunner().invoke(complete(), line)
    assert done.exit_code == 0, done.stderr
    _check(chosen, file.read_bytes())

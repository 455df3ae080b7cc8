"""Every format is everywhere where formats are: one that was forgotten somewhere is named here."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from rheostat.cli.app import complete
from rheostat.curve_files import WRITERS, Curves, write
from rheostat.formats import NUMBERS, PICTURES, Format

VALUES = [1.0, 0.7, 0.1, 1e-7]
LONGEST = -1.2345678901234567e-300
"""A number of the longest text that float64 has."""
TABLE = {"kind": "table", "values": VALUES}
MANUAL = (Path(__file__).parents[1] / "docs/formats.md").read_text()


def _csv(body: bytes) -> list[float]:
    header, *rows = csv.reader(io.StringIO(body.decode()))
    assert header[0] == "step"
    assert header[1:] == sorted(header[1:])
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    return [float(row[place]) for place in range(1, len(header)) for row in rows]


READERS: Mapping[Format, Callable[[bytes], list[float]]] = {
    Format.JSON: lambda body: list(json.loads(body)["values"]),
    Format.F64: lambda body: list(struct.unpack(f"<{len(body) // 8}d", body)),
    Format.NPY: lambda body: list(np.load(io.BytesIO(body)).ravel()),
    Format.CSV: _csv,
}
"""How others read the numbers of a format, column after column in the order of their names."""
SIGNATURES = {Format.PNG: b"\x89PNG\r\n\x1a\n", Format.SVG: b"<?xml", Format.PDF: b"%PDF"}
"""How pictures begin."""


@pytest.mark.parametrize("chosen", Format)
def test_a_format_is_written_and_explained(chosen: Format) -> None:
    """A format has a writer, and a line in the manual with its media type and its sentence."""
    assert chosen in WRITERS, "write it in service/rheostat/curve_files.py: WRITERS"
    lines = [line for line in MANUAL.splitlines() if line.startswith(f"| `{chosen}` |")]
    assert len(lines) == 1, "`make docs` writes its line of docs/formats.md"
    assert chosen.media_type in lines[0]
    assert chosen.sentence in lines[0]
    table, name = (SIGNATURES, "SIGNATURES") if chosen.picture else (READERS, "READERS")
    assert chosen in table, f"read it in tests/test_curve_files.py: {name}"


@pytest.mark.parametrize("chosen", Format)
def test_a_format_has_a_media_type_of_its_own(chosen: Format) -> None:
    """`Accept` chooses one format: no two have the same media type."""
    others = {item.media_type: str(item) for item in Format if item is not chosen}
    assert chosen.media_type not in others


@pytest.mark.parametrize("chosen", NUMBERS)
def test_a_format_holds_every_column(chosen: Format) -> None:
    """Columns follow each other by name in every format, however long: the same bits (P1)."""
    first, second = np.random.default_rng(1).standard_normal((2, 5000))
    body = b"".join(write(chosen, Curves(range(5000), {"b": second, "a": first})))
    assert READERS[chosen](body) == [*first, *second]


@pytest.mark.parametrize("chosen", [Format.JSON, *NUMBERS])
def test_a_format_holds_what_its_row_says(chosen: Format) -> None:
    """Text is UTF-8, what is binary is not: limits, schemas and digests of names go by that."""
    values = np.array(VALUES)
    body = b"".join(write(chosen, Curves(range(4), {"value": values}, {"values": values})))
    try:
        body.decode()
    except UnicodeDecodeError:
        assert chosen.content == "binary"
    else:
        assert chosen.content == "text"


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("chosen", [Format.JSON, *NUMBERS])
def test_a_format_takes_the_memory_of_its_row(chosen: Format, columns: int) -> None:
    """P13: values and what is written of them take what is held for an answer, and no more."""
    count = 100_000
    values = np.full(count, LONGEST)
    named = {f"p{number}": values for number in range(columns)}
    curves = Curves(range(2**52, 2**52 + count), named, dict(named))
    tracemalloc.start()
    try:
        write(chosen, curves)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    needed = peak / count / columns + values.itemsize
    assert needed <= chosen.memory + 1, f"{chosen} needs {needed:.0f} bytes a value"  # a header


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

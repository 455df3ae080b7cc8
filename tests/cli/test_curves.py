"""`evaluate`, `plot` and `kinds`: definitions without a service."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rheostat.schedules import KINDS
from rheostat.schedules.introspection import describe

LINE = "linear start=1 end=0 steps=4"
VALUES = [1.0, 0.75, 0.5, 0.25, 0.0]


def test_one_step_is_one_number(rheostat: Any) -> None:
    """A half of a cosine wave is half-way down in its middle, to the last digits."""
    line = "evaluate cosine start=1e-3 end=1e-5 steps=10000 --step 5000"
    assert float(rheostat(line).out) == pytest.approx((1e-3 + 1e-5) / 2, rel=1e-15)
    assert rheostat(line + " --json").json["step"] == 5000


def test_a_curve_is_a_table_with_its_end(rheostat: Any) -> None:
    """Without a range the whole curve is shown, its last value included."""
    ran = rheostat(f"evaluate {LINE}")
    rows = [row.split() for row in ran.out.splitlines()]
    assert rows[0] == ["STEP", "VALUE"]
    assert [(int(step), float(value)) for step, value in rows[1:]] == list(enumerate(VALUES))


def test_every_format_holds_the_same_bits(rheostat: Any, tmp_path: Path) -> None:
    """JSON, CSV, NPY and raw float64 of a curve agree bit for bit (P1)."""
    line = "evaluate cosine start=0.1 end=0.003 steps=97 --start 3 --stop 90 --stride 7"
    document = rheostat(line + " --json").json
    steps, values = document["steps"], document["values"]
    files = {form: tmp_path / f"curve.{form}" for form in ("csv", "npy", "f64")}
    for form, file in files.items():
        assert rheostat(f"{line} --format {form} -o {file}").code == 0
    rows = [row.split(",") for row in files["csv"].read_text().splitlines()[1:]]
    assert steps == list(range(3, 90, 7))
    assert [(int(step), float(value)) for step, value in rows] == list(
        zip(steps, values, strict=True)
    )
    assert np.load(files["npy"]).tolist() == values
    assert list(struct.unpack(f"<{len(steps)}d", files["f64"].read_bytes())) == values


def test_csv_goes_to_standard_output_as_it_is(rheostat: Any) -> None:
    """Without a file the format is written to the pipe."""
    ran = rheostat(f"evaluate {LINE} --format csv")
    assert ran.out.splitlines() == ["step,value", *(f"{i},{v}" for i, v in enumerate(VALUES))]


def test_relative_lengths_need_a_total(rheostat: Any) -> None:
    """`--total` gives lengths such as 50% their meaning; without it they are refused (P10)."""
    line = "evaluate linear start=0 end=1 steps=50% --step 25"
    assert rheostat(line + " --total 100").out == "0.5\n"
    refused = rheostat(line)
    assert refused.code == 1
    assert "definition.steps" in refused.err


def test_a_refusal_names_field_value_and_bound(rheostat: Any) -> None:
    """A wrong definition exits with 1, and says on standard error what is wrong (P10)."""
    ran = rheostat("evaluate cosine start=1e-3 end=high steps=-4")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[0] == "Refused: The definition is refused.  [422 invalid]"
    assert 'value "high",  bound a number' in ran.err
    assert "value -4,  bound ≥ 1" in ran.err


def test_a_refusal_is_a_problem_document_for_machines(rheostat: Any) -> None:
    """With --json standard output holds the problem, with every wrong field."""
    ran = rheostat("evaluate cosine start=1e-3 end=high steps=-4 --json")
    assert ran.json["type"] == "urn:rheostat:problem:invalid"
    fields = {error["field"]: error["value"] for error in ran.json["errors"]}
    assert fields == {"definition.end": "high", "definition.steps": -4}


@pytest.mark.parametrize(
    "line",
    [
        "evaluate linear start",
        "evaluate linear --stop 1.5",
        f"evaluate {LINE} --format xlsx",
        f"plot {LINE} -o curve.gif",
        "plot @missing.json",
        "evaluate",
        "nonsense",
    ],
)
def test_what_cannot_be_read_exits_with_2(rheostat: Any, line: str) -> None:
    """A mistake in the command line itself is told apart from a refusal."""
    ran = rheostat(line)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: rheostat" in ran.err


@pytest.mark.parametrize("line", ["--stop 0", "--start 9 --stop 9", "--stride 0", "--stop 9e15"])
def test_a_range_that_makes_no_sense_is_refused(rheostat: Any, line: str) -> None:
    """Empty ranges, and curves of more values than anybody can hold, are refused (P10)."""
    ran = rheostat(f"evaluate {LINE} --format csv {line}")
    assert (ran.code, ran.out) == (1, "")
    assert "stop" in ran.err


def test_a_plot_in_a_pipe_is_plain_text(rheostat: Any) -> None:
    """There are no colour codes, no row is too wide, and extremes are named."""
    ran = rheostat(f"plot {LINE} , constant value=0.5", COLUMNS="66")
    assert "\x1b" not in ran.out
    chart = ran.out.splitlines()[:18]
    assert max(map(len, chart)) <= 66
    assert chart[0].endswith("⣀") is False
    assert "linear start=1 end=0 steps=4" in ran.out
    assert "constant" in "".join(chart)


def test_a_plot_is_data_for_machines(rheostat: Any) -> None:
    """With --json a plot is its curves, each with its definition."""
    document = rheostat(f"plot {LINE} , 2 --json").json
    assert document["curves"][0]["values"] == VALUES
    assert document["curves"][1]["definition"] == {"kind": "constant", "value": 2.0}


def test_a_plot_keeps_what_sticks_out(rheostat: Any) -> None:
    """One step of 300,000 is in the plot, and so is every end."""
    spike = [[0, 1], [123_456, 5], [123_457, 1], [300_000, 1]]
    line = f"piecewise points={json.dumps(spike).replace(' ', '')} interpolation=previous"
    document = rheostat(f"plot {line} , {LINE} --json").json
    curve = dict(zip(document["steps"], document["curves"][0]["values"], strict=True))
    assert len(curve) <= 20_000
    assert [step for step, value in curve.items() if value == 5] == [123_456]
    assert (min(curve), max(curve)) == (0, 300_000)


def test_pictures_are_written_to_files(rheostat: Any, tmp_path: Path) -> None:
    """A name that ends in .png or .svg gives that picture."""
    png, svg = tmp_path / "curve.png", tmp_path / "curve.svg"
    assert rheostat(f"plot {LINE} -o {png}").code == 0
    assert rheostat(f"plot {LINE} , {LINE} -o {svg}").code == 0
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert "http://www.w3.org/2000/svg" in svg.read_text()


@pytest.mark.parametrize("output", ["", "-o {folder}/curve.png"])
def test_a_logarithmic_scale_needs_values_above_zero(
    output: str, rheostat: Any, tmp_path: Path
) -> None:
    """`--log` refuses a curve that ends at 0 in the terminal and in a file, and writes none."""
    ran = rheostat(f"plot {LINE} --log {output.format(folder=tmp_path)}")
    assert (ran.code, ran.out) == (1, "")
    assert "a logarithmic scale needs values above 0" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_picture_obeys_its_scale(rheostat: Any, tmp_path: Path) -> None:
    """`--log` gives a picture decades as ticks, also where values span less than three decades."""
    plain, log = tmp_path / "plain.svg", tmp_path / "log.svg"
    line = "plot exponential start=1 factor=0.5 --stop 8"
    assert rheostat(f"{line} -o {plain}").code == 0
    assert rheostat(f"{line} -o {log} --log").code == 0
    decades = ["<!-- 0.01 -->" in file.read_text() for file in (plain, log)]
    assert decades == [False, True]


def test_a_file_that_cannot_be_written_is_said(rheostat: Any, tmp_path: Path) -> None:
    """An expected failure of the file system is one sentence, no traceback."""
    ran = rheostat(f"plot {LINE} -o {tmp_path / 'missing' / 'curve.png'}")
    assert ran.code == 1
    assert ran.err.startswith("Error: cannot write ")
    assert "No such file or directory" in ran.err


def test_standard_input_is_a_definition(rheostat: Any) -> None:
    """`-` reads JSON from a pipe; its fields can be changed behind it."""
    definition = json.dumps({"kind": "linear", "start": 0, "end": 1, "steps": 10})
    assert rheostat("evaluate - steps=4 --step 1", stdin=definition).out == "0.25\n"


def test_kinds_are_listed_and_described(rheostat: Any) -> None:
    """Every kind is there, and one is described by its formula, fields and bounds."""
    assert [item["kind"] for item in rheostat("kinds --json").json] == list(KINDS)
    described = rheostat("kinds cosine").out
    for part in ("cos(π · t/steps)", "≥ 1", "required", "rheostat plot cosine start="):
        assert part in described
    assert rheostat("kinds nonsense").code == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_described(kind: str, rheostat: Any) -> None:
    """Each kind is described with every field that it has, and an example."""
    rows = [row.split() for row in rheostat(f"kinds {kind}").out.splitlines()]
    first = {row[0] for row in rows if row}
    assert {field["name"] for field in describe(kind)["fields"]} <= first
    assert "example" in first


def test_the_example_of_a_kind_can_be_typed(rheostat: Any) -> None:
    """What `kinds` shows as an example is a command that works."""
    [example] = [
        row.split("rheostat ", 1)[1]
        for row in rheostat("kinds one_cycle").out.splitlines()
        if row.startswith("example")
    ]
    assert rheostat(example).code == 0

"""`rheostat simulate`: what a controller would have decided on the metric of a file."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "converters/golden/torch.jsonl"
PLATEAUS = [
    record
    for record in map(json.loads, GOLDEN.read_text().splitlines())
    if "metrics" in record and "/groups/" not in record["id"]
]
"""Those of one parameter."""
RISING = "step,val_loss\n100,1\n200,2\n300,3\n400,4\n"
"""What is never better than its first value."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("record", PLATEAUS, ids=lambda record: record["id"])
def test_a_plateau_falls_where_pytorch_falls(record: Any, rheostat: Any, folder: Path) -> None:
    """The values of PyTorch's own ReduceLROnPlateau, from its metrics in a file."""
    params = {"min": 0, **record["params"]}
    params["min"] = params.pop("min_lr", params["min"])
    rows = [f"{s},{m}" for s, m in zip(record["steps"], record["metrics"], strict=True)]
    (folder / "m.csv").write_text("\n".join(["step,loss", *rows]))
    said = " ".join(f"--{name} {value}" for name, value in params.items())
    base = f"--definition {record['base_value']!r}"
    ran = rheostat(f"simulate plateau --metric-file m.csv {said} {base} --json")
    assert ran.code == 0, ran.err
    assert ran.json["steps"] == record["steps"]
    assert ran.json["values"] == pytest.approx(record["values"], rel=1e-15)


def test_people_see_metric_curve_and_decisions(rheostat: Any, folder: Path) -> None:
    """The metric and the value below it are drawn with each decision, which a row explains."""
    (folder / "m.csv").write_text(RISING)
    ran = rheostat(
        "simulate plateau --metric-file m.csv --patience 1 --factor 0.5"
        " --definition 'linear start=1 end=0 steps=1000'"
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("val_loss  from 1 to 4, 4 at step 400")
    assert sum("▲" in line and "× 0.5" in line for line in lines) == 2
    assert lines[-1].split()[:4] == ["300", "×", "0.5", "300"]
    assert lines[-1].endswith("val_loss has not been better than 1 (step 100) for 2 reports")


def test_a_decision_lands_after_its_report(rheostat: Any, folder: Path) -> None:
    """With --after n a value falls n steps after the report that decided."""
    (folder / "m.csv").write_text(RISING)
    line = "simulate plateau --metric-file m.csv --patience 1 --factor 0.5 --after 100"
    found = rheostat(f"{line} --json").json
    assert [(each["step"], each["effective"]) for each in found["decisions"]] == [(300, 400)]
    assert found["values"] == [1, 1, 1, 0.5]


def test_a_stop_is_told(rheostat: Any, folder: Path) -> None:
    """A controller that ends a training says where and why, and no curve is drawn."""
    (folder / "m.csv").write_text(RISING)
    ran = rheostat("simulate stop --metric-file m.csv --reading keras --patience 2")
    assert ran.out.splitlines()[-1].split()[:3] == ["300", "stop", "300"]
    assert "value" not in ran.out.split()


def test_nothing_decided_is_said(rheostat: Any, folder: Path) -> None:
    """A controller that never decides says so."""
    (folder / "m.csv").write_text(RISING)
    assert "It decides nothing." in rheostat("simulate plateau --metric-file m.csv").out


@pytest.mark.parametrize(
    "text",
    [
        "step,train,val\n1,9,2.5\n2,9,NaN\n3,8,-inf\n",
        "epoch,step,val,train\n0,1,2.5,9\n\n0,2,nan,9\n1,3,-Infinity,8\n",
        "step,val,train\n1,2.5,\n1500,,3\n",
        '{"step": 1, "val": 2.5}\n{"step": 1500, "train": 3}\n',
        '{"step": 1, "val": 2.5}\n\n{"step": 2, "val": NaN}\n{"step": 3, "val": "-Infinity"}\n',
        '[1, 2.5]\n[2, "NaN"]\n',
        "[[1, 2.5], [3, 4]]",
        '[{"global_step": 1, "val": 2.5}, {"global_step": "1.5k", "val": 1}]',
    ],
)
def test_files_of_many_trainers_are_read(text: str, rheostat: Any, folder: Path) -> None:
    """CSV, JSON lines and JSON lists give their first report, whatever else they have."""
    column = "--column val" if "val" in text else ""
    ran = rheostat(f"simulate plateau --metric-file - {column} --json", stdin=text)
    assert ran.code == 0, ran.err
    assert (ran.json["metric"]["steps"][0], ran.json["metric"]["values"][0]) == (1, 2.5)
    assert (
        len(ran.json["metric"]["steps"]) == sum("train" not in x and "," in x for x in [text]) or 1
    )


def test_what_is_not_finite_is_told(rheostat: Any) -> None:
    """NaN and infinity are reports, which JSON has as text, and which people are told of."""
    text = "step,loss\n1,2\n2,NaN\n3,-inf\n"
    line = "simulate plateau --metric-file -"
    found = rheostat(f"{line} --json", stdin=text).json
    assert found["metric"]["values"] == [2, "NaN", "-Infinity"]
    assert "Not finite: NaN at 2, -Infinity at 3" in rheostat(line, stdin=text).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step,loss\n1,2\n2,x\n", "line 3: 'x' is no number"),
        ("step,loss\n1,2\n1,3\n", "line 3: step 1 does not come after 1"),
        ("step,loss\n1.5,2\n", "line 2: '1.5' is no step"),
        ("step,loss\n-1,2\n", "line 2: '-1' is no step"),
        ("step,a,b\n1,2,3\n", "line 1: which is the metric? Choose --column of a, b"),
        ("time,loss\n1,2\n", "line 1: there is no column of steps"),
        ("step,loss\n1\n", "line 2: it has 1 columns, and the head 2"),
        ("1,2\n2,3\n", "has no head"),
        ("step,loss\n", "has no row"),
        ("", "has no head"),
        ('{"step": 1, "loss": 2}\n{"step": 2, "loss": null}\n', "line 2: None is no number"),
        ('{"step": 1, "loss": 2}\n{"step"\n', "line 2: it is not JSON"),
        ('{"step": 1, "loss": 2}\n3\n', "line 2: 3 is not an object"),
        ("[[1, 2], 3]", "item 2: 3 is not an object"),
        ("[[1, 2], [2, true]]", "item 2: True is no number"),
    ],
)
def test_bad_input_names_line_and_value(text: str, said: str, rheostat: Any) -> None:
    """P10: what cannot be read is refused with where it stands and what stands there."""
    ran = rheostat("simulate plateau --metric-file -", stdin=text)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("simulate plateau --metric-file /nowhere", 2, "cannot read /nowhere"),
        ("simulate plato --metric-file m.csv", 2, "'plato' is no kind of controller"),
        ("simulate plateau --metric-file m.csv --factor 2", 1, "controller.factor"),
        ("simulate plateau --metric-file m.csv --column x", 2, "there is no column 'x'"),
        ("simulate plateau --metric-file m.csv --definition 'cosinus a=1'", 1, "cosinus"),
        ('simulate plateau --metric-file m.csv --definition "\'"', 2, "--definition"),
    ],
)
def test_bad_controllers_are_refused(
    line: str, code: int, said: str, rheostat: Any, folder: Path
) -> None:
    """P10: what a controller or a definition cannot be is refused, with the field."""
    (folder / "m.csv").write_text(RISING)
    ran = rheostat(line)
    assert (ran.code, ran.out) == (code, "")
    assert said in " ".join(ran.err.split())


def test_names_of_columns_cannot_act(rheostat: Any) -> None:
    """A column whose name is no metric's is simulated, and nothing of it reaches a terminal."""
    ran = rheostat("simulate plateau --metric-file -", stdin="step,\x1b[31mloss\n1,2\n2,3\n")
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    ran = rheostat(
        f"simulate plateau --metric-file - --column {shlex.quote('x')}", stdin="step,\x1b\n"
    )
    assert "\x1b" not in ran.out + ran.err

"""The words of the command line mean the JSON that the service takes."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from rheostat.changes import EDITS, EditRow
from rheostat.cli import words

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10000}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cosine start=1e-3 end=1e-5 steps=10000", COSINE),
        ("cosine start=.001 end=0.00001 steps=1e4", COSINE),
        ("0.1", {"kind": "constant", "value": 0.1}),
        ('\'{"kind":"constant","value":2}\'', {"kind": "constant", "value": 2}),
        (
            "linear start=0 end=1 steps=10%",
            {"kind": "linear", "start": 0, "end": 1, "steps": "10%"},
        ),
        ("wsd peak=1 stable=4.3T", {"kind": "wsd", "peak": 1, "stable": "4.3T"}),
        ("cosine periodic=true floor=null", {"kind": "cosine", "periodic": True, "floor": None}),
        ("multistep milestones=10,20", {"kind": "multistep", "milestones": [10, 20]}),
        ("table values=[1]", {"kind": "table", "values": [1]}),
        (
            "warmup steps=5 then.kind=scale then.of.kind=constant then.of.value=1",
            {
                "kind": "warmup",
                "steps": 5,
                "then": {"kind": "scale", "of": {"kind": "constant", "value": 1}},
            },
        ),
    ],
)
def test_a_definition_is_written_as_a_kind_and_fields(line: str, expected: Any) -> None:
    """Numbers, lengths, lists, nested fields and JSON are read as they are meant."""
    assert words.definition(shlex.split(line)) == expected


def test_files_and_standard_input_hold_definitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`@file` and `-` stand for JSON, at the top, in a field, and with fields changed."""
    file = tmp_path / "lr.json"
    file.write_text(json.dumps(COSINE))
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(COSINE)))
    assert words.definition([f"@{file}"]) == COSINE
    assert words.definition(["-", "steps=5"]) == {**COSINE, "steps": 5}
    nested = {"kind": "warmup", "steps": 5, "then": COSINE}
    assert words.definition(["warmup", "steps=5", f"then=@{file}"]) == nested


def test_commas_separate_definitions() -> None:
    """A comma is the same alone, at the end of a word, and in a list not a separator at all."""
    constants = [{"kind": "constant", "value": value} for value in (1, 2, 3)]
    assert words.definitions(["1", ",", "2,", "3"]) == constants
    assert len(words.definitions(["multistep", "milestones=1,2", ",", "3"])) == 2


def test_parameters_come_with_their_definitions() -> None:
    """A run's parameters are phrases, or assignments of one word each."""
    expected = {"lr": COSINE, "weight_decay": {"kind": "constant", "value": 0.1}}
    phrases = "lr cosine start=1e-3 end=1e-5 steps=10000, weight_decay 0.1"
    dotted = "lr.kind=cosine lr.start=1e-3 lr.end=1e-5 lr.steps=10000 weight_decay=0.1"
    assert words.parameters(shlex.split(phrases)) == expected
    assert words.parameters(shlex.split(dotted)) == expected
    assert words.parameters(["lr/head=0.1"]) == {"lr/head": {"kind": "constant", "value": 0.1}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("scale 0.5", {"edit": "scale", "factor": 0.5}),
        ("scale factor=0.5", {"edit": "scale", "factor": 0.5}),
        ("scale -0.5", {"edit": "scale", "factor": -0.5}),
        ("hold", {"edit": "hold"}),
        ("hold 100 then=shift", {"edit": "hold", "steps": 100, "then": "shift"}),
        ("set 0 --steps 100", {"edit": "set", "value": 0, "steps": 100}),
        (
            "ramp 0 --steps=10000 --shape 1-sqrt",
            {"edit": "ramp", "to": 0, "steps": 10000, "shape": "1-sqrt"},
        ),
        ("rewarm 500 start=0.1", {"edit": "rewarm", "steps": 500, "start": 0.1}),
        ("extend 20000", {"edit": "extend", "end": 20000}),
        ("revert 3", {"edit": "revert", "to": 3}),
        (
            "replace linear start=1 end=0 steps=9 clock=change blend=5",
            {
                "edit": "replace",
                "definition": {"kind": "linear", "start": 1, "end": 0, "steps": 9},
                "clock": "change",
                "blend": 5,
            },
        ),
        ("0.05", {"kind": "constant", "value": 0.05}),
        ("linear start=1 clock=change", {"kind": "linear", "start": 1, "clock": "change"}),
    ],
)
def test_a_change_is_an_edit_or_a_definition(line: str, expected: Any) -> None:
    """Each edit takes its value bare, and further fields as words or as options."""
    assert words.changes(["lr", *shlex.split(line)]) == {"lr": expected}


@pytest.mark.parametrize("line", ["zap", "zap 5", "zap value=5", "halve"])
def test_an_unknown_change_is_named(line: str) -> None:
    """What is neither an edit nor a kind is said to be so, with all edits and where kinds are."""
    said = f"'{line.split(maxsplit=1)[0]}' is neither an edit nor a kind"
    with pytest.raises(typer.BadParameter, match=said) as refusal:
        words.changes(["lr", *line.split()])
    assert all(part in str(refusal.value) for part in [*EDITS, "`rheostat kinds`"])


@pytest.mark.parametrize(("line", "meant"), [("Scale 0.5", "scale"), ("cosin end=0", "cosine")])
def test_a_slip_of_a_change_is_asked_about(line: str, meant: str) -> None:
    """Where an edit or a kind is close, that one is named in place of all of them."""
    with pytest.raises(typer.BadParameter, match=f"; did you mean {meant}\\?$"):
        words.changes(["lr", *line.split()])


def test_a_value_behind_an_edit_that_takes_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit without a value is a word alone: what follows it is refused and shown."""
    row = EditRow("rest", None, "rest", "do nothing", lambda: {"edit": "rest"})
    monkeypatch.setitem(EDITS, "rest", row)
    assert words.changes(["lr", "rest"]) == {"lr": {"edit": "rest"}}
    with pytest.raises(typer.BadParameter, match="rest takes no value, but '5' follows it"):
        words.changes(["lr", "rest", "5"])


def test_a_schedule_of_the_library_is_a_change() -> None:
    """The kind `schedule`, which is the library's and not the core's, is for the service."""
    expected = {"kind": "schedule", "name": "gpt-lr", "clock": "run"}
    assert words.changes(["lr", "schedule", "name=gpt-lr"], "run") == {"lr": expected}


def test_several_changes_make_one_revision() -> None:
    """Changes of different parameters stand side by side, those of one follow one another (P3)."""
    line = "lr hold 10, lr scale 0.5 , weight_decay 0.05"
    hold, scale = {"edit": "hold", "steps": 10}, {"edit": "scale", "factor": 0.5}
    expected = {"lr": [hold, scale], "weight_decay": {"kind": "constant", "value": 0.05}}
    assert words.changes(shlex.split(line)) == expected


def test_a_parameter_and_its_groups_are_one_word() -> None:
    """``lr/*`` stands where a name does, in an assignment too; the service knows what it means."""
    scale = {"edit": "scale", "factor": 0.5}
    assert words.changes(["lr/*", "scale", "0.5"]) == {"lr/*": scale}
    assert words.changes(["lr/*=0.1"]) == {"lr/*": {"kind": "constant", "value": 0.1}}


def test_the_clock_is_given_to_definitions_that_have_none() -> None:
    """`--clock` fills in where a clock is needed and not said, and nowhere else."""
    line = "a linear start=1, b linear clock=run, c 0.1, d scale 2"
    read = words.changes(shlex.split(line), "change")
    assert [read[name].get("clock") for name in "abcd"] == ["change", "run", None, None]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("linear start", "'start' is not a field"),
        ("linear start=1 start=2", "start is given twice"),
        ("linear then.kind=x then=1", "then is given twice"),
        ("linear start=1 start.x=2", "start is a value"),
        ("start=1 end=2", "comes before a kind"),
        ("@missing.json", "cannot read missing.json: No such file"),
        ("piecewise points=[[1", "not JSON"),
        ('\'{"kind": "constant", "value": NaN}\'', "NaN is not a finite number"),
        ('\'{"kind": "constant", "value": 1e999}\'', "1e999 is not a finite number"),
        ("[1]", "neither a number nor a definition"),
        ("1 , , 2", "a comma has nothing"),
    ],
)
def test_what_cannot_be_read_is_said(line: str, complaint: str) -> None:
    """A word that means nothing is named, not guessed at."""
    with pytest.raises(typer.BadParameter, match=complaint.replace("[", r"\[")):
        words.definitions(shlex.split(line))


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "true1", "10 %"])
def test_what_is_no_number_stays_text(text: str) -> None:
    """Only finite numbers become numbers; the service judges the rest (P10)."""
    assert words.definition(["constant", f"value={text}"])["value"] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("12000", 12000),
        ("1e6", 10**6),
        ("4.3T", 4_300_000_000_000),
        ("2.5k", 2500),
        ("1G", 10**9),
    ],
)
def test_steps_are_whole(text: str, expected: int) -> None:
    """Options take steps as definitions do: in full, with an exponent, or with a unit."""
    assert words.steps(text) == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "0.0001k", "T", "", "x", "1e999999999", "nan"])
def test_steps_that_are_not_whole_are_refused(text: str) -> None:
    """No step is rounded."""
    with pytest.raises(typer.BadParameter, match="not a whole number of steps"):
        words.steps(text)


@pytest.mark.parametrize(
    "text", ["root:x:0:0:secret", '{"secret": nan', '["secret", 1e999]', "[" * 9999]
)
def test_what_a_file_has_in_it_is_not_shown(text: str, tmp_path: Path) -> None:
    """P10: of a file that is no JSON the error says where, and shows nothing of it."""
    file = tmp_path / "file.txt"
    file.write_text(text)
    with pytest.raises(typer.BadParameter) as refused:
        words.definition([f"@{file}"])
    assert "secret" not in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    "edit",
    [
        each
        for each in EDITS.values()
        if each.usage.split()[1][0] != "[" and each.bare != "definition"
    ],
    ids=lambda each: each.name,
)
def test_an_edit_without_its_value_is_told_how_it_is_written(edit: EditRow) -> None:
    """P10: what is missing, and a line that can be typed, in place of a field's name."""
    with pytest.raises(
        typer.BadParameter, match=rf"{edit.name} needs .+, as in:  lr {edit.name} "
    ) as no:
        words.changes(["lr", edit.name])
    example = str(no.value).partition("as in:  ")[2]
    assert edit.bare in words.changes(example.split())["lr"]

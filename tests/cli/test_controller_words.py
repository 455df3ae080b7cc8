"""The words of a controller mean the JSON that the service takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from rheostat.cli import controllers
from rheostat.controllers import parse_controller
from rheostat.controls import CONTROLS

RULE = {"kind": "rule", "metric": "loss", "when": {"op": "<", "value": 1}, "changes": "stop"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "plateau --metric val_loss --factor 0.5 --patience 3 --after 200",
            {
                "kind": "plateau",
                "metric": "val_loss",
                "factor": 0.5,
                "patience": 3,
                "effective": {"after": 200},
            },
        ),
        (
            "plateau metric=loss parameter=lr --parameter wd start=10k gate=epoch",
            {
                "kind": "plateau",
                "metric": "loss",
                "parameters": ["lr", "wd"],
                "start": 10_000,
                "gate": {"every": "epoch"},
            },
        ),
        (
            "plateau metric=1e5 parameters=lr,lr/head gate=2.5k expect=2 reduce=max",
            {
                "kind": "plateau",
                "metric": "1e5",
                "parameters": ["lr", "lr/head"],
                "gate": {"every": 2500},
                "sources": {"expect": 2, "reduce": "max"},
            },
        ),
        (
            "stop --metric loss --reading lightning --check-finite",
            {"kind": "stop", "metric": "loss", "reading": "lightning", "check_finite": True},
        ),
        (
            "guard --metric loss --sigma 6 --for 2 --changes 'lr scale 0.5, wd 0.1'",
            {
                "kind": "guard",
                "metric": "loss",
                "above": {"sigma": 6},
                "for": 2,
                "changes": {
                    "lr": {"edit": "scale", "factor": 0.5},
                    "wd": {"kind": "constant", "value": 0.1},
                },
            },
        ),
        ("rule --metric loss --op '<' --value 1 --changes stop", RULE),
        (
            f"{shlex.quote(json.dumps(RULE))} value=2 --once",
            {**RULE, "when": {"op": "<", "value": 2}, "once": True},
        ),
    ],
)
def test_a_controller_is_written_as_a_kind_and_fields(line: str, expected: Any) -> None:
    """Numbers, lists, changes, and what is an object in JSON are read as they are meant."""
    assert controllers.controller(shlex.split(line)) == expected
    parse_controller(expected)


def test_a_file_holds_a_controller(tmp_path: Path) -> None:
    """`@file` stands for JSON, with fields put over those in it."""
    file = tmp_path / "guard.json"
    written = {"kind": "guard", "metric": "loss", "above": {"mad": 8}, "changes": "stop"}
    file.write_text(json.dumps(written))
    assert controllers.controller([f"@{file}"]) == written
    over = controllers.controller([f"@{file}", "sigma=3", "--after", "10"])
    assert over == {**written, "above": {"sigma": 3}, "effective": {"after": 10}}


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_field_of_a_kind_can_be_said(kind: str) -> None:
    """What the function of a kind takes is a field of the command line, and in its usage."""
    taken = controllers.fields(kind)
    listed = {word.partition("=")[0] for word in controllers.usage(kind)}
    common = {word.partition("=")[0] for word in controllers.common_usage()}
    assert listed | common | {"message"} == set(taken)
    assert not [each for each in controllers.usage(kind) if each.endswith("=VALUE")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plato metric=x", "'plato' is no kind of controller; did you mean plateau"),
        ("plateau", "plateau needs --metric"),
        ("rule metric=x", "rule needs --op and --value and --changes"),
        ("plateau metric=x factr=2", "plateau has no field 'factr'; did you mean factor"),
        ("plateau metric=x patience", "'patience' is not a field"),
        ("plateau metric=x --patience", "--patience needs a value"),
        ("plateau metric=x metric=y", "metric is given twice"),
        ("@/nowhere", "cannot read /nowhere"),
        ("{}", "'{}' is no kind"),
        ("guard metric=x --changes 'lr halve'", "'halve' is neither an edit nor a kind"),
    ],
)
def test_what_is_no_controller_is_refused(line: str, said: str) -> None:
    """P10: a wrong word is named, with what could stand there."""
    with pytest.raises(typer.BadParameter, match=said.replace("(", r"\(")):
        controllers.controller(shlex.split(line))

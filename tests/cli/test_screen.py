"""What others wrote cannot act on a terminal, in any view of it."""

from __future__ import annotations

import json
import re
import shlex
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from rheostat.cli.views.screen import Screen, left, machine_text, wide
from rheostat.visible import visible

HOSTILE = "\x1b[31mred\x1b[0m\r\nfoo\u202e\x9b"
SHOWN = r"\x1b[31mred\x1b[0m\r\nfoo\u202e\x9b"
ACTS = re.compile(r"[^\n\x20-\x7e\xa0-\u200d\u2010-\u2027\u2030-\u2065\u2070-\ud7ff]")
"""What no output of a command has in it: all but printable characters and ends of lines."""


def test_every_character_that_acts_is_visible() -> None:
    """Controls, ends of lines, turns of direction and surrogates are escaped, and nothing else."""
    turns = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        acts = (
            unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}
            or unicodedata.bidirectional(letter) in turns
            or code in {0x061C, 0x200E, 0x200F}
        )
        assert (visible(letter) != letter) is acts, hex(code)


def test_json_keeps_the_text_and_is_safe_to_print() -> None:
    """Machines read exactly what was written, from characters that a terminal only shows."""
    document = {"message": HOSTILE + "\ud800 äß漢👩‍🔬", "n": [0.1, None]}
    printed = machine_text(document)
    assert json.loads(printed) == document
    assert not ACTS.search(printed.replace("👩‍🔬", ""))
    assert "äß漢👩‍🔬" in printed


def test_lines_and_cells_stay_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is one line, and a row one row, whatever they are made of."""
    screen = Screen()
    screen.line((HOSTILE, "bold"), HOSTILE)
    screen.table([left("A"), wide("B")], [(HOSTILE, (HOSTILE, "dim"))])
    screen.pairs(("name", HOSTILE))
    line, _, row, pair = capsys.readouterr().out.splitlines()
    assert line == SHOWN * 2
    assert row.split() == [SHOWN] * 2
    assert pair.split() == ["name", SHOWN]


def test_no_view_of_a_run_lets_text_act(operator: Any, new_name: Callable[[], str]) -> None:
    """A hostile message and label are shown as what they are, and are exact in JSON."""
    name, text = new_name(), shlex.quote(HOSTILE)
    assert (
        operator(
            f"run create {name} lr 1 --label {shlex.quote('of=' + HOSTILE)} --label only={name}"
        ).code
        == 0
    )
    assert operator(f"run change {name} lr 0.5 --at 10 -m {text}").code == 0
    assert operator(f"run finish {name} --end 20").code == 0
    for view in ("history", "show", "plan", "explain 15"):
        command, _, step = view.partition(" ")
        ran = operator(f"run {command} {name} {step}")
        assert SHOWN in ran.out, view
        assert not ACTS.search(ran.out), view
    [listed] = [
        row for row in operator(f"run list -l only={name}").out.splitlines() if row.startswith(name)
    ]
    assert f"of={SHOWN}" in listed
    watched = operator(f"run watch {name} --after 0").out
    assert r"– \x1b[31mred\x1b[0m foo\u202e" in watched
    assert not ACTS.search(watched)
    printed = operator(f"run history {name} --json")
    assert printed.json[1]["message"] == HOSTILE
    assert not ACTS.search(printed.out)


def test_no_refusal_lets_text_act(operator: Any) -> None:
    """What an error repeats is shown as what it is."""
    ran = operator(f"run show {shlex.quote(HOSTILE)} --json")
    assert ran.code == 1
    assert not ACTS.search(ran.out + ran.err)

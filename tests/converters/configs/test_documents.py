"""Texts of configuration files: read as data, or refused; never executed, and in bounded time."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheostat.converters.configs.documents import SYNTAXES, document
from rheostat.converters.configs.flags import Flags
from rheostat.errors import Invalid
from rheostat.limits import MAX_CONFIG

RUN = {"lr": 1e-4, "steps": 100, "cosine": True, "optim": {"name": "adam", "betas": [0.9, 0.95]}}
WRITTEN = {
    "run.json": json.dumps(RUN),
    "run.toml": "lr = 1e-4\nsteps = 100\ncosine = true\n"
    '[optim]\nname = "adam"\nbetas = [0.9, 0.95]\n',
    "run.yaml": "lr: 1e-4\nsteps: 100\ncosine: yes\noptim:\n  name: adam\n  betas: [0.9, 0.95]\n",
    "run.py": "lr = 1e-4\nsteps = 100\ncosine = True\n"
    "optim = dict(name='adam', betas=(0.9, 0.95))\n",
}


def refusal(text: Any, name: str | None = None) -> str:
    """Return why a text is refused."""
    with pytest.raises(Invalid) as caught:
        document(text, name=name)
    (error,) = caught.value.errors
    assert error.field.startswith("config")
    assert error.bound
    return error.message


@pytest.mark.parametrize("name", WRITTEN)
def test_every_syntax_has_the_same_data(name: str) -> None:
    """The same run is read from each syntax, whether the file's name tells it or not."""
    assert document(WRITTEN[name], name=name) == RUN
    assert document(WRITTEN[name], name=f"dir/{name.upper()}") == RUN
    assert document(WRITTEN[name]) == RUN
    assert document("\ufeff" + WRITTEN[name].replace("\n", "\r\n"), name=name) == RUN


def test_data_and_words_are_taken_as_they_are() -> None:
    """What is data already stays so, and a list of words is a command line."""
    assert document(RUN) is RUN
    flags = document(["train.py", "--lr", "1e-4", "--betas", "0.9", "-1", "--fp16", "--wd=0"])
    assert isinstance(flags, Flags)
    assert flags == {"lr": "1e-4", "betas": ["0.9", "-1"], "fp16": True, "wd": "0"}
    assert "has no flags" in refusal(["train.py"])
    wrongs: tuple[Any, ...] = (5, None, [1], [{}])
    for wrong in wrongs:
        assert "must be an object" in refusal(wrong)


def test_a_text_of_no_syntax_says_what_was_tried() -> None:
    """Each syntax is tried in its order, and says why it is not this one."""
    for text in ("", "# nothing\n", "hello", "lr: [1"):
        message = refusal(text)
        places = [message.index(f"no {syntax.name}") for syntax in SYNTAXES]
        assert places == sorted(places)
    for name in WRITTEN:
        assert refusal("} = {", name).count("; ") == 0


def test_numbers_of_yaml_are_those_that_were_meant() -> None:
    """1e-4 is a number, as in YAML 1.2; what else is plain is what PyYAML's safe loader has."""
    text = "a: 1e-4\nb: 1E5\nc: .5e+1\nd: '1e-4'\ne: 0x10\nf: off\ng: ~\nh: -1e-3x\ni: +2.e3\n"
    assert document(text, name="x.yaml") == {
        "a": 1e-4,
        "b": 1e5,
        "c": 5.0,
        "d": "1e-4",
        "e": 16,
        "f": False,
        "g": None,
        "h": "-1e-3x",
        "i": 2000.0,
    }
    odd = document("a: .inf\nb: .nan\nc: 2024-01-01\nd: 2024-01-01 10:00:00\n1: on\non: x\n")
    assert odd["a"] == math.inf
    assert math.isnan(odd["b"])
    assert (odd["c"], odd["d"]) == ("2024-01-01", "2024-01-01 10:00:00")
    assert (odd["1"], odd["on"]) == (True, "x")


def test_dates_of_toml_are_text() -> None:
    """A date of TOML is no object of Python's, however deep it stands."""
    text = "a = 2024-01-01\n[b]\nc = [{d = 2024-01-01T10:00:00}, 10:00:00]\n"
    dated = {"a": "2024-01-01", "b": {"c": [{"d": "2024-01-01T10:00:00"}, "10:00:00"]}}
    assert document(text, name="x.toml") == dated


def test_anchors_and_merges() -> None:
    """An alias is its anchor's value; keys of one's own come before what is merged."""
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{x: 4}, *a]}\nd: *a\n"
    found = document(text, name="x.yml")
    assert (found["b"], found["c"], found["d"]) == ({"x": 1, "y": 3}, {"x": 4, "y": 2}, found["a"])


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("x.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", "line 4"),
        ("x.yaml", "a: &x {c: 1}\nb: {<<: *x, d: 1, d: 2}\n", "line 2"),
        ("x.json", '{"a": {"c": 1,\n"c": 2}}', "c twice"),
        ("x.toml", "a = 1\na = 2\n", "line 2"),
        ("x.py", "a = 1\nb = dict(c=1, c=2)\n", "line 2"),
        ("x.py", "a = 1\nb = {'c': 1, 'c': 2}\n", "line 2"),
        ("x.py", "a = dict(c=1)\nb = dict(c=2, **a)\n", "line 2"),
    ],
)
def test_a_key_stands_once(name: str, text: str, line: str) -> None:
    """Of two keys of one name one would be lost: they are refused, by their line where known."""
    assert line in refusal(text, name)
    assert line in refusal(text)


def test_python_is_read_as_literals() -> None:
    """Names, sums, products and texts of what was assigned before are filled in."""
    text = (
        '"""Says what it is."""\nepochs: int = 300\nbase = last = 4e-3\n'
        "schedule = [dict(begin=epochs // 2, eta_min=base * 0.05, T_max=epochs - 150)]\n"
        "root = 'data/'\nfile = root + 'x.json'\nname = f'{root}{epochs}'\n"
        "more = dict(schedule[0]) if False else 1\n"
    )
    assert "line 8" in refusal(text, "x.py")
    found = document(text.rpartition("more")[0], name="x.py")
    assert found["schedule"] == [{"begin": 150, "eta_min": 4e-3 * 0.05, "T_max": 150}]
    assert (found["file"], found["name"], found["last"]) == ("data/x.json", "data/300", 4e-3)
    unpacked = document("a = dict(x=1, y=2)\nb = dict(a, y=3)\nc = [*[1], -2]\nd = {**a, 'x': 5}\n")
    assert (unpacked["b"], unpacked["c"]) == ({"x": 1, "y": 3}, [1, -2])
    assert unpacked["d"] == {"x": 5, "y": 2}


EXECUTED = [
    *("from os import *", "x = open('marker', 'w')", "x = __import__('os')"),
    *("x = [i for i in (1,)]", "x = (lambda: 1)()", "del lr", "lr += 1", "x, y = 1, 2"),
    *("lr.x = 1", "if lr: x = 1", "def f(): pass", "x = lr if lr else 2", "x = not lr"),
    *("x = 'a' * 9", "x = [1] * 9", "x = lr ** 9", "x = 'a' % 1", "x = f'{lr!r}'", "x = unknown"),
    *("x = f'{open}'", "x = dict(1)", "x = dict([('a', 1)])", "x = (y := 1)", "x = lr.real"),
    *("x = b'a'", "x = 1j", "x = ...", "x = {1, 2}", "x = True + 1", "exec('x = 1')", "x = lr[0]"),
    *("x: int", "x = 1 / 0", "x = 1e300 * 1e300", "x = {(1, 2): 3}", "x = [*lr]"),
]


@pytest.mark.parametrize("statement", EXECUTED)
def test_nothing_is_executed(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a Python file would have to be run for is refused by its line."""
    monkeypatch.chdir(tmp_path)
    assert "line 2" in refusal(f"lr = 1\n{statement}\n", "x.py")
    refusal(f"lr = 1\n{statement}\n")
    assert not any(tmp_path.iterdir())


def test_a_member_of_what_was_assigned_is_a_value() -> None:
    """A place in a list and a key of an object are read; what is not there is refused."""
    found = document("size = (640, 480)\nx = dict(a=-size[0] // 2)\ny = x['a']\n", name="x.py")
    assert (found["x"], found["y"]) == ({"a": -320}, -320)
    for statement in ("x = lr[3]", "x = lr['a']", "x = [1][True]", "x = {'a': 1}['b']"):
        assert "line 2" in refusal(f"lr = [1]\n{statement}\n", "x.py")


def test_what_a_file_inherits_is_named() -> None:
    """A file of MMEngine that inherits is read, with the names of the files that are not."""
    found = document("_base_ = ['./schedule.py']\nlr = 1\n", name="x.py")
    assert found == {"_base_": ["./schedule.py"], "lr": 1}
    assert "line 1" in refusal("lr = _base_.lr\n", "x.py")


def test_what_is_imported_stands_for_its_path_and_for_no_value() -> None:
    """A class is known by its path; a number from another file is not known, and is refused."""
    head = (
        "import torch.optim\nfrom mmengine.optim import LinearLR as Line, SGD\nfrom .x import lr\n"
    )
    text = f"{head}a = dict(type=Line)\nb = torch.optim.AdamW\nSGD = 3\n"
    assert document(text, name="x.py") == {
        "lr": ".x.lr",
        "a": {"type": "mmengine.optim.LinearLR"},
        "b": "torch.optim.AdamW",
        "SGD": 3,
    }
    for statement in (
        "x = lr + 'a'",
        "x = f'{lr}'",
        "x = lr * 2",
        "x = -lr",
        "x = lr[0]",
        "x = lr()",
    ):
        assert "line 4" in refusal(f"{head}{statement}\n", "x.py")


def test_base_files_that_are_imported_are_named() -> None:
    """`with read_base()` names files as `_base_` does; what they set is not known."""
    text = (
        "from mmengine.config import read_base\n\nwith read_base():\n"
        "    from .._base_.models import *\n    from .._base_.runtime import lr, x as y\n\nz = 1\n"
    )
    bases = [".._base_.models", ".._base_.runtime"]
    found = document(text, name="x.py")
    assert found == {"_base_": bases, "z": 1}
    assert "line 8" in refusal(f"{text}q = lr\n", "x.py")
    assert "line 8" in refusal(f"{text}model.update(dict(lr=1))\n", "x.py")
    assert "z may be assigned again there" in refusal(
        f"{text}with read_base():\n    from .w import *\n", "x.py"
    )
    assert "line 2" in refusal("with read_base():\n    lr = 1\n", "x.py")
    assert "line 1" in refusal("with open('x'):\n    from .w import *\n", "x.py")


TAGGED = {
    "a: !!float 1e7": 1e7,
    "a: !!float 2": 2.0,
    "a: !!int '12'": 12,
    "a: !!str 1e-4": "1e-4",
    "a: !!null ''": None,
    "a: !!bool yes": True,
    "a: !PiecewiseDecay {gamma: 0.1}": {"!PiecewiseDecay": {"gamma": 0.1}},
    "a: !BatchRandomResize\n": {"!BatchRandomResize": ""},
    "a: !Sizes [1, 2]": {"!Sizes": [1, 2]},
}


@pytest.mark.parametrize("text", TAGGED)
def test_tags_are_data(text: str) -> None:
    """A tag of YAML makes the number that it says, and a project's own one is the name of a key."""
    (value,) = dict(document(text, name="x.yaml")).values()
    assert value == TAGGED[text]
    assert type(value) is type(TAGGED[text])


LAUGHS = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
HOSTILE = {
    "a text that is too long": ("x.yaml", "a: 1\n#" + MAX_CONFIG * "x"),
    "a billion laughs": ("x.yaml", LAUGHS),
    "a billion merges": ("x.yaml", "a: &a {b: 1}\n" + "c: {<<: [" + 60_000 * "*a," + "]}\n"),
    "an alias within its anchor": ("x.yaml", "a: &a [*a]\n"),
    "an alias without an anchor": ("x.yaml", "a: *b\n"),
    "a tag of Python": ("x.yaml", "a: !!python/object/apply:os.system ['touch marker']\n"),
    "a tag of YAML that does not fit": ("x.yaml", "a: !!float one\n"),
    "a tag of a key": ("x.yaml", "!!str a: 1\n"),
    "two documents": ("x.yaml", "a: 1\n---\nb: 2\n"),
    "a key that is a list": ("x.yaml", "? [1]\n: 2\n"),
    "a key that is an alias": ("x.yaml", "a: &a b\n*a : 2\n"),
    "a merge of text": ("x.yaml", "a: {<<: b}\n"),
    "deep lists of YAML": ("x.yaml", "a: " + 100_000 * "["),
    "deep objects of YAML": ("x.yaml", 100_000 * "{a: "),
    "deep blocks of YAML": ("x.yaml", 100_000 * "- " + "a"),
    "many values of YAML": ("x.yaml", "a: [" + 100_001 * "1," + "]"),
    "a list alone": ("x.yaml", "- a: 1\n"),
    "text alone": ("x.yaml", "lr 1e-4\n"),
    "deep lists of JSON": ("x.json", '{"a": ' + 100_000 * "["),
    "deep objects of JSON": ("x.json", 40_000 * '{"a":' + "1" + 40_000 * "}"),
    "long numbers of JSON": ("x.json", '{"a": ' + 200_000 * "9" + "}"),
    "large numbers of YAML": ("x.yaml", "a: 0x" + 390 * "f" + "\n"),
    "half a surrogate": ("x.yaml", "a: \ud800\n"),
    "deep lists of TOML": ("x.toml", "a = " + 100_000 * "["),
    "deep keys of TOML": ("x.toml", "a" + 100 * ".a" + " = 1"),
    "deeper keys of TOML": ("x.toml", "a" + 120_000 * ".a" + " = 1"),
    "many deep keys of TOML": ("x.toml", "".join(f"k{i}{98 * '.a'} = 1\n" for i in range(300))),
    "a null": ("x.toml", "a = 1\0"),
    "deep lists of Python": ("x.py", "a = " + 100 * "[" + 100 * "]"),
    "deeper lists of Python": ("x.py", "a = " + 100_000 * "["),
    "many signs": ("x.py", "a = " + 200_000 * "-" + "1"),
    "many negations": ("x.py", "a = " + 60_000 * "not " + "1"),
    "a long sum": ("x.py", "a = " + 120_000 * "1+" + "1"),
    "a long chain": ("x.py", "a = a" + 120_000 * ".a"),
    "many alternatives": ("x.py", "if 1:\n a=1\n" + 15_000 * "elif 1:\n a=1\n"),
    "text that doubles": ("x.py", "a = 'xxxxxxxx'\n" + 40 * "a = a + a\n"),
    "numbers that double": ("x.py", "a = 9999999999\n" + 40 * "a = a * a\n"),
    "lists that double": ("x.py", "a = [1, 1]\n" + 40 * "a = [*a, *a]\n"),
    "lists of lists that double": ("x.py", "a = [1, 1]\n" + 30 * "a = [a, a]\n"),
    "variables that double": ("x.sh", "A='x x'\n" + 40 * 'A="$A $A"\n' + "run --lr $A\n"),
    "arrays that double": ("x.sh", "A=(x x)\n" + 40 * 'A+=("${A[@]}")\n' + 'run --lr "${A[@]}"'),
    "scripts in scripts": ("x.sh", 'A=\'sh -c "$A"\'\nsh -c "$A" --lr 1'),
    "an open quote": ("x.sh", "run --lr 'a\n"),
    "an open array": ("x.sh", "A=( --lr 1\n"),
    "an open substitution": ("x.sh", "run --lr " + 60_000 * "$("),
    "many open braces": ("x.sh", "run --lr " + 60_000 * "${a:-"),
    "no flags": ("x.sh", "echo --lr 1\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: whatever a text holds, it is refused with a reason, and has done nothing."""
    monkeypatch.chdir(tmp_path)
    name, text = HOSTILE[case]
    assert refusal(text, name)
    assert refusal(text)
    assert not any(tmp_path.iterdir())


def test_a_limit_can_be_reached() -> None:
    """A text of just the length that is allowed is read."""
    text = "a: 1\n#"
    assert document(text + (MAX_CONFIG - len(text)) * "x", name="x.yaml") == {"a": 1}


def test_yaml_is_the_same_without_its_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML came without libyaml, its reader in Python gives the same."""
    import yaml

    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert document(WRITTEN["run.yaml"], name="run.yaml") == RUN
    slow = {"many values of YAML", "a text that is too long"}
    for case, (name, text) in HOSTILE.items():
        if name == "x.yaml" and case not in slow:
            assert refusal(text, name)


SCRIPT = """A=(--lr ${LR:-1} --x "$(y)") # z
case $1 in a|b) B=2;; esac
f() { if [[ a ]]; then A+=('c' `d`); fi; }
cat <<END > e
--lr 3
END
run "${A[@]}" --steps=$((1 + 1)) 2>&1 | tee <(g)
"""
PIECES = [
    *("'", '"', "`", "$", "(", ")", "{", "}", "[", "]", "<", ">", "|", "&", ";", "#", "\\", "\n"),
    *("=", ":", ",", "-", "*", "!", "$(", "${", "<<END\n", "((", "[[", "if ", "fi\n", "esac\n"),
    *(
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "'''",
        "dict(",
        "\0",
        "\ud800",
        "A=(",
        "A+=(",
        "--lr 1 ",
        "case x",
    ),
]


@settings(max_examples=300, deadline=None)
@given(
    whole=st.sampled_from([*WRITTEN.items(), ("run.sh", SCRIPT)]),
    places=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(PIECES), st.integers(0, 4))),
    named=st.booleans(),
)
def test_whatever_is_damaged_is_read_or_refused(
    whole: tuple[str, str], places: list[tuple[float, str, int]], *, named: bool
) -> None:
    """P10: a text with anything in it, or without a part, is read as data or refused."""
    name, text = whole
    for place, piece, lost in places:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + lost :]
    with suppress(Invalid):
        assert isinstance(document(text, name=name if named else None), dict)

"""How people write configuration files: YAML, TOML, JSON, literals of Python, scripts."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from random import Random
from typing import Any

import yaml


def as_yaml(rng: Random, data: Mapping[str, Any]) -> str:
    """Write YAML, in blocks or partly in braces, with a comment and exponents as people do."""
    flow = rng.choice((None, False))
    text: str = yaml.safe_dump(dict(data), default_flow_style=flow, sort_keys=False)
    return f"# {rng.choice(('a run', 'lr: 1', 'see the paper'))}\n{text}"


def as_json(rng: Random, data: Mapping[str, Any]) -> str:
    """Write JSON, on one line or indented."""
    return json.dumps(data, indent=rng.choice((None, 2)))


def as_toml(rng: Random, data: Mapping[str, Any]) -> str:
    """Write TOML: what is no table first, then tables, whose names may have dots."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in data.items() if not _table(value)]
    for key, value in data.items():
        if _table(value):
            lines += [f"\n[{key}]", *_body(key, value)]
    return "\n".join(lines) + rng.choice(("", "\n", "  # the end\n"))


def as_python(rng: Random, data: Mapping[str, Any]) -> str:
    """Write assignments of literals, with `dict(…)` as OpenMMLab does, or with braces."""
    write = rng.choice((repr, _called))
    return "".join(f"{name} = {write(value)}\n" for name, value in data.items())


def as_script(rng: Random, command: str, flags: Mapping[str, Any]) -> str:
    """Write a shell script: one line, lines that go on, or an array of arguments."""
    words = flag_words(flags, equals=rng.random() < 0.3)
    form = rng.choice(("line", "lines", "array", "variable"))
    if form == "array":
        return (
            "#!/bin/bash\nARGS=(\n    " + "\n    ".join(words) + f'\n)\n{command} "${{ARGS[@]}}"\n'
        )
    if form == "variable":
        return f'#!/bin/bash\nset -e\nOPTIONS="{" ".join(words)}"\n{command} $OPTIONS\n'
    between = " " if form == "line" else " \\\n  "
    return between.join([command, *words]) + "\n"


def flag_words(flags: Mapping[str, Any], *, equals: bool = False) -> list[str]:
    """Return flags as they are typed: one without a value for True, and none for False or None."""
    found = []
    for name, value in flags.items():
        if value is True:
            found.append(f"--{name}")
        elif isinstance(value, (list, tuple)):
            found.append(" ".join([f"--{name}", *map(shlex.quote, map(str, value))]))
        elif value is not None and value is not False:
            found.append(f"--{name}{'=' if equals else ' '}{shlex.quote(str(value))}")
    return found


def words_of(script: str, program: str) -> list[str]:
    """Return the words after a program's name that a script, run by bash itself, hands on."""
    caught = "".join(
        f'{command}() {{ printf "%s\\0" "$@"; }}\n'
        for command in ("python", "torchrun", "accelerate", "deepspeed")
    )
    ran = subprocess.run(
        ["bash", "-c", caught + script],  # noqa: S607  # the one of the user
        capture_output=True,
        text=True,
        check=True,
    )
    words = ran.stdout.split("\0")[:-1]
    return words[words.index(program) + 1 :]


def _table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _body(path: str, table: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table, and the tables within it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not _table(value)]
    for key, value in table.items():
        if _table(value):
            lines += [f"\n[{path}.{key}]", *_body(f"{path}.{key}", value)]
    return lines


def _called(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"dict({', '.join(f'{name}={_called(one)}' for name, one in value.items())})"
    if isinstance(value, list):
        return f"[{', '.join(map(_called, value))}]"
    return repr(value)

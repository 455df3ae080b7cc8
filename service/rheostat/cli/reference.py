"""
The reference of the command line, made from what ``--help`` says.

``python -m rheostat.cli.reference docs/cli.md`` writes it; a test fails when it is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from rheostat.cli import controllers, words
from rheostat.cli.app import complete

WIDTH = 88
HEAD = """\
# The command line

`pip install ".[server]"` in a clone brings it, and `make serve` as `.venv/bin/rheostat`. This
page is made from `--help`.

## Definitions and changes in words

A definition is a kind and its fields: `cosine start=1e-3 end=1e-5 steps=10000`. A number alone is a
constant. `@lr.json` reads a file, `-` standard input; fields behind it replace those in it. Commas
separate several: `lr scale 0.5, weight_decay 0.05` is one revision of two parameters.

```
{grammar}
```

## Controllers in words

A controller is a kind and its fields, which `rheostat run arm --help` lists. Fields behind a file
replace those in it: `rheostat run arm gpt @plateau.json --patience 5`.

```
{controllers}
```

## Output and exit codes

Text, tables and charts are for people: in colour on a terminal, plain in a pipe. With `--json`
standard output holds exactly one JSON document: the answer, or the problem if there was one. What
went wrong is said on standard error, in words, with or without `--json`.

| code | meaning |
|---|---|
| 0 | it worked |
| 1 | refused, or failed: standard error says which field, value and bound |
| 2 | the command line cannot be read |
| 3 | the service cannot be reached, or cannot answer now: try again; or `--wait` took too long |
| 4 | what `--wait` waited for will not come: it was taken back, dropped, or all ended before it |
| 130 | interrupted by Ctrl-C |

## Commands
"""


def reference() -> str:
    """Return the page."""
    grammar = "\n".join(_indented(words.__doc__ or ""))
    rules = "\n".join(_indented(controllers.__doc__ or ""))
    return HEAD.format(grammar=grammar, controllers=rules) + "".join(_commands(()))


def _indented(text: str) -> Iterator[str]:
    """Yield the indented lines of a docstring: its literal block."""
    block = [line[4:] for line in text.splitlines() if line.startswith("    ") or not line]
    yield from "\n".join(block).strip("\n").splitlines()


def _commands(path: tuple[str, ...]) -> Iterator[str]:
    text = _help(path)
    yield f"\n### `{' '.join(('rheostat', *path))}`\n\n```\n{text}```\n"
    for name in _names(text):
        yield from _commands((*path, name))


def _help(path: tuple[str, ...]) -> str:
    runner = CliRunner()
    asked = [*path, "--help"]
    return runner.invoke(complete(), asked, prog_name="rheostat", terminal_width=WIDTH).stdout


def _names(text: str) -> Iterator[str]:
    """Yield the commands that a help text lists."""
    _, _, listed = text.partition("\nCommands:\n")
    for line in listed.splitlines():
        if not line.startswith("  "):
            return
        yield line.split()[0]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())

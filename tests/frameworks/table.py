"""
Makes the table of docs/frameworks.md from the test modules of this folder.

usage: python -m tests.frameworks.table docs/frameworks.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.frameworks.cells import CELLS, Framework, framework_of, modules

BEGIN = "<!-- made by `python -m tests.frameworks.table docs/frameworks.md` -->"
END = "<!-- end -->"


def table() -> str:
    """Return the table, and what it says below of cells that cannot be there."""
    heads = ["framework", "version", "lines", *CELLS.values()]
    lines = [row(heads), row(["---"] * len(heads))]
    reasons: list[str] = []
    for module in modules():
        lines += list(rows(module, reasons))
    below = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, *([""] if below else []), *below])


def rows(module: ModuleType, reasons: list[str]) -> Iterator[str]:
    """Yield a row for each version of a framework; add to the reasons why a cell is missing."""
    framework = framework_of(module)
    cells = [cell(module, name, reasons) for name in CELLS]
    for version in dict.fromkeys((framework.newest, framework.oldest)):
        yield row([heading(framework), version, str(framework.lines), *cells])


def cell(module: ModuleType, name: str, reasons: list[str]) -> str:
    """Return what stands in a cell: a mark that leads to its test, or the number of a reason."""
    framework = framework_of(module)
    if name in framework.missing:
        reasons.append(f"{framework.name}, {CELLS[name]}: {framework.missing[name]}")
        return f"– ({len(reasons)})"
    file = module.__name__.rpartition(".")[2]
    return f"[✓](../tests/frameworks/{file}.py)"


def heading(framework: Framework) -> str:
    """Return the framework's name, leading to its section."""
    anchor = "".join(c for c in framework.name.lower() if c.isalnum() or c in " -_")
    return f"[{framework.name}](#{anchor.replace(' ', '-')})"


def row(texts: list[str]) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(texts)} |"


def with_table(page: str) -> str:
    """Return the page with the table in its place."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"the page has no {BEGIN}"
    assert end, f"the page has no {END} after it"
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main(path: str) -> None:
    """Write the page."""
    page = Path(path)
    page.write_text(with_table(page.read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])

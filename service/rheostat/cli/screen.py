"""What people see: lines, tables and charts, in colour on a terminal and plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rheostat.cli.chart import Mark, Piece, Series, chart

INKS = ("cyan", "magenta", "yellow", "green", "blue", "red")
STYLES = {"axis": "dim", "label": "", "mark": "yellow", "": ""}
UNBOUNDED = 10_000
"""Width of a table in a pipe: whatever reads it wants whole lines."""

Cell = str | Text


def left(header: str) -> Column:
    """Return a column of words that are never broken."""
    return Column(header, no_wrap=True)


def right(header: str) -> Column:
    """Return a column of numbers."""
    return Column(header, justify="right", no_wrap=True)


def wide(header: str) -> Column:
    """Return a column of text that is folded where the terminal is too narrow."""
    return Column(header, overflow="fold")


class Screen:
    """Standard output, for people."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, emoji=False, markup=False)

    @property
    def width(self) -> int:
        """How many characters a chart may be wide."""
        return max(self.console.width, 40)

    def line(self, *pieces: str | Piece) -> None:
        """Print pieces of text, each plain or with a style, as one line."""
        self.console.print(Text.assemble(*pieces), soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table without lines: a header, and columns two spaces apart."""
        table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        if self.console.is_terminal:
            self.console.print(table)
        else:
            print(_plain(table))

    def pairs(self, *pairs: tuple[str, Cell]) -> None:
        """Print names with their values, aligned."""
        grid = Table.grid(Column(style="bold", no_wrap=True), wide(""), padding=(0, 2, 0, 0))
        for name, value in pairs:
            grid.add_row(name, value if isinstance(value, Text) else Text(value))
        if self.console.is_terminal:
            self.console.print(grid)
        else:
            print(_plain(grid))

    def chart(
        self,
        curves: Sequence[Series],
        *,
        height: int = 12,
        marks: Sequence[Mark] = (),
        log: bool = False,
        first_ink: int = 0,
    ) -> None:
        """Print curves on common axes; ``first_ink`` is the colour of the first."""
        rows = chart(curves, width=self.width, height=height, marks=marks, log=log)
        for row in rows:
            self.line(*((piece, _style(style, first_ink)) for piece, style in row))


def _style(style: str, first_ink: int) -> str:
    if style.startswith("line "):
        return INKS[(first_ink + int(style[5:])) % len(INKS)]
    return STYLES[style]


def _plain(table: Table) -> str:
    buffer = StringIO()
    Console(file=buffer, width=UNBOUNDED, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

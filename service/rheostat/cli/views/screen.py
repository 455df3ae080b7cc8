"""
What people see: lines, tables and charts, in colour on a terminal and plain in a pipe.

Names, messages and whatever else others wrote go through `visible`, or through `machine_text`, so
that nothing of it can move the cursor, colour or hide text, or pass for a line of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.cli.views.chart import Segment, Series, VerticalLine, chart
from rheostat.visible import UNSEEN, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

INKS = ("cyan", "magenta", "yellow", "green", "blue", "red")
STYLES = {"axis": "dim", "label": "", "mark": "yellow", "": ""}
UNBOUNDED = 10_000
"""Width of a table in a pipe: whatever reads it wants whole lines."""

Cell = str | Segment


class Column(NamedTuple):
    """A column of a table, with what rich is told of it."""

    header: str
    style: dict[str, Any]


def left(header: str) -> Column:
    """Return a column of words that are never broken."""
    return Column(header, {"no_wrap": True})


def right(header: str) -> Column:
    """Return a column of numbers."""
    return Column(header, {"no_wrap": True, "justify": "right"})


def wide(header: str) -> Column:
    """Return a column of text that is folded where the terminal is too narrow."""
    return Column(header, {"overflow": "fold"})


def machine_text(document: Any) -> str:
    """Return a document as one line of JSON; what cannot be seen is escaped as JSON does."""
    written = json.dumps(document, ensure_ascii=False)
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


class Screen:
    """Standard output, or standard error, for people."""

    def __init__(self, *, error: bool = False) -> None:
        from rich.console import Console  # `--help` needs no rich

        self._console = Console(stderr=error, highlight=False, emoji=False, markup=False)

    @property
    def width(self) -> int:
        """How many characters a chart may be wide."""
        return max(self._console.width, 40)

    @property
    def height(self) -> int:
        """How many rows can be seen at once."""
        return self._console.height

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it."""
        return self._console.is_terminal

    def line(self, *pieces: Cell) -> None:
        """Print pieces of text, each plain or with a style, as one line."""
        self._console.print(assembled(*pieces), soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table without lines: a header, and columns two spaces apart."""
        self._print_table(_table(columns, rows, show_header=True))

    def pairs(self, *pairs: tuple[str, Cell]) -> None:
        """Print names with their values, aligned."""
        rows = (((name, "bold"), value) for name, value in pairs)
        self._print_table(_table([left(""), wide("")], rows, show_header=False))

    def chart(
        self,
        curves: Sequence[Series],
        *,
        height: int = 12,
        marks: Sequence[VerticalLine] = (),
        log: bool = False,
        first_ink: int = 0,
        span: tuple[float, float] | None = None,
        margin: int = 0,
    ) -> None:
        """Print curves on common axes; ``first_ink`` is the colour of the first."""
        width = self.width
        for row in chart(
            curves, width=width, height=height, marks=marks, log=log, span=span, margin=margin
        ):
            self.line(*((piece, _style(style, first_ink)) for piece, style in row))

    @contextmanager
    def status(self) -> Iterator[Callable[[str], None]]:
        """Yield what says on one line, drawn over, how far something is; in a pipe it is silent."""
        if not self._console.is_terminal:
            yield lambda _text: None
            return
        with self._console.status("") as shown:
            yield lambda text: shown.update(assembled(text))

    @contextmanager
    def frames(self) -> Iterator[Callable[[Callable[[Screen], None]], None]]:
        """
        Yield what draws one picture after the other over the whole terminal.

        The last one stays when it is over, below what was there before.
        """
        from rich.live import Live

        frame = Frame(self._console)
        try:
            with Live(console=self._console, screen=True, auto_refresh=False) as live:

                def show(draw: Callable[[Screen], None]) -> None:
                    frame.parts.clear()
                    draw(frame)
                    live.update(frame.picture(), refresh=True)

                yield show
        finally:
            for part in frame.parts:
                self._console.print(part)

    def _print_table(self, table: Table) -> None:
        if self._console.is_terminal:
            self._console.print(table)
        else:
            print(_plain(table), file=self._console.file)


class Frame(Screen):
    """A screen that gathers what is drawn, for one picture."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.parts: list[Any] = []

    def picture(self) -> Any:
        """Return what was drawn, as rich takes it."""
        from rich.console import Group

        return Group(*self.parts)

    def line(self, *pieces: Cell) -> None:
        """Gather a line; one that is too long is folded."""
        self.parts.append(assembled(*pieces))

    def _print_table(self, table: Table) -> None:
        self.parts.append(table)


def assembled(*pieces: Cell) -> Text:
    """Return pieces of text as rich takes them, in which nothing acts on a terminal."""
    from rich.text import Text

    return Text.assemble(*map(_visible, pieces))


def _table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, show_header: bool
) -> Table:
    from rich.table import Table

    plain: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)}
    table = Table(**plain, show_header=show_header, header_style="bold")
    for column in columns:
        table.add_column(column.header, **column.style)
    for row in rows:
        table.add_row(*map(assembled, row))
    return table


def _visible(piece: Cell) -> Cell:
    return visible(piece) if isinstance(piece, str) else (visible(piece[0]), piece[1])


def _style(style: str, first_ink: int) -> str:
    if style.startswith("line "):
        return INKS[(first_ink + int(style[5:])) % len(INKS)]
    return STYLES[style]


def _plain(table: Table) -> str:
    from io import StringIO

    from rich.console import Console

    buffer = StringIO()
    Console(file=buffer, width=UNBOUNDED, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

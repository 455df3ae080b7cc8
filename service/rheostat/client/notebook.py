"""
What a notebook shows of a client, a run and a plan: a line of text, a table, a picture.

A picture is drawn by the service, which knows what is planned; nothing is drawn or logged here.
Showing something never raises: where the service is away, what is known is shown.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from rheostat.client.answers import Answer, Broken
from rheostat.client.calls import get, invalid
from rheostat.errors import RheostatError

KINDS = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
"""Formats of pictures that the service draws, by the ending of a file."""
LISTED = 20
"""Runs that a client shows of itself."""
STYLE = "font-family: system-ui, sans-serif; font-size: 13px; color: inherit"


class Picture(NamedTuple):
    """A picture, which a notebook shows where it is the value of a cell."""

    kind: str
    """Its media type."""
    data: bytes

    def save(self, path: str | PathLike[str]) -> None:
        """
        Write it into a file.

        Raises:
            Invalid: The file's name ends as that of another format: ask `AsyncControl.plot` for it.
            OSError: It cannot be written.

        """
        if KINDS[format_of(path)] != self.kind:
            raise invalid("path", str(path), f"one for {self.kind}")
        Path(path).write_bytes(self.data)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        text = self.kind == KINDS["svg"]
        return {
            self.kind: self.data.decode(errors="replace")
            if text
            else base64.b64encode(self.data).decode(),
            "text/plain": repr(self),
        }

    def _repr_svg_(self) -> str | None:
        return self.data.decode(errors="replace") if self.kind == KINDS["svg"] else None

    def __repr__(self) -> str:
        return f"<picture, {self.kind}, {len(self.data):,} bytes>"


def format_of(path: str | PathLike[str] | None) -> str:
    """Return the format of a picture's file; raise `Invalid` if no picture is called so."""
    ending = "svg" if path is None else fspath(path).rpartition(".")[2].lower()
    if ending not in KINDS:
        raise invalid(
            "path", str(path), "a file that ends in " + " or ".join(f".{k}" for k in KINDS)
        )
    return ending


def picture_of(answer: Answer) -> Picture:
    """Return the picture that answers; raise `Broken` if it is none."""
    if answer.kind not in KINDS.values() or answer.over:
        raise Broken(f"expected a picture, got {answer}", answer.status)
    return Picture(answer.kind, answer.body)


class Planned(dict[str, Any]):
    """A plan, as a dictionary, of which a notebook shows a table of its revisions."""

    def _repr_html_(self) -> str:
        try:
            head = f"plan of {self['name']}, settled until {self['settled_until']:,}"
            rows = [
                (f"{r['from']:,}", str(r["revision"]), str(r["author"] or ""), str(r["message"]))
                for r in self["revisions"][-LISTED:]
            ]
            curves = [
                (name, f"{len(values):,} points", f"{min(values):.6g}", f"{max(values):.6g}")
                for name, values in self["parameters"].items()
            ]
        except (LookupError, TypeError, ValueError):
            return f"<pre>{escape(repr(dict(self))[:2000])}</pre>"
        return _block(
            head,
            _table(("parameter", "", "least", "greatest"), curves)
            + _table(("from", "revision", "by", "message"), rows),
        )


def of_run(run: Any, line: str) -> str:
    """Return what a notebook shows of a run: a line, and its plan as a picture."""
    try:
        drawn = run.plot()
        if inspect.iscoroutine(drawn):  # of asyncio: nobody waits here
            drawn.close()
            return _block(line, "")
        data = base64.b64encode(drawn.data).decode()
    except RheostatError as error:
        return _block(line, f"<div>{escape(str(error))}</div>")
    return _block(
        line, f'<img alt="plan" style="max-width: 100%" src="data:{drawn.kind};base64,{data}">'
    )


def of_client(client: Any, line: str) -> str:
    """Return what a notebook shows of a client: where it is, and the first runs, by name."""
    try:
        asked = client.session.ask(get("/v1/runs", limit=LISTED))
        if inspect.iscoroutine(asked):
            asked.close()
            return _block(line, "")
        rows = [_row(run) for run in asked["items"]]
    except (RheostatError, LookupError, TypeError, ValueError) as error:
        return _block(line, f"<div>{escape(str(error))}</div>")
    if not rows:
        return _block(line, "<div>no runs yet</div>")
    more = "<div>… and more: client.runs() has them all</div>" if asked.get("next") else ""
    return _block(line, _table(("run", "settled", "of", "revision"), rows) + more)


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    total = run["total"]
    length = "" if total is None else f"{total:,} {run['axis']}s"
    return str(run["name"]), f"{run['settled_until']:,}", length, str(run["revision"])


def escape(text: str) -> str:
    """Return text as HTML says it: it is other people's."""
    from html import escape as escaped  # noqa: PLC0415 - no training needs it

    return escaped(text)


def _block(head: str, inner: str) -> str:
    return f'<div style="{STYLE}"><div>{escape(head)}</div>{inner}</div>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    first = "".join(f"<th>{escape(head)}</th>" for head in heads)
    rest = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{rest}</table>"

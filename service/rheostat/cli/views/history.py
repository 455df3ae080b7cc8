"""Revisions, drawn for people: who did what, when and why, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rheostat.cli.views import text
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

Document = Mapping[str, Any]

GONE = ("cancelled", "dropped")
"""How the state of a revision begins that is not in force and will not be."""


def history(
    screen: Screen, items: Iterable[Document], *, run: Document, origin: str | None
) -> None:
    """
    Draw the whole history of a run, the oldest revision first.

    ``origin`` is the name of the run that it was forked from.
    """
    ordered = sorted(items, key=lambda item: item["revision"])
    fates = _Fates(run, ordered)
    columns = [
        right("REV"),
        right("GEN"),
        right("STEP"),
        wide("STATE"),
        left("BY"),
        left("WHEN"),
        wide("CHANGE"),
        wide("MESSAGE"),
    ]
    screen.table(columns, (_row(item, run, origin, fates.of(item)) for item in ordered))


def pending(screen: Screen, items: Iterable[Document]) -> None:
    """Draw revisions that have yet to take effect, the oldest first."""
    columns = [
        right("REV"),
        right("STEP"),
        left("BY"),
        left("WHEN"),
        wide("CHANGE"),
        wide("MESSAGE"),
    ]
    ordered = sorted(items, key=lambda item: item["revision"])
    rows = (
        (
            str(item["revision"]),
            text.count(item["effective"]),
            item["author"] or "",
            text.when(item["created_at"]),
            changes(item) + (", forced" if item["forced"] else ""),
            item["message"] or "",
        )
        for item in ordered
    )
    screen.table(columns, rows)


def changes(item: Document) -> str:
    """Write what a revision changes, as one would type it."""
    if item.get("total") is not None:
        return f"total {text.count(item['total'])}"
    each = (item.get("changes") or {}).items()
    return ", ".join(f"{name} {text.change(change)}" for name, change in each)


def fork(run: Document, origin: str) -> str:
    """Write where a run was forked from another one."""
    first = run["generations"][0]
    step, generation = text.count(first["from"]), first["parent"]
    return f"{origin} ({first['parent_run']}) at step {step} of generation {generation}"


def _row(item: Document, run: Document, origin: str | None, state: str) -> tuple[Cell, ...]:
    if item["forced"]:
        state += f", forced past {' or '.join(_guards(item, run['guards'] or {}))}"
    row = (
        str(item["revision"]),
        str(item["generation"]),
        text.count(item["effective"]),
        state,
        item["author"] or "",
        text.when(item["created_at"]),
        ": ".join(filter(None, (_deed(item, run, origin), changes(item)))),
        item["message"] or "",
    )
    style = "dim" if state.startswith(GONE) else ""
    return tuple((cell, style) for cell in row)


def _deed(item: Document, run: Document, origin: str | None) -> str:
    """Write what a revision did besides changing parameters."""
    match item["kind"]:
        case "change" | "total":
            return ""
        case "cancel":
            return f"cancel revision {item['cancels']}"
        case "rewind":
            number = item["generation"]
            (made,) = (each for each in run["generations"] if each["generation"] == number)
            return f"rewind from generation {made['parent']} into generation {number}"
        case "advance":
            return f"advance to step {text.count(item['effective'])}"
        case "fork" if origin is not None:
            return f"fork of {fork(run, origin)}"
    return str(item["kind"])


def _guards(item: Document, guards: Mapping[str, Document]) -> Iterator[str]:
    """
    Yield the guards that a revision may have broken; the service does not keep which.

    They are those of what it changes, or all of them if only parameters that follow it have any.
    """
    changed = {name: guard for name, guard in guards.items() if name in item["changes"]}
    for name, guard in (changed or guards).items():
        for bound, value in guard.items():
            if value is not None:
                yield f"{name}.{bound}={text.short(value)}"


class _Fates:
    """What became of each revision of a run."""

    def __init__(self, run: Document, items: Iterable[Document]) -> None:
        from rheostat.client.lineage import Lineage  # httpx loads slowly

        generations = {each["generation"]: each for each in run["generations"]}
        self._lines = {number: Lineage(generations.values(), number) for number in generations}
        self._settled = {n: each["settled_until"] for n, each in generations.items()}
        self._current = run["generation"]
        self._cancelled = {item["cancels"]: item["revision"] for item in items}

    def of(self, item: Document) -> str:
        """Write what became of a revision; nothing of one that is done once it is written."""
        if item["kind"] in {"cancel", "finish", "advance"}:
            return ""
        if item["cancelled"]:
            return f"cancelled by revision {self._cancelled[item['revision']]}"
        last = max(number for number, line in self._lines.items() if line.holds(item))
        if last == self._current:
            return "pending" if item["pending"] else "in force"
        if item["kind"] == "total":
            return f"kept by the rewind to generation {last + 1}"
        waited = item["effective"] >= self._settled[item["generation"]]
        pending = " while pending" if waited and item["kind"] == "change" else ""
        return f"dropped{pending} by the rewind to generation {last + 1}"

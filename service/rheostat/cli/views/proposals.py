"""Proposals, drawn for people: what waits for a yes, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rheostat.cli.views import text
from rheostat.cli.views.arrival import arrives
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire

STYLES = {"open": "yellow", "accepted": "green", "declined": "dim", "expired": "dim"}


def proposals(screen: Screen, items: Sequence[wire.Proposal], run: str, state: str) -> None:
    """Draw the proposals of a run."""
    if not items:
        screen.line("There are no proposals." if state == "all" else f"No proposal is {state}.")
        return
    columns = [
        right("NUMBER"),
        left("STATE"),
        left("BY"),
        left("WHEN"),
        wide("PROPOSAL"),
        wide("MESSAGE"),
    ]
    screen.table(columns, map(_row, items))
    if any(item["state"] == "open" for item in items):
        screen.line()
        screen.line(f"rheostat run accept {run} NUMBER   or   rheostat run decline {run} NUMBER")


def waiting(screen: Screen, items: Sequence[wire.Proposal]) -> None:
    """Draw open proposals, in short."""
    columns = [right("NUMBER"), left("BY"), left("WHEN"), wide("PROPOSAL"), wide("MESSAGE")]
    rows = (
        (
            str(item["proposal"]),
            item["author"] or "",
            text.when(item["created_at"]),
            text.cut(asked(item)),
            text.cut(item["message"] or ""),
        )
        for item in items
    )
    screen.table(columns, rows)


def _row(item: wire.Proposal) -> tuple[Cell, ...]:
    return (
        str(item["proposal"]),
        (state(item), STYLES.get(item["state"], "")),
        item["author"] or "",
        text.when(item["created_at"]),
        asked(item),
        item["message"] or "",
    )


def state(item: wire.Proposal) -> str:
    """Write what became of a proposal."""
    by = f" by {item['decided_by']}" if item["decided_by"] else ""
    made = f", revision {item['revision']}" if item["revision"] is not None else ""
    why = f": {item['reason']}" if item["reason"] else ""
    return f"{item['state']}{by}{made}{why}"


def asked(item: wire.Proposal) -> str:
    """Write what a proposal asks for, as one would type it."""
    kind, body = item["kind"], item["body"]
    rest = [*_words(kind, body)]
    at = body.get("effective", "next")
    place = "" if at == "next" else f" --at {at}" if isinstance(at, int) else f" {text.brief(at)}"
    return " ".join([kind, *rest]) + place


PLACES = {"advance": "to", "resume": "until", "finish": "end", "delete": ""}
"""Kinds that are about a step, or about none."""


def _words(kind: str, body: Mapping[str, Any]) -> list[str]:
    changes = [
        ", ".join(
            f"{name} {text.change(each)}" for name, each in (body.get("changes") or {}).items()
        )
    ]
    match kind:
        case "change":
            return changes
        case "rewind":
            return [f"to {text.count(body['to'])}", *filter(None, changes)]
        case "total":
            return [text.count(body["total"])]
        case "signal":
            return [text.signal(body)]
        case "stop" | "pause":
            return [f"with {text.signal(body['signal'])}"] if body.get("signal") else []
    if kind in PLACES and all(body.get(name) is None for name in body.keys() - {"message"}):
        return []
    if kind in PLACES:
        return [f"to {text.count(body[PLACES[kind]])}"]
    return [text.brief({name: value for name, value in body.items() if name != "message"})]


def proposal(screen: Screen, item: wire.Proposal) -> None:
    """Draw one proposal, for whoever decides on it."""
    by = f" by {item['author']}" if item["author"] else ""
    screen.line((f"Proposal {item['proposal']}", "bold"), f"{by}, {text.when(item['created_at'])}:")
    screen.line(f"  {asked(item)}")
    if item["message"]:
        screen.line(f"  {item['message']}")


def proposed(screen: Screen, item: wire.Proposal, run: str) -> None:
    """Say that something is proposed."""
    screen.line(f"Proposal {item['proposal']} waits for a yes: {asked(item)}")
    screen.line(f"  rheostat run accept {run} {item['proposal']}")


def accepted(screen: Screen, item: wire.Accepted) -> None:
    """Say what accepting a proposal made."""
    late = item["late_by"]
    if item["revision"] is None:
        screen.line(f"Proposal {item['proposal']} is done: the run is gone.")
        return
    where = f"step {text.count(item['effective'])} on every worker"
    screen.line(
        f"Proposal {item['proposal']} is revision {item['revision']}, effective at {where}."
    )
    arrives(screen, item)
    if late:
        screen.line(f"  That is {text.count(late)} steps later than was proposed.")


def declined(screen: Screen, item: wire.Proposal) -> None:
    """Say that a proposal was declined."""
    screen.line(f"Proposal {item['proposal']} is declined.")

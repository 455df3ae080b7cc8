"""What became of a revision that somebody waited for, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen

if TYPE_CHECKING:
    from rheostat import wire

Goal = Literal["settled", "reached", "proven", "done"]
"""What can be waited for."""


class Awaited(TypedDict):
    """How far a revision came while somebody waited."""

    revision: int
    effective: int
    goal: Goal
    state: str
    met: bool
    """Whether it came as far as was wanted."""
    detail: str
    """Why it did not, in the words of the service."""
    nobody: str | None
    """That all who trained have ended, and none came to it; null where somebody may."""
    settled_until: int
    eta: list[wire.Eta]
    """When workers come to it, if one is alive and not all are past it."""
    seconds: float
    """How long it took."""
    outcomes: list[wire.Outcome]
    """What workers said of it, where that was waited for."""


ENDS = {
    "cancelled": "was taken back",
    "dropped": "was dropped by a rewind",
}
"""What becomes of a revision that goes no further."""
REACHED = {
    "settled": "is settled: nobody can take it back any more",
    "reached": "is reached: every live worker is past it",
    "proven": "is proven: the values of all workers agree",
    "done": "is done",
}


def awaited(screen: Screen, found: Awaited) -> None:
    """Say how far a revision came."""
    name, state, time = f"Revision {found['revision']}", found["state"], found["seconds"]
    for item in found["outcomes"]:
        outcome(screen, item)
    if found["met"] and state == "pending":  # a pause, which can be taken back as long as it holds
        screen.line(f"{name}: no worker goes on past step {text.count(found['effective'])}.")
    elif found["met"]:
        screen.line(f"{name} {REACHED[found['goal']]}.")
    elif state in ENDS:
        screen.line(f"{name} {ENDS[state]}.")
    elif found["nobody"] is not None:
        screen.line(f"{name} is not {found['goal']}: {found['nobody']}.")
    elif state == "failed":
        screen.line(f"{name} has failed.")
    elif state == "pending":
        screen.line(f"{name} is still pending after {text.seconds(time)}{_where(found)}.")
    else:
        screen.line(f"{name} is not {found['goal']}: {found['detail']}.")


def _where(found: Awaited) -> str:
    steps = found["effective"] - found["settled_until"]
    if steps <= 0:
        return f": no worker has read step {text.count(found['effective'])} yet"
    settled, effective = text.count(found["settled_until"]), text.count(found["effective"])
    return f": workers have read up to step {settled}, {text.count(steps)} short of {effective}"


def outcome(screen: Screen, item: wire.Outcome) -> None:
    """Say what a worker said of a signal."""
    failed = item["outcome"] == "failed"
    why = f": {item['error']}" if item.get("error") else ""
    data = f"  {text.brief(item['data'])}" if item.get("data") else ""
    screen.line(
        (f"{item['outcome']}", "red" if failed else "green"),
        f"  {item['source']} at step {text.count(item['step'])}{why}{data}",
    )

"""What was saved, what a rewind or a fork would drop, and what it did, in words for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rheostat.cli.views import text
from rheostat.cli.views.revisions import pending
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


def checkpoints(screen: Screen, items: Sequence[wire.Checkpoint]) -> None:
    """Draw what was saved, and what of it can be resumed."""
    if not items:
        screen.line("No checkpoint is known: no worker has said that it saved one.")
        return
    columns = [
        right("STEP"),
        left("TAG"),
        left("GENERATION"),
        left("SAVED"),
        left("BY"),
        right("SIZE"),
        left("LINE"),
        wide("WHERE"),
    ]
    screen.table(columns, map(_row, items))


def _row(item: wire.Checkpoint) -> tuple[Cell, ...]:
    size = item["bytes"]
    row = (
        text.count(item["step"]),
        item["tag"],
        _generation(item),
        text.when(item["at"]),
        item["source"],
        "" if size is None else text.size(size),
        "on" if item["on_line"] else "off",
        item["uri"] or "",
    )
    style = "" if item["on_line"] else "dim"
    return tuple((cell, style) for cell in row)


def _generation(item: wire.Checkpoint) -> str:
    of = f" of {item['run']}" if "run" in item else ""
    return f"{item['generation']}{of}"


def chosen(screen: Screen, item: wire.Checkpoint, many: int) -> None:
    """Say which checkpoint is meant, of several that can be resumed."""
    newest = f", the newest of {many} of this tag" if many > 1 else ""
    screen.line(f"Checkpoint {_described(item)}{newest}.")


def _described(item: wire.Checkpoint) -> str:
    where = f" ({item['uri']})" if item["uri"] else ""
    return (
        f"{item['tag']!r} of step {text.count(item['step'])} in generation {_generation(item)},"
        f" saved {text.when(item['at'])}{where}"
    )


def rewound(screen: Screen, answer: wire.Rewound) -> None:
    """Say where a run goes on, what was left behind, and from what to resume."""
    start = f"step {text.count(answer['from'])} of generation {answer['parent']}"
    screen.line(
        f"Generation {answer['generation']} goes on from {start}. The generation that was left "
        f"is settled until step {text.count(answer['ended'])}, and its workers are fenced off."
    )
    _resume(screen, answer)


def forked(screen: Screen, item: wire.Forked) -> None:
    """Say that a run exists that has another one's past, and from what to resume."""
    step = text.count(item["settled_until"])
    screen.line(f"Run {item['name']} is ready, id {item['id']}: it goes on from step {step}.")
    _resume(screen, item)


def _resume(screen: Screen, answer: wire.Resumable) -> None:
    saved = answer.get("checkpoint")
    if saved is not None:
        screen.line(f"  resume from:  {_described(saved)}")


def rewind_rehearsed(screen: Screen, found: wire.RewindRehearsal) -> None:
    """Say what a rewind would do, and drop."""
    start = f"step {text.count(found['from'])} of generation {found['parent']}"
    screen.line(
        f"Generation {found['generation']} would go on from {start}. The generation that would be "
        f"left is settled until step {text.count(found['ended'])}."
    )
    if alive := found.get("workers"):
        many = "1 worker" if alive == 1 else f"{text.count(alive)} workers"
        screen.line(f"It would fence off {many}, until they join again.")
    _last_saved(screen, found)
    _dropped(screen, found["revisions"])
    for again in found["again"]:
        where = f"the change of {again['controller']} for step {text.count(again['effective'])}"
        screen.line(f"Made again: {where}, decided on the report of step {again['step']:,}.")
    for item in found["dropped"]:
        what = f"the {item['decision']} of {item['controller']}"
        screen.line(f"Dropped: {what}, decided on the report of step {item['step']:,}.")
    screen.line("Nothing has been changed.")


def fork_rehearsed(screen: Screen, found: wire.ForkRehearsal) -> None:
    """Say what a fork would be, and not have."""
    start = f"step {text.count(found['from'])} of generation {found['parent']}"
    screen.line(f"Run {found['name']} would go on from {start}.")
    _last_saved(screen, found)
    _dropped(screen, found["revisions"], "It would not have")
    if found["controllers"]:
        screen.line(f"It would have the controllers {', '.join(found['controllers'])}.")
    screen.line("Nothing has been made.")


def _last_saved(screen: Screen, found: wire.Resumable) -> None:
    saved = found.get("checkpoint")
    if saved is not None:
        screen.line(f"Last checkpoint there: {_described(saved)}.")
    elif not found.get("warnings"):
        screen.line("No checkpoint is known there: no worker has said that it saved one.")


def _dropped(screen: Screen, found: wire.LeftBehind, begin: str = "It would drop") -> None:
    if not found["many"]:
        screen.line(f"{begin} no revision.")
        return
    many = "1 revision" if found["many"] == 1 else f"{text.count(found['many'])} revisions"
    items: Iterable[wire.Revision] = found["items"]
    shown = len(found["items"])
    newest = f", of which these are the newest {shown}" if found["many"] > shown else ""
    screen.line(f"{begin} {many}{newest}:")
    pending(screen, items)

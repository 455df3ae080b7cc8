"""Hooks, and messages to them, drawn for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


class RemovedHook(TypedDict):
    """The name of the hook that was removed."""

    removed: str


def made(screen: Screen, item: wire.SetHook) -> None:
    """Show a hook that was set, and its secret, this once."""
    _show(screen, item, item["secret"])
    if item["secret"]:
        screen.line("Keep the secret now: it is not shown again.")


def shown(screen: Screen, item: wire.Hook) -> None:
    """Show a hook, and how it does."""
    _show(screen, item)


def _show(screen: Screen, item: wire.Hook, secret: str | None = None) -> None:
    signs = "signed" if item["secret_set"] else "not signed"
    screen.pairs(
        ("hook", item["name"]),
        ("url", item["url"]),
        ("events", ", ".join(item["events"])),
        ("runs", item["selector"] or "all"),
        ("format", f"{item['format']}, {signs}"),
        *((("secret", secret),) if secret else ()),
        ("state", _state(item)),
        ("waiting", text.count(item["waiting"])),
        *((("dropped", text.count(item["dropped"])),) if item["dropped"] else ()),
    )


def hooks(screen: Screen, items: Sequence[wire.Hook]) -> None:
    """List the hooks."""
    if not items:
        screen.line("No hooks. Set one:  rheostat hook set NAME URL --event EVENT")
        return
    columns = [left("NAME"), *map(wide, ("URL", "EVENTS", "RUNS")), right("WAITING"), wide("STATE")]
    rows = (
        (
            item["name"],
            item["url"],
            ", ".join(item["events"]),
            item["selector"] or "all",
            text.count(item["waiting"]),
            _state(item),
        )
        for item in items
    )
    screen.table(columns, rows)


def _state(item: wire.Hook) -> str:
    if item["disabled_at"]:
        return f"disabled {text.when(item['disabled_at'])}: {item['disabled_why']}"
    if item["failing_since"]:
        return f"failing since {text.when(item['failing_since'])}, {item['failures']} attempts"
    if item["delivered_at"]:
        return f"delivered {text.when(item['delivered_at'])}"
    return "nothing sent yet"


def removed(screen: Screen, answer: RemovedHook) -> None:
    """Say which hook is gone."""
    screen.line(f"The hook {answer['removed']} is removed.")


def tried(screen: Screen, answer: wire.HookTrial) -> None:
    """Say what came of a trial."""
    took = text.seconds(answer["seconds"])
    if answer["delivered"]:
        screen.line(f"Delivered in {took}: answered {answer['status']}.")
    else:
        screen.line(("Not delivered: ", "red"), f"{answer['error']} ({took})")


def deliveries(screen: Screen, items: Sequence[wire.Delivery]) -> None:
    """List messages."""
    if not items:
        screen.line("No messages.")
        return
    columns = [right("NUMBER"), *(left(name) for name in ("RUN", "EVENT", "STATE", "AT"))]
    columns += [right("ATTEMPTS"), wide("LAST ANSWER")]
    screen.table(columns, map(_row, items))


def _row(item: wire.Delivery) -> tuple[str, ...]:
    at = item["ended_at"] or item["created_at"]
    answer = item["error"] or ("" if item["status"] is None else f"answered {item['status']}")
    run = item["body"]["data"]["run"]["name"]
    attempts = text.count(item["attempts"])
    number = str(item["number"])
    return number, run, item["event"], item["state"], text.when(at), attempts, answer


def again(screen: Screen, item: wire.Delivery) -> None:
    """Say that a message is sent again."""
    screen.line(f"Message {item['number']} is sent again.")

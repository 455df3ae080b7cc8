"""
`--wait`: how far a revision came, and an exit code that says it.

A command that makes a revision is answered at once. It is *settled* when nobody can take it back
any more, *reached* when every live worker is past it, *proven* when their values agree, and *done*
when a worker has said so of a signal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from rheostat.cli.audience import Audience, audience, warn_of_nobody
from rheostat.cli.failures import GONE, LATE, REFUSED, readable
from rheostat.cli.pace import Pace
from rheostat.cli.results import Command, Given, Result, changing, keyword, parameters, signed
from rheostat.cli.views import text
from rheostat.cli.views.arrival import left
from rheostat.cli.views.outcomes import ENDS, Awaited, Goal, awaited
from rheostat.cli.views.screen import Screen, machine_text

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

TICK = 1.0
"""Seconds after which the countdown is drawn anew."""
BAR = 20
"""Characters of the bar that shows how much of the way is done."""
SELDOM = 60.0
"""Seconds between two lines of it where there is no terminal."""
SOON = 0.9
"""The share of the time to wait within which an answer is none to wait further for."""
Wait = Annotated[
    Goal | None,
    typer.Option(
        metavar="[=settled|reached|proven|done]",
        help="Wait until it cannot be taken back any more, every live worker is past it, their"
        " values agree, or a worker says what became of it.  [--wait alone: settled]",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long to wait at most; then the exit code is 3.",
        show_default="for ever",
    ),
]


class WaitingCommand(TyperCommand):
    """A command that knows `--wait` without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a line; a value of ``--wait`` can only stand behind a ``=``."""
        words = ["--wait=settled" if word == "--wait" else word for word in args]
        return super().parse_args(ctx, words)


def landing(function: Callable[..., Result]) -> Command:
    """Make a function that makes a revision a command as `changing` does, with ``--wait``."""

    @wraps(function)
    def followed(
        client: Client, *, wait: Goal | None, timeout: float | None, **arguments: Any
    ) -> Given:
        result = function(client, **arguments)
        if "revision" not in result.document:
            return result
        control = client.control(arguments["run"])
        if wait is None:
            return result.then(lambda: warn_of_nobody(control, result.document))
        return _Landing(result, control, wait, timeout)

    added = [keyword("wait", None, Wait), keyword("timeout", None, Timeout)]
    return changing(signed(followed, [*parameters(function), *added]))


class _Landing:
    """The answer to a command, and then what became of the revision that it made."""

    def __init__(self, result: Result, control: Control, goal: Goal, timeout: float | None) -> None:
        self._result, self._control, self._goal = result, control, goal
        self._began = time.monotonic()
        self._ends = None if timeout is None else self._began + timeout
        self._revision: int = result.document["revision"]
        self._pace = Pace()
        self._terminal = False
        self._audience: Audience | None = None
        self._shown = float("-inf")
        self._first: int | None = None

    def give(self, *, as_json: bool) -> None:
        """Print the answer, wait, and print what became of it; exit unless it came so far."""
        hint = self._result.unhinted()
        if not as_json:
            self._result.give(as_json=False)
        with readable():
            screen = Screen(error=True)
            self._terminal = screen.is_terminal
            with screen.status() as show:
                found = self._awaited(show if screen.is_terminal else Sparing(screen.line))
            code = exit_code(found)
            if code or not as_json:
                awaited(Screen(error=code != 0), found)
            if found["state"] == "pending" and hint and not as_json:
                Screen(error=code != 0).line(hint)
        if as_json:
            print(machine_text({**self._result.document, "awaited": found}))
        if code:
            raise typer.Exit(code)

    def _awaited(self, say: Callable[[str], None]) -> Awaited:
        while True:
            left = TICK if self._ends is None else max(0.0, self._ends - time.monotonic())
            asked, seconds = time.monotonic(), min(left, TICK)
            found = self._look(seconds)
            # what is answered before its time is not met and never will be
            never = time.monotonic() - asked < seconds * SOON
            over = found["met"] or found["state"] in ENDS or found["nobody"] is not None
            if over or never or left == 0:
                return found
            say(f"{self._bar(found)}{self._countdown(found)}")

    def _look(self, seconds: float) -> Awaited:
        """Return how far the revision is within so many seconds."""
        goal: Any = self._goal
        item: Any = self._control.wait(self._revision, goal, timeout=seconds)
        here = self._audience
        if here is None or time.monotonic() - self._shown >= TICK / 2:
            here = self._audience = audience(self._control)
            self._pace.see(here.run["settled_until"])
            self._shown = time.monotonic()
        effective = item["effective"]
        return {
            "revision": self._revision,
            "effective": effective,
            "goal": self._goal,
            "state": item["state"],
            "met": item["waited"]["met"],
            "detail": item["waited"]["detail"],
            "nobody": here.gone(effective) if here.misses(effective, item["state"]) else None,
            "settled_until": here.run["settled_until"],
            "eta": item.get("eta", []),
            "seconds": round(time.monotonic() - self._began, 3),
            "outcomes": item["outcomes"]["items"] if self._goal == "done" else [],
        }

    def _bar(self, found: Awaited) -> str:
        """Draw how much of the way is done that was to go when the waiting began."""
        eta = next(iter(found["eta"]), None)
        left_over = found["effective"] - found["settled_until"] if eta is None else eta["steps"]
        left_over = max(left_over, 0)
        self._first = max(left_over, self._first or 0)
        if not self._terminal or not self._first:
            return ""
        return f"{text.bar(1 - left_over / self._first, BAR)}  "

    def _countdown(self, found: Awaited) -> str:
        until = f"waiting until revision {found['revision']} is {found['goal']}"
        who = self._audience.told() if self._audience else ""
        missing = f"; {who}" if who else ""
        for eta in found["eta"]:
            return f"{until}: {self._of_workers(eta)}"
        steps = found["effective"] - found["settled_until"]
        if steps <= 0:
            return f"{until}: it is {found['state']}{missing}"
        pace = self._pace.steps_per_second
        about = "" if pace is None else f", about {text.seconds(steps / pace)}"
        return f"{until}: {text.count(steps)} steps to go{about}{missing}"

    def _of_workers(self, eta: wire.Eta) -> str:
        """Write how far the last worker is, between two beats by what it did before."""
        if not eta["steps"]:
            return (
                f"{text.count(eta['reached_by'])} of {text.count(eta['workers'])} have come to it"
            )
        return f"{left(eta)} to go for the last of {text.count(eta['workers'])}"


class Sparing:
    """Prints what is said as lines, the first at once and then one in a while: for a pipe."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._next = float("-inf")

    def __call__(self, said: str) -> None:
        """Print a line, if it is time for one."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SELDOM
            self._line(said)


def exit_code(found: Awaited) -> int:
    """Return what a script is told of how far a revision came."""
    if found["met"]:
        return 0
    if found["state"] in ENDS or found["nobody"] is not None:
        return GONE
    return REFUSED if found["state"] == "failed" else LATE

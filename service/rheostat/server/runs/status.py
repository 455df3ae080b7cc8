"""
What becomes of a run, in one word that lists can be asked by.

In this order, for more than one may hold: *finished* by somebody; *stopped*, and settled up to the
stop; *stuck*, if it had workers, nobody is alive and none came to its total; *paused*, and waiting
to be resumed; *ended*, if it is settled up to its total and nobody trains; else *live*.
"""

from __future__ import annotations

from dataclasses import dataclass

from rheostat import wire


@dataclass(frozen=True, slots=True)
class Turnout:
    """How many workers a run has, by what they say: alive, silent, ended; and how far any came."""

    alive: int = 0
    gone: int = 0
    """Those that are silent or have ended."""
    furthest: int = 0


NOBODY = Turnout()


def status(run: wire.RunSummary, turnout: Turnout = NOBODY) -> wire.RunStatus:
    """Return what becomes of a run, by what its summary says and by its workers."""
    settled, total = run["settled_until"], run["total"]
    if run["finished_at"] is not None:
        return "finished"
    if any(
        not each["hold"] and (each["told"] or each["effective"] <= settled) for each in run["stops"]
    ):
        return "stopped"
    arrived = total is not None and turnout.furthest >= total
    if turnout.gone and not turnout.alive and not arrived:
        return "stuck"
    if run["paused"]:
        return "paused"
    return "ended" if total is not None and settled >= total and not turnout.alive else "live"

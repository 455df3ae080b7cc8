"""Who there is to come to a revision: those who train, who are silent, or who have all ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen
from rheostat.errors import RheostatError

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Control

MOST = 1000
"""Workers that are looked at for where they ended: what one request lists."""


class Audience(NamedTuple):
    """A run, and the steps at which its workers have ended, where nobody else is there."""

    run: wire.RunState
    ended: list[int]

    @property
    def is_gone(self) -> bool:
        """Whether all who trained in the current generation have said that they are done."""
        return bool(self.ended)

    def misses(self, effective: int, state: str) -> bool:
        """Whether all have ended, and none of them came to a revision in this state."""
        return self.is_gone and (state == "pending" or max(self.ended) < effective)

    def told(self) -> str:
        """Write why a revision does not come nearer; nothing while somebody is alive."""
        counts = self.run["workers"]
        if self.is_gone:
            return f"nobody trains any more: {self._last()}"
        if counts["alive"]:
            return ""
        if not counts["silent"]:
            return "no worker has said anything yet"
        if counts["silent"] == 1:
            return "the only worker is silent"
        return f"all {text.count(counts['silent'])} workers are silent"

    def gone(self, effective: int | None = None) -> str:
        """Write that nobody trains, and that they ended before a step, if they did."""
        early = effective is not None and max(self.ended) < effective
        return self.told() + (f", before {text.count(effective or 0)}" if early else "")

    def _last(self) -> str:
        many = len(self.ended)
        who = "the only worker" if many == 1 else f"the last of {text.count(many)} workers"
        return f"{who} ended at step {text.count(max(self.ended))}"


def audience(control: Control) -> Audience:
    """Ask who there is."""
    run = control.show()
    if run["workers"]["alive"] or run["workers"]["silent"]:
        return Audience(run, [])
    found = control.workers(state="ended", limit=MOST)["items"]
    here = run["generation"]
    return Audience(run, [each["step"] for each in found if each["generation"] == here])


def warn_of_nobody(control: Control, made: Mapping[str, Any]) -> None:
    """Say it, where nobody will come to what was just made; without an answer, say nothing."""
    effective = made.get("effective")
    if effective is None:
        return
    with suppress(RheostatError):
        said = _unheard(audience(control), effective, made.get("total"))
        if said:
            Screen(error=True).line(("Warning: ", "yellow"), said)


def _unheard(found: Audience, effective: int, new_total: int | None) -> str:
    run = found.run
    total = new_total or _total(run)
    if total is not None and effective >= total:
        longer = f"`rheostat run extend {run['name']} --total STEPS` makes it longer"
        ends = f"the run ends at {run['axis']} {text.count(total)}"
        if found.is_gone:
            return f"{found.gone()}, and {ends}: nobody will see this; {longer}"
        return f"{ends}: a worker that ends there does not come to this; {longer}"
    if found.is_gone:
        return f"{found.gone(effective)}; this waits for a training that goes on"
    return ""


def _total(run: wire.RunState) -> int | None:
    """Return how long a run is once all that is pending has come."""
    planned = [each["total"] for each in run["pending"] if each["total"] is not None]
    return planned[-1] if planned else run["total"]

"""Whether a service still knows what it has settled: a restored backup does not."""

from __future__ import annotations

from rheostat.client.answers import Answer
from rheostat.client.joined import Joined
from rheostat.errors import StepJump, WentBack


class Life:
    """
    The newest that a worker has seen of its run, which a service cannot be behind.

    A run numbers its events, settles among them, and settles its steps in order. So what is settled
    further on was settled by a later event. A database that has lost its newest commits (a backup
    that was put in its place, a standby that lagged behind) numbers anew, and has settled less. If
    that was made known, by `rheostat recover`, it is another incarnation.
    """

    def __init__(self, facts: Joined) -> None:
        self._name = facts.name
        self._incarnation = facts.incarnation
        self._event = facts.event
        self._settled = facts.settled_until
        self._why: str | None = None

    def require_one(self) -> None:
        """Raise `WentBack` again: what was asked in the background is asked once more, and told."""
        if self._why is not None:
            raise self._went_back(self._why)

    def saw(self, answer: Answer, stop: int) -> None:
        """Take note of the answer to a read up to ``stop``; raise `WentBack` if it is behind."""
        incarnation = answer.headers.get("Rheostat-Incarnation", self._incarnation)
        if incarnation != self._incarnation:
            raise self._went_back(f"its database is another incarnation, {incarnation[:64]!r}")
        event = answer.headers.get("Rheostat-Event", "")
        if event.isdecimal() and stop > self._settled:
            if int(event) <= self._event:
                raise self._went_back(
                    f"what lies before step {stop} was settled by event {int(event)}, and event"
                    f" {self._event} was there already"
                )
            self._event = int(event)
        self._settled = max(self._settled, stop)

    def require_settled(self, refusal: StepJump) -> None:
        """Raise `WentBack` if a refusal tells of less than was settled."""
        settled = refusal.members.get("settled_until")
        if isinstance(settled, int) and settled < self._settled:
            raise self._went_back(
                f"it is settled until step {settled}, and was until {self._settled}"
            ) from refusal

    def _went_back(self, why: str) -> WentBack:
        self._why = why
        return WentBack(
            f"the service has forgotten what it settled of run {self._name}: {why}. A backup was"
            " put in the place of its database, or a standby that lagged behind. Other workers may"
            " hold other values: stop them all, run `rheostat recover`, and resume a checkpoint"
        )

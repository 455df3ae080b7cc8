"""What the ranks of `ddp_control` heard and at which steps, beside what the service says of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from digits.plan import RANKS
from digits.report import Record


class Heard(NamedTuple):
    """What one rank heard, and at which step."""

    cuts: list[int]
    saved: list[int]
    held: list[int]
    ended: int
    longest: float
    """How long it was held, in seconds."""


class Holds:
    """Where a rank was held, and for how long."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.longest = 0.0
        self._since: float | None = None

    def begins(self, refusal: Any) -> None:
        """Note where a wait begins: ``on_wait`` of a run calls it."""
        self.steps.append(refusal.members["end"])
        self._since = time.monotonic()

    def ends(self) -> None:
        """Note how long it was, if there was one."""
        if self._since is not None:
            self.longest = max(self.longest, time.monotonic() - self._since)
            self._since = None


class Told(NamedTuple):
    """What the service says of a training."""

    history: list[Any]
    decisions: list[Any]
    outcomes: list[int]
    """How many ranks said that they had saved, for each checkpoint that was asked for."""
    ledger: dict[str, list[float]]

    @property
    def decided(self) -> list[tuple[Any, ...]]:
        """What the plateau decided: at which report, what, and where it took effect."""
        places = {revision["revision"]: revision["effective"] for revision in self.history}
        return [(one["step"], one["decision"], places[one["revision"]]) for one in self.decisions]

    @property
    def announced(self) -> tuple[list[int], list[int], list[int], int]:
        """The steps of cuts, checkpoints, holds and the end."""
        [end] = self._steps("stop")
        cuts = [step for step in self._steps("change") if step < end]
        return cuts, [*self._steps("signal"), end], self._steps("pause"), end

    def _steps(self, kind: str) -> list[int]:
        return [each["effective"] for each in self.history if each["kind"] == kind]


class Trained(NamedTuple):
    """One training: what its ranks heard and did, and what the service says of it."""

    heard: list[Heard]
    records: list[Record]
    told: Told

    def is_sound(self, hold: float) -> bool:
        """Return whether all ranks did alike, as the service says, and were held for so long."""
        return (
            all(heard[:4] == self.told.announced for heard in self.heard)
            and all(heard.longest >= hold for heard in self.heard)
            and not any(record.differing(self.told.ledger) for record in self.records)
            and len({record.checksum for record in self.records}) == 1
            and set(self.told.outcomes) == {RANKS}
            and len(self.heard[0].cuts) > 0
        )

    def show(self) -> None:
        """Print what each rank heard."""
        print("\nrank   cut from   saved at   held at   for      ended at   differing   parameters")
        for rank, (heard, record) in enumerate(zip(self.heard, self.records, strict=True)):
            cuts, saved, held = (", ".join(map(str, steps)) for steps in heard[:3])
            print(
                f"{rank:4}   {cuts:>8}   {saved:>8}   {held:>7}   {heard.longest:4.1f} s "
                f"{heard.ended:10} {record.differing(self.told.ledger):11}   {record.checksum}"
            )
        print()


def cuts(rates: Sequence[float]) -> list[int]:
    """Return the steps at which the rate fell at once, as no cosine falls."""
    return [step for step in range(1, len(rates)) if rates[step] < 0.6 * rates[step - 1]]

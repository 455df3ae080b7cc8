"""Changes of a run: revisions, stops, signals, rewinds, as they are accepted."""

from typing import Literal, NotRequired, TypedDict

from rheostat.wire.runs import From, Revision, RunState
from rheostat.wire.workers import Eta, Resumable


class Landing(TypedDict):
    """How far beyond the fastest worker a change takes effect."""

    beyond: int | None
    """From where that worker was last seen to read, in steps; null if none was seen."""
    warnings: list[str]
    """A sentence, if that is far."""
    eta: NotRequired[list[Eta]]
    """When workers come to it; not there if none is alive."""


class Revised(Landing):
    """A change was accepted."""

    revision: int
    effective: int
    """First step for which it holds."""
    pending: list[Revision]
    """Revisions that have yet to take effect, in the order in which they will."""


class Rehearsal(Landing):
    """What a change would do, of which nothing was done."""

    effective: int
    """First step for which it would hold."""
    steps: list[int]
    """Steps at which the curves are given."""
    before: dict[str, list[float]]
    """The curves without it."""
    after: dict[str, list[float]]
    """The curves with it."""
    pending: list[Revision]
    """Revisions that would have yet to take effect."""


class TotalRevised(Revised):
    """The total was set, or was in force already."""

    total: int


class TotalRehearsal(Rehearsal):
    """What another total would do, of which nothing was done."""

    total: int


class Cancelled(Landing):
    """A pending revision was taken back."""

    revision: int
    """Revision that records it."""
    cancelled: int
    """Revision that was taken back."""
    effective: int
    """First step for which it would have held."""
    pending: list[Revision]
    """Revisions that have yet to take effect."""


class Signalled(Landing):
    """A signal was accepted."""

    revision: int
    effective: int
    """Step at which all ranks are told."""


class Advanced(Landing):
    """The settled end was moved on."""

    revision: int
    effective: int
    settled_until: int
    """First step that is open now."""
    generation: int


class Halted(Landing):
    """A stop or a pause was accepted."""

    revision: int
    effective: int
    """First step that is not to be had."""


class Resumed(TypedDict):
    """The pauses at which a run held were taken back."""

    revision: int
    """Revision that records it."""
    pause: int | None
    """Revision that holds the run again, at `until`."""
    cancelled: list[int]
    """Pauses that were taken back."""
    settled_until: int
    """First step that workers are given now."""


class MadeAgain(TypedDict):
    """A controller's change that a rewind would drop, and makes again."""

    controller: str
    step: int
    """Step of the report that it was decided on."""
    effective: int


class Remade(MadeAgain):
    """A controller's change that a rewind would have dropped, made again."""

    decision: Literal["change", "blocked"]
    revision: int | None
    """The new one; null if it was blocked."""
    problem: NotRequired[dict[str, str]]
    """Of a blocked one, what it was refused with: `type` and `detail`."""


class Dropped(TypedDict):
    """A controller's decision that a rewind has dropped."""

    controller: str
    step: int
    """Step of the report that it was decided on."""
    decision: Literal["change", "stop", "proposal"]
    revision: int | None
    proposal: int | None


class Forked(RunState, Resumable):
    """A run that has another one's past; `checkpoint` is about the step at which it leaves that."""


class Rewound(From, Resumable):
    """A generation was begun; `from` is the step at which it branches."""

    generation: int
    parent: int
    """Generation that it branches from."""
    ended: int
    """Where the generation that was left is settled to."""
    revision: int
    again: list[Remade]
    """Changes that controllers had decided on the past that is kept, in their order."""
    dropped: list[Dropped]
    """Stops and proposals of theirs that are gone."""


class LeftBehind(TypedDict):
    """Revisions that a rewind drops."""

    many: int
    items: list[Revision]
    """The newest of them."""


class RewindRehearsal(From, Resumable):
    """What a rewind would do, of which nothing was done."""

    generation: int
    """The one that would begin."""
    parent: int
    """Generation that it would branch from."""
    ended: int
    """Where the generation that would be left is settled to."""
    workers: NotRequired[int]
    """Workers that are alive: they would be fenced off."""
    revisions: LeftBehind
    again: list[MadeAgain]
    """Changes of controllers, decided on the past that is kept, which would be made again."""
    dropped: list[Dropped]
    """Stops and proposals of theirs that would be gone."""


class ForkRehearsal(From, Resumable):
    """What a fork would do, of which nothing was done; `from` is the step at which it leaves."""

    name: str
    parent_run: str
    """Id of the run whose past it would have."""
    parent: int
    """Generation whose past it would have."""
    revisions: LeftBehind
    """Those of that generation that it would not have."""
    controllers: list[str]
    """Those that it would have, by name."""

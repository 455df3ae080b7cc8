"""Changes of many runs at once: what would become of each, and what has."""

from typing import NotRequired, TypedDict

from rheostat.wire.problems import Problem


class PlannedRun(TypedDict):
    """A run that would be changed."""

    id: str
    name: str
    revision: int
    """The newest one: if there is another by then, the run is refused."""
    effective: int
    """First step for which the change would hold, by now."""
    protected: bool
    """Whether it would become a proposal, which another person has to accept."""


class RefusedRun(TypedDict):
    """A run that would not be changed, and is no part of the plan."""

    id: str
    name: str
    status: int
    problem: Problem


class BulkRehearsal(TypedDict):
    """What a change of many runs would do; nothing has changed."""

    runs: list[PlannedRun]
    errors: list[RefusedRun]
    plan: str
    """
    What the change itself has to name: the SHA-256, in lower-case hexadecimal, of the lines
    ``id revision`` of `runs`, sorted and joined by line feeds. It is known for a day.
    """


class ChangedRun(TypedDict):
    """What has become of one run: 201, it is changed; 202, a proposal waits; or it was refused."""

    id: str
    name: str | None
    """Null if the run is not there any more."""
    status: int
    revision: NotRequired[int]
    """Of a change."""
    effective: NotRequired[int]
    """Of a change: the first step for which it holds."""
    proposal: NotRequired[int]
    """Number of the proposal, if the run is protected."""
    problem: NotRequired[Problem]
    """Why it was refused."""


class BulkChanged(TypedDict):
    """What has become of each run of a plan, by name."""

    items: list[ChangedRun]
    plan: str

"""
On whose behalf an operation runs: of which runs it may know, and what it does to the one it names.

Whoever lets a request in says so once, and `Records.find`, through which every operation comes to
its run, holds to it: so no operation has to be trusted to ask. What a process does for all of its
callers, or by itself, is done on nobody's behalf.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from rheostat import wire
from rheostat.errors import FieldError, Invalid, NeedsApproval
from rheostat.server.runs.protection import Protect
from rheostat.server.runs.selector import EVERYTHING, Relation, Requirement, Selector
from rheostat.server.runs.token_limit import TokenLimit
from rheostat.server.store.shares import Share


@dataclass(frozen=True, slots=True)
class Acting:
    """On whose behalf an operation runs."""

    runs: Selector = EVERYTHING
    """Which runs the caller's token knows of; to it, all others are not there."""

    share: Share | None = None
    """What the runs that they create may come to, if that is bounded."""

    act: wire.ProposalKind | None = None
    """What the request does to a run that may be protected against it."""

    token: str | None = None
    """The name of their token."""

    limit: TokenLimit | None = None
    """What that may do to a run."""

    approved: bool = False
    """Whether an admin wants it done without a second person."""

    def knows(self, labels: Mapping[str, str]) -> bool:
        """Whether a run with these labels is there, as far as the caller is told."""
        return self.runs.matches(labels)

    def is_held(self, protect: Protect | None) -> bool:
        """Whether a run is protected against what is done to it."""
        return self.act is not None and protect is not None and protect.holds(self.act)

    def require_approved(self, protect: Protect | None) -> None:
        """Raise `NeedsApproval` if a run is protected against what is done to it."""
        if self.is_held(protect) and not self.approved:
            raise NeedsApproval("the run is protected: another person has to accept this")

    def require_labels(self, labels: Mapping[str, str]) -> None:
        """Raise `Invalid` unless the caller would know of a run with these labels."""
        for requirement in self.runs.requirements:
            if not requirement.matches(labels):
                raise _unlabelled(requirement, labels)


NOBODY = Acting()

acting: ContextVar[Acting] = ContextVar("acting", default=NOBODY)
"""On whose behalf the store is asked: that of the request that is being answered."""


def _unlabelled(requirement: Requirement, labels: Mapping[str, str]) -> Invalid:
    key, there = requirement.key, labels.get(requirement.key)
    many = len(requirement.values) > 1
    values = ", ".join(sorted(requirement.values))
    bound = {
        Relation.IN: f"one of {values}" if many else values,
        Relation.NOT_IN: f"none of {values}" if many else f"not {values}",
        Relation.EXISTS: "any value",
        Relation.ABSENT: "absent",
    }[requirement.relation]
    has = "has no such label" if there is None else f"has {there!r}"
    message = f"the token is for runs with {requirement}, and this one {has}"
    wrong = [FieldError(f"labels.{key}", message, there, bound)]
    return Invalid("The run is not one that the token may make.", errors=wrong)

"""What tokens with a limit, such as those of agents, may do to a run, and what is left of it."""

from typing import TypedDict

from rheostat.wire.common import ProposalKind


class Allowance(TypedDict):
    """What a token with a limit may do to a run, and what it has done."""

    token: str
    limit: str
    """As it was made, such as `changes=20/day, gap=500, edits=scale|hold`."""
    acts: list[ProposalKind]
    """What it may do: a change, a stop and a signal count; the others are free."""
    parameters: list[str]
    """Those of the run that it may change."""
    edits: list[str] | None
    """Edits that it may make; `replace` is a new definition, too. null: all."""
    ratio: float | None
    """By how much a value may grow or shrink at once; null: by any factor."""
    left: int | None
    """Changes that it may still make now; null: any number."""
    again_at: str | None
    """When it may make the next, if none is left."""
    from_step: int | None
    """The first step at which its next change may take effect, if it has to keep a distance."""
    made: int
    """Changes, stops and signals of it that the history has."""
    refused: int
    """How often the limit, or the role, has stood against it here."""
    refused_at: str | None
    refusal: str | None
    """What it was told the last time."""


class Allowances(TypedDict):
    """The tokens with a limit that know of a run."""

    items: list[Allowance]

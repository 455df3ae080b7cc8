"""Protected runs: what may not be done to them without a second person."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, model_serializer

from rheostat import wire

ACTS: tuple[wire.ProposalKind, ...] = get_args(wire.ProposalKind)
"""All that an operator does to a run."""


class Protect(BaseModel):
    """What a run is protected against: all that an operator may do to it, but for some acts."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    except_: Annotated[
        tuple[wire.ProposalKind, ...],
        Field(
            alias="except",
            max_length=len(ACTS),
            strict=False,
            description="what one operator may do alone, such as stop, pause and signal",
        ),
    ]

    @model_serializer
    def _dumped(self) -> dict[str, Any]:
        return {**self.to_json()}

    def to_json(self) -> wire.Protection:
        """Return the wire form: each act once, in one order."""
        return {"except": sorted(set(self.except_))}

    def holds(self, act: wire.ProposalKind) -> bool:
        """Whether an act needs a second person."""
        return act not in self.except_


class StoredProtect(Protect):
    """What a row has of it: an act that is not known here is none that anybody asks for here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    except_: Annotated[tuple[str, ...], Field(alias="except", strict=False)] = ()  # type: ignore[assignment]


def protection_of(protect: Protect | None) -> wire.Protection | None:
    """Return what is shown of a run's protection."""
    return None if protect is None else protect.to_json()

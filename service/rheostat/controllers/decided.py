"""What a guard or a rule does when it fires: changes of the run, or a stop."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rheostat.controllers.controller import Controller
from rheostat.limits import MAX_CHANGES, MAX_PARAMETERS, PARAMETERS
from rheostat.schedules.field_errors import wrong


def _by_parameter(changes: dict[str, Any] | str) -> dict[str, Any] | str:
    """Refuse what no run could take; what a change says is checked against the run."""
    if isinstance(changes, str):
        return changes
    for name, change in changes.items():
        if not re.fullmatch(PARAMETERS, name):
            raise wrong(name, "must be the name of a parameter, or of all", name, PARAMETERS)
        listed = change if isinstance(change, list) else [change]
        if not 1 <= len(listed) <= MAX_CHANGES:
            bound = f"1 to {MAX_CHANGES} changes"
            raise wrong(name, f"must be {bound}", change, bound)
        if not all(isinstance(each, (dict, int, float)) for each in listed):
            raise wrong(name, "must be an edit or a definition", change, "an edit or a definition")
    return changes


Decided = Annotated[
    Annotated[dict[str, Any], Field(min_length=1, max_length=MAX_PARAMETERS)] | Literal["stop"],
    AfterValidator(_by_parameter),
    Field(description='what it does: changes, as a revision has them, or "stop"'),
]
"""The changes as they were sent, which the run reads; or ``"stop"``."""


class Acting(Controller):
    """Base of what does when it fires what its `changes` say."""

    changes: Decided

    @property
    def decides(self) -> Literal["change", "stop"]:
        """What it makes of the run when it fires, once that is applied."""
        return "stop" if self.changes == "stop" else "change"

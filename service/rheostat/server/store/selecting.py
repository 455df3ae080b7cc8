"""Selectors as conditions on the rows of runs."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, not_, select

from rheostat.server.runs.selector import Relation, Requirement, Selector
from rheostat.server.store import tables


def conditions(selector: Selector) -> Iterator[ColumnElement[bool]]:
    """Yield what must hold of a row of `tables.runs`, by the index of `tables.labels`."""
    for requirement in selector.requirements:
        yield _condition(requirement)


def _condition(requirement: Requirement) -> ColumnElement[bool]:
    label = tables.labels.c
    carries = select(label.run_id).where(label.key == requirement.key)
    if requirement.values:
        carries = carries.where(label.value.in_(sorted(requirement.values)))
    within = tables.runs.c.id.in_(carries)
    positive = requirement.relation in {Relation.IN, Relation.EXISTS}
    return within if positive else not_(within)

"""What the manual says of the converters."""

from __future__ import annotations

from pathlib import Path

import pytest

from rheostat.converters import docs, registry
from rheostat.converters.core import Scheduler
from rheostat.schedules import KINDS

DOCS = Path(__file__).parents[2] / "docs"
FOUND = {name: registry.find(name) for name in registry.NAMES}
SCHEDULERS = [
    pytest.param(item, id=f"{name}/{item.names[0]}")
    for name, library in FOUND.items()
    if library
    for item in library.schedulers
]


def test_the_manual_is_current() -> None:
    """`docs/converters.md` is what `python -m rheostat.converters.docs docs` writes."""
    assert (DOCS / "converters.md").read_text() == docs.manual()


def test_every_library_has_a_name_of_its_own() -> None:
    """No two libraries go by the same name."""
    names = [name for module, others in registry.NAMES.items() for name in (module, *others)]
    assert len({registry.find(name) and name.lower() for name in names}) == len(names)


@pytest.mark.parametrize("item", SCHEDULERS)
def test_every_scheduler_says_what_it_becomes(item: Scheduler) -> None:
    """The first words of each converter's text name a kind, or say that it is refused."""
    marked = item.becomes.split("`")[1::2]
    refers = item.becomes.startswith(("Refused", "As ", "The ", "What the "))
    assert refers or set(marked) & set(KINDS), item.becomes

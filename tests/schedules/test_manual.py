"""The manual of kinds is what the kinds say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rheostat.schedules import KINDS, manual

DOCS = Path(__file__).parents[2] / "docs"


def test_the_manual_is_up_to_date() -> None:
    """`docs/kinds.md` is what `python -m rheostat.schedules.manual docs` writes."""
    assert (DOCS / "kinds.md").read_text() == manual.manual(), "docs/kinds.md: run `make docs`"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(kind: str) -> None:
    """There is a plot of each kind's example, drawn from the values that are served."""
    path = DOCS / "kinds" / f"{kind}.svg"
    assert path.exists(), f"{kind} is not drawn: run `make docs`"
    assert path.read_text() == manual.plot(kind), f"docs/kinds/{kind}.svg: run `make docs`"


def test_what_is_drawn_is_a_kind() -> None:
    """No plot is left of a kind that there is not."""
    assert {path.stem for path in (DOCS / "kinds").iterdir()} == set(KINDS)

"""The manual of kinds is what the kinds say."""

from __future__ import annotations

from pathlib import Path

from rheostat.schedules import KINDS, manual

DOCS = Path(__file__).parents[2] / "docs"


def test_the_manual_is_up_to_date() -> None:
    """`docs/kinds.md` is what `python -m rheostat.schedules.manual docs` writes."""
    assert (DOCS / "kinds.md").read_text() == manual.manual()


def test_the_plots_are_up_to_date() -> None:
    """There is one plot for each kind, drawn from the values that are served."""
    plots = {path.stem: path.read_text() for path in (DOCS / "kinds").glob("*.svg")}
    assert plots == {kind: manual.plot(kind) for kind in KINDS}

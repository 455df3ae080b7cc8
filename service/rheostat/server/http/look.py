"""What a picture of curves shows besides the curves; free of matplotlib, which loads slowly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a step, such as a revision's, with a short label."""

    step: int
    label: str


@dataclass(frozen=True, slots=True)
class Look:
    """Title, name of the axis, marks, and the step up to which values are settled."""

    title: str = ""
    axis: str = "step"
    marks: tuple[Mark, ...] = ()
    settled_until: int | None = None
    """Values before it are drawn solid on a shaded ground, later ones dashed; None: all solid."""
    log: bool = False
    """Whether values, all above 0, are drawn on a logarithmic scale however little they span."""

"""Curves, drawn into picture files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rheostat.cli import options
from rheostat.cli.views.chart import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rheostat.curve_files import Annotations


def picture(
    output: Path,
    steps: Sequence[int],
    columns: Mapping[str, NDArray[np.float64]],
    notes: Annotations,
) -> bytes:
    """Return the picture of curves that the name of the file asks for."""
    import numpy as np

    from rheostat.curve_pictures import draw

    kind = options.picture_format(output)
    for values in columns.values():
        Scale.of(values.tolist(), log=notes.log)  # refuses what a chart refuses
    return draw(kind, np.array(steps, dtype=np.int64), columns, notes)

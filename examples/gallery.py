"""
The gallery: trainings of the literature as runs, with the numbers that were published.

``examples/runs/NAME.json`` is the body that creates a run, ``NAME.changes.json`` the revisions that
its operators would have sent, in order, and ``published.json`` what is known of the values: as
planned, and as trained after the changes. This writes ``docs/gallery.md`` and its plots::

    python examples/gallery.py docs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import composed
import configured
from rheostat.schedules.manual import svg
from rheostat.server.runs.changes import parse_changes
from rheostat.server.runs.folding import fold
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.spec import RunSpec, parse_run
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.validation import Limits, Units

FOLDER: Final = Path(__file__).parent / "runs"
_POINTS: Final = 480
_INTRODUCTION: Final = """\
<!-- Written by python examples/gallery.py. Change examples/runs, then `make docs`. -->

# Gallery

Trainings of the literature as runs of Rheostat. Each is a file that creates it, and if its
operators changed it while it ran, the revisions that they would have sent:

```
rheostat run create @examples/runs/olmo3-7b.json
```

The published numbers stand beside what the service serves; the tests hold them to all the digits
that were published. Some say more than a paper does: where only a constant is missing for them to
be exact (Gopher, Chinchilla, IDEFICS, K2), runs are not here.
"""

_COMPOSED: Final = f"""\
## A plateau over a cosine

A training of ours, and no published one: a small network learns to read digits, of whose labels a
fourth part is wrong. Its loss stands still at a level that the learning rate gives. A plateau cuts
that twice, 200 steps after the report that decides (shaded), and the cosine goes on, lower.

![A cosine with two cuts of a plateau, and below it the loss](gallery/{composed.FILE})

How such a rule is armed: [control.md](control.md). Files:
[plateau.json](../examples/control/plateau.json),
[plateau.reports.json](../examples/control/plateau.reports.json), and
[plateau.py](../examples/plateau.py), which trained.
"""


class Number(NamedTuple):
    """A published value: of which parameter, at which step, as it was printed."""

    parameter: str
    step: int
    printed: str

    def round(self, value: float) -> str:
        """Return a value with as many digits as were printed."""
        digits = self.printed.lower().partition("e")[0].replace(".", "").lstrip("0")
        return f"{value:.{max(len(digits), 1)}g}"

    def agrees(self, value: float) -> bool:
        """Return whether a value is what was printed, to all its digits."""
        return float(self.round(value)) == float(self.printed)


@dataclass(frozen=True)
class Training:
    """A training: the body of its run, its changes, and what was published of it."""

    name: str
    body: dict[str, Any]
    changes: list[dict[str, Any]]
    planned: list[Number]
    trained: list[Number]

    @property
    def spec(self) -> RunSpec:
        """The specification of the run."""
        return self._parsed[0]

    @property
    def _plan(self) -> Timelines:
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[RunSpec, Timelines]:
        spec, timelines, _ = parse_run(self.body, Units(), Limits())
        return spec, timelines

    @cached_property
    def _revisions(self) -> list[Revision]:
        units, plan = self.spec.units(Units(), self.spec.total), self._plan
        revisions = [
            Revision(
                number=number,
                generation=1,
                kind=RevisionKind.CHANGE,
                effective=change["effective"],
                changes=parse_changes(change["changes"], plan.keys(), units),
                note=Note(message=change["message"]),
                created_at="",
                timelines=plan,
            )
            for number, change in enumerate(self.changes, 2)
        ]
        return fold(plan, revisions, {}, lambda _: plan)

    def values(
        self, parameter: str, steps: NDArray[np.int64], *, planned: bool
    ) -> NDArray[np.float64]:
        """Return values as the run would serve them: by the plan, or after the changes."""
        cells = steps - steps % self.spec.resolution
        starts = [] if planned else [revision.effective for revision in self._revisions]
        in_force = np.searchsorted(np.array(starts, dtype=np.int64), cells, side="right")
        values = np.empty(len(cells))
        for number in np.unique(in_force):
            here = in_force == number
            timelines = self._revisions[number - 1].timelines if number else self._plan
            values[here] = timelines.evaluate(cells[here])[parameter]
        return values

    def value(self, parameter: str, step: int, *, planned: bool = False) -> float:
        """Return one value."""
        place = np.array([step], dtype=np.int64)
        return float(self.values(parameter, place, planned=planned)[0])

    def curve(
        self, parameter: str, *, planned: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return steps from the beginning to the end, and the values there."""
        last = self._last_step(parameter, planned=planned)
        steps = np.unique(np.linspace(0, last, _POINTS).round().astype(np.int64))
        return steps, self.values(parameter, steps, planned=planned)

    def _last_step(self, parameter: str, *, planned: bool) -> int:
        """Return the end of the training, or of a curve that was made to end later."""
        total = self.spec.total or 1
        if planned or not self.changes:
            return total
        piece = self._revisions[-1].timelines[parameter].pieces[-1]
        return max(total, piece.origin + (piece.definition.length or 0))


def trainings() -> Iterator[Training]:
    """Yield the trainings, in the order of the gallery."""
    known = json.loads((FOLDER / "published.json").read_text())
    for name, numbers in known.items():
        changes, unit = FOLDER / f"{name}.changes.json", numbers.get("unit", 1)
        yield Training(
            name=name,
            body=json.loads((FOLDER / f"{name}.json").read_text()),
            changes=json.loads(changes.read_text()) if changes.exists() else [],
            planned=_numbers(numbers.get("planned", []), unit),
            trained=_numbers(numbers.get("applied", []), unit),
        )


def _numbers(rows: list[list[Any]], unit: int) -> list[Number]:
    return [Number(parameter, step * unit, printed) for parameter, step, printed in rows]


def page() -> str:
    """Return the gallery as Markdown."""
    return "\n".join([_INTRODUCTION, *map(_section, trainings()), _COMPOSED, configured.sections()])


def plots(training: Training) -> Iterator[tuple[str, str]]:
    """Yield the names and the SVG of a training's plots; groups of a parameter share one."""
    shown = {name.partition("/")[0]: name for name in sorted(training.spec.parameters)[::-1]}
    for parameter in sorted(shown.values()):
        for planned in _versions(training, parameter):
            steps, values = training.curve(parameter, planned=planned)
            if values.min() < values.max():
                title = f"{parameter} of {training.name}{' as planned' if planned else ''}"
                yield _file(training, parameter, planned=planned), svg(steps, values, title)


def write(folder: Path) -> None:
    """Write the page and its plots below a folder."""
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    (folder / "gallery.md").write_text(page())
    for training in trainings():
        for name, image in plots(training):
            (folder / "gallery" / name).write_text(image)
    for file in configured.every():
        for name, image in configured.plots(file):
            (folder / "gallery" / name).write_text(image)
    (folder / "gallery" / composed.FILE).write_text(composed.picture(composed.course()))


def _versions(training: Training, parameter: str) -> list[bool]:
    changed = any(parameter in change["changes"] for change in training.changes)
    return [True, False] if changed else [False]


def _file(training: Training, parameter: str, *, planned: bool) -> str:
    return f"{training.name}-{parameter.replace('/', '-')}{'-plan' if planned else ''}.svg"


def _section(training: Training) -> str:
    labels = training.body["labels"]
    files = [f"{training.name}.json"] + [f"{training.name}.changes.json"] * bool(training.changes)
    links = ", ".join(f"[{file}](../examples/runs/{file})" for file in files)
    images = "".join(
        f"![{name.removesuffix('.svg')}](gallery/{name})\n" for name, _ in plots(training)
    )
    return "\n".join(
        [
            f"## {labels['title']}\n",
            f"{labels['about']}\n",
            f"Source: {labels['source']}. Files: {links}.\n",
            images,
            *_table(training, "as planned", training.planned, planned=True),
            *_table(training, "as trained", training.trained, planned=False),
        ]
    )


def _table(
    training: Training, title: str, numbers: list[Number], *, planned: bool
) -> Iterator[str]:
    if not numbers:
        return
    unit = {"step": "step", "epoch": "epoch"}.get(training.spec.axis, training.spec.axis)
    yield f"| {title} | {unit} | published | served |\n|---|---|---|---|"
    for number in numbers:
        value = training.value(number.parameter, number.step, planned=planned)
        yield f"| `{number.parameter}` | {number.step:,} | {number.printed} | {value!r} |"
    yield ""


if __name__ == "__main__":
    write(Path(sys.argv[1]))

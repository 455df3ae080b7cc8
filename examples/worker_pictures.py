"""
The picture of ``docs/workers.md``: one of eight ranks departs from what was served.

Eight workers say what they applied to a service, whose answers are what is drawn::

    python examples/worker_pictures.py docs
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from digits.picture import STYLE
from digits.service import Service
from rheostat import Client

RANKS: Final = 8
ODD: Final = 3  # the rank whose rate is halved
DEPARTS: Final = 5_000  # and from which step on
WINDOW: Final = 256
FIRST, LAST = 18 * WINDOW, 23 * WINDOW  # the steps that are trained
PACE: Final = 200  # steps a second

WIDTH, LEFT, RIGHT = 880, 68, 24
TOP, CHART, ROW, BAR = 64, 120, 18, 13

MORE_STYLE: Final = """
  .served { stroke: var(--new); stroke-width: 2.5; fill: none }
  .applied { stroke: var(--late); stroke-width: 2.5; fill: none }
  .proven { fill: var(--old) } .differs { fill: var(--late) }
  .mark { stroke: var(--late); stroke-dasharray: 3 4 }
"""


class Seen(NamedTuple):
    """What became of the training."""

    steps: Sequence[int]
    served: Sequence[float]
    applied: Sequence[float]
    """By the odd rank."""
    differing: dict[str, list[int]]
    """The first wrong step of each window, by rank."""


def trained(url: str) -> Seen:
    """Let eight workers train, one of which halves its rate, and return what the service knows."""
    steps, served, applied = range(FIRST, LAST + 1), [], []  # one more ends the last window
    lr = {"kind": "cosine", "start": 4e-4, "end": 0.0, "steps": 10_000}
    create = {"parameters": {"lr": lr}, "total": 10_000}
    with ExitStack() as stack:
        ranks = [
            stack.enter_context(Client(url, worker=str(rank), pace=PACE)) for rank in range(RANKS)
        ]
        runs = [client.run("gpt", start=FIRST, create=create) for client in ranks]
        for step in steps:
            time.sleep(1 / PACE)
            for rank, run in enumerate(runs):
                value = run.value("lr", step)
                departs = rank == ODD and step >= DEPARTS
                used = value / 2 if departs else value  # what a second scheduler would do
                run.applied(step, {"lr": used})
                if rank == ODD:
                    served.append(value)
                    applied.append(used)
        with Client(url) as client:
            differing = _compared(client)
    return Seen(steps, served, applied, differing)


def _compared(client: Client) -> dict[str, list[int]]:
    """Wait until every window was compared, and return where they differ, by rank."""
    control = client.control("gpt")
    for _ in range(60):
        found: dict[str, list[int]] = {}
        for each in control.mismatches():
            found.setdefault(each["worker"], []).append(each["step"])
        proven = [each["proven_until"] for each in control.workers()["items"]]
        if proven.count(LAST) == RANKS - len(found) and all(map(_is_last, found.values())):
            return found
        time.sleep(1)
    sys.exit("the workers have not said all that they applied")


def _is_last(steps: Sequence[int]) -> bool:
    return max(steps) >= LAST - WINDOW


def picture(seen: Seen) -> str:
    """Draw the curve, and below it each rank's windows."""
    height = TOP + CHART + 24 + ROW * RANKS + 34
    bottom = height - 30
    at = _x(DEPARTS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(summary(seen))}</title>",
        f"<style>{STYLE}{MORE_STYLE}</style>",
        _text(0, 14, f"Rank {ODD} departs at step {DEPARTS:,}", "bold"),
        _text(0, 32, "What was served, what it applied, and the digests of all ranks.", "quiet"),
        *_legend(),
        *_curves(seen),
        *_windows(seen, TOP + CHART + 24),
        f'<path d="M{at:.1f},{TOP - 6}V{bottom}" class="mark"/>',
        *_axis(bottom),
    ]
    return "\n".join([*lines, "</svg>", ""])


def summary(seen: Seen) -> str:
    """Say what is seen."""
    (rank, steps), *others = seen.differing.items()
    if others:
        sys.exit(f"other ranks differ, too: {others}")
    first = ", ".join(f"{step:,}" for step in steps)
    return (
        f"Rank {rank} of {RANKS} applies half of what was served from step {min(steps):,} on."
        f" Its windows differ from the ledger, first at steps {first}; all others are proven."
    )


def _legend() -> Iterator[str]:
    words = (
        ("new", "served", 402),
        ("late-box", f"applied by rank {ODD}", 336),
        ("proven", "window proven", 208),
        ("differs", "window differs", 96),
    )
    for kind, word, left in words:
        style = "differs" if kind == "late-box" else kind
        flat = kind in {"new", "late-box"}
        y, tall = (8, 3) if flat else (4, 10)
        yield (
            f'<rect x="{WIDTH - left - 16}" y="{y}" width="10" height="{tall}" class="{style}"/>'
        )
        yield _text(WIDTH - left, 14, word, "quiet")


def _curves(seen: Seen) -> Iterator[str]:
    highest, lowest = max(seen.served), min(seen.applied)
    for value in (highest, lowest):
        said = f"{value:.1e}".replace("e-0", "e-")
        yield _text(LEFT - 10, _y(value, lowest, highest) + 4, said, "quiet end")
    for kind, values in (("applied", seen.applied), ("served", seen.served)):
        points = [
            f"{_x(step):.1f},{_y(value, lowest, highest):.1f}"
            for step, value in zip(seen.steps, values, strict=True)
            if _is_drawn(step) and (kind == "served" or step >= DEPARTS - 1)
        ]
        yield f'<path d="M{"L".join(points)}" class="{kind}"/>'


def _is_drawn(step: int) -> bool:
    return step % 16 == 0 or step in {DEPARTS - 1, DEPARTS}


def _windows(seen: Seen, top: float) -> Iterator[str]:
    for rank in range(RANKS):
        y = top + ROW * rank
        yield _text(LEFT - 10, y + BAR - 3, f"rank {rank}", "quiet end")
        wrong = {step // WINDOW for step in seen.differing.get(str(rank), ())}
        for start in range(FIRST, LAST, WINDOW):
            kind = "differs" if start // WINDOW in wrong else "proven"
            width = _x(start + WINDOW) - _x(start) - 3
            yield (
                f'<rect x="{_x(start) + 1.5:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"'
                f' class="{kind}"/>'
            )


def _axis(top: float) -> Iterator[str]:
    for step in range(FIRST, LAST + 1, WINDOW):
        yield f'<path d="M{_x(step):.1f},{top}v4" class="grid"/>'
        yield _text(_x(step), top + 18, f"{step:,}", "mid quiet")
    yield _text(_x(DEPARTS), top + 18, f"{DEPARTS:,}", "mid late")


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>'


def _x(step: float) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * (step - FIRST) / (LAST - FIRST)


def _y(value: float, lowest: float, highest: float) -> float:
    return TOP + CHART * (highest - value) / (highest - lowest)


def main() -> None:
    """Ask a service of its own, and write the picture."""
    folder = Path(sys.argv[1]) / "workers"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Service(Path(place)) as service:
        seen = trained(service.url)
    print(summary(seen))
    (folder / "departs.svg").write_text(picture(seen))


if __name__ == "__main__":
    main()

"""
What the number of a weight decay does, in real trainings: the table and picture of its manual.

One small network learns handwritten digits, each time by a run of a service, with another weight
decay. What is looked at is how large the weights become::

    python examples/weight_decay.py docs

writes ``docs/weight-decay.svg``, and prints the table of ``docs/weight-decay.md``. It takes
seconds. The same numbers come every time, up to the last digits that a processor rounds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from digits.network import Digits, accuracy, batches, digits
from digits.picture import STYLE
from digits.service import Service
from rheostat import Client, Run
from rheostat.torch import attach, decay_groups

STEPS: Final = 600
PEAK: Final = 4e-3
DECAY: Final = 1.0
RATE: Final = {
    "kind": "wsd",
    "peak": PEAK,
    "warmup": 60,
    "stable": "rest",
    "decay": 300,
    "end": PEAK / 10,
}
MEAN: Final = 0.003
"""What each update takes of a weight where the rate has no say."""


class Variant(NamedTuple):
    """A training: what the picture calls it, its optimizer, and the parameters of its run."""

    name: str
    words: str
    optimizer: type[torch.optim.Optimizer]
    parameters: dict[str, Any]
    """``weight_decay`` is the optimizer's; the loop reads ``shrink`` and ``l1`` itself."""


VARIANTS: Final = (
    Variant("none", "AdamW, 0", torch.optim.AdamW, {"weight_decay": 0.0}),
    Variant("constant", "AdamW, constant", torch.optim.AdamW, {"weight_decay": DECAY}),
    Variant(
        "follows",
        "AdamW, follows the rate",
        torch.optim.AdamW,
        {"weight_decay": {"kind": "follow", "parameter": "lr", "scale": DECAY / PEAK}},
    ),
    Variant(
        "apart", "apart from the rate", torch.optim.AdamW, {"weight_decay": 0.0, "shrink": MEAN}
    ),
    Variant("gradient", "Adam, in the gradient", torch.optim.Adam, {"weight_decay": DECAY}),
)
"""What is drawn."""
LASSO: Final = tuple(
    Variant(f"l1-{number:g}", f"{number:g}", torch.optim.Adam, {"weight_decay": 0.0, "l1": number})
    for number in (0.0, 1e-5, 1e-4)
)
"""The weights of an L1 penalty, of which the second table is."""


class Trained(NamedTuple):
    """What came of a training: what each update took, how large the weights were then."""

    variant: Variant
    taken: list[float]
    sizes: list[float]
    accuracy: float
    small: float
    """How many of the weights are below a thousandth."""


def network() -> Any:
    """Return the network, the same each time: two layers, and a norm between them."""
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(64, 64),
        torch.nn.LayerNorm(64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
    )


def train(run: Run, variant: Variant, images: tuple[Digits, Digits]) -> Trained:
    """Train to the end of the run."""
    model = network()
    groups = decay_groups(model, DECAY)
    weights = groups[0]["params"]
    optimizer: Any = variant.optimizer(groups, lr=PEAK)
    handle = attach(optimizer, run)
    names = set(run.parameters)
    taken, sizes = [], []
    for seen, labels in islice(batches(images[0], 0, 1), STEPS):
        loss = torch.nn.functional.cross_entropy(model(seen), labels)
        step = handle.step
        if "l1" in names:
            loss = loss + run.value("l1", step) * sum(each.abs().sum() for each in weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shrink = run.value("shrink", step) if "shrink" in names else 0.0
        with torch.no_grad():
            for each in weights:
                each.mul_(1 - shrink)
        group = optimizer.param_groups[0]
        taken.append(group["lr"] * group["weight_decay"] + shrink)
        sizes.append(size(weights))
    every = torch.cat([each.detach().flatten() for each in weights])
    small = (every.abs() < 1e-3).float().mean().item()
    return Trained(variant, taken, sizes, accuracy(model, images[1]), small)


def size(weights: Iterable[Any]) -> float:
    """Return the root of the mean square of all weights that decay."""
    every = torch.cat([each.detach().flatten() for each in weights])
    return float(every.square().mean().sqrt())


def trainings(url: str) -> tuple[list[Trained], list[Trained]]:
    """Return what came of each weight decay, and of each L1 penalty."""
    torch.set_num_threads(1)
    images = digits()
    with Client(url) as client:
        decayed = [train(made(client, each), each, images) for each in VARIANTS]
        sparse = [train(made(client, each), each, images) for each in LASSO]
    return decayed, sparse


def made(client: Client, variant: Variant) -> Run:
    """Create the run of a training, with the rate that all of them have."""
    definitions = {
        name: {"kind": "constant", "value": each} if isinstance(each, float) else each
        for name, each in variant.parameters.items()
    }
    body = {"parameters": {"lr": RATE, **definitions}, "total": STEPS}
    return client.run(variant.name, create=body)


def table(decayed: Sequence[Trained], sparse: Sequence[Trained]) -> Iterator[str]:
    """Yield the lines of the manual's two tables."""
    yield "| weight decay | size at step 300 | at 600 | accuracy |"
    yield "|---|---|---|---|"
    for each in decayed:
        middle, last = each.sizes[STEPS // 2 - 1], each.sizes[-1]
        yield f"| {each.variant.words} | {middle:.3f} | {last:.3f} | {each.accuracy:.1%} |"
    yield ""
    yield "| `l1` | size | weights below 0.001 | accuracy |"
    yield "|---|---|---|---|"
    for each in sparse:
        last = each.sizes[-1]
        yield f"| {each.variant.words} | {last:.3f} | {each.small:.0%} | {each.accuracy:.1%} |"


WIDTH, LEFT, RIGHT = 880, 60, 190
UPPER, LOWER, TOP, GAP = 120, 190, 40, 70
HIGHEST: Final = PEAK * DECAY
COLOURS: Final = {
    "none": ("#8c959f", "#8c959f"),
    "constant": ("#1d5fc4", "#6aa8ff"),
    "follows": ("#1a7f37", "#57ab5a"),
    "apart": ("#c2410c", "#ff9254"),
    "gradient": ("#8250df", "#c297ff"),
}


def picture(decayed: Sequence[Trained]) -> str:
    """Draw what each update takes of a weight, and below it how large the weights are."""
    height = TOP + UPPER + GAP + LOWER + 34
    summary = "; ".join(f"{each.variant.words}: {each.sizes[-1]:.3f}" for each in decayed)
    below = TOP + UPPER + GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>Size of the weights at the end: {escape(summary)}</title>",
            f"<style>{STYLE}{''.join(_styles())}</style>",
            _text(0, 14, "What one update takes of a weight: rate × decay", "name"),
            *_axis(TOP, UPPER, HIGHEST, 1e-3, "{:.3f}"),
            *_lines([each for each in decayed if each.variant.name != "gradient"], TOP),
            _text(0, below - 24, "How large the weights are: root of their mean square", "name"),
            *_axis(below, LOWER, _largest(decayed), 0.05, "{:.2f}"),
            *_sizes(decayed, below),
            *_steps(below + LOWER + 20),
            "</svg>",
            "",
        ]
    )


def _styles() -> Iterator[str]:
    for name, (light, _) in COLOURS.items():
        yield f"  .{name} {{ stroke: {light} }} text.{name} {{ fill: {light}; stroke: none }}\n"
    yield "  polyline { stroke-width: 2; fill: none; stroke-linejoin: round }\n"
    yield "  @media (prefers-color-scheme: dark) {\n"
    for name, (_, dark) in COLOURS.items():
        yield f"    .{name} {{ stroke: {dark} }} text.{name} {{ fill: {dark} }}\n"
    yield "  }\n"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:.4g}" class="{kind}">{escape(text)}</text>'


def _axis(top: float, height: float, highest: float, unit: float, form: str) -> Iterator[str]:
    count = round(highest / unit)
    for number in range(count + 1):
        y = top + height * (1 - number / count)
        yield f'<path d="M{LEFT},{y:.4g}H{WIDTH - RIGHT}" class="grid"/>'
        yield _text(LEFT - 10, y + 4, form.format(number * unit), "quiet end")


def _steps(y: float) -> Iterator[str]:
    for step in range(0, STEPS + 1, 100):
        kind = "quiet" if step == 0 else "quiet mid"
        yield _text(_x(step), y, f"{step}" if step else "step 0", kind)


def _lines(shown: Sequence[Trained], top: float) -> Iterator[str]:
    yield from _drawn(shown, [each.taken for each in shown], top, UPPER, HIGHEST)


def _sizes(shown: Sequence[Trained], top: float) -> Iterator[str]:
    yield from _drawn(shown, [each.sizes for each in shown], top, LOWER, _largest(shown))


def _drawn(
    shown: Sequence[Trained],
    series: Sequence[Sequence[float]],
    top: float,
    height: float,
    highest: float,
) -> Iterator[str]:
    """Draw a line for each, and their names at its end, which keep apart from each other."""
    ends = []
    for each, values in zip(shown, series, strict=True):
        points = " ".join(
            f"{_x(step):.1f},{top + height * (1 - value / highest):.1f}"
            for step, value in enumerate(values)
            if step % 4 == 0 or step == STEPS - 1
        )
        yield f'<polyline points="{points}" class="{each.variant.name}"/>'
        ends.append((top + height * (1 - values[-1] / highest), each.variant))
    y = -1e9
    for wanted, variant in sorted(ends):
        y = max(wanted + 4, y + 15)
        yield _text(WIDTH - RIGHT + 8, y, variant.words, variant.name)


def _largest(decayed: Sequence[Trained]) -> float:
    return 0.05 * -(-max(max(each.sizes) for each in decayed) // 0.05)


def _x(step: float) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * step / STEPS


def main(folder: Path) -> None:
    """Train, write the picture, print the table."""
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory)) as service:
        decayed, sparse = trainings(service.url)
    (folder / "weight-decay.svg").write_text(picture(decayed))
    print("\n".join(table(decayed, sparse)))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

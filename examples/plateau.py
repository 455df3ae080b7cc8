"""
Train one network with a cosine and a plateau that cuts it, as the gallery shows it.

The run is ``control/plateau.json``; what was measured is left in ``control/plateau.reports.json``.
A fourth part of the training's labels is wrong on purpose, so that the loss stands still at a level
that the learning rate gives, and falls when that is cut::

    python examples/plateau.py

Needs PyTorch and scikit-learn, and starts a service of its own.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy

from digits.network import digits
from digits.service import Service
from rheostat import Client
from rheostat.torch import RheostatLR

FOLDER: Final = Path(__file__).parent / "control"
BATCH, WRONG, EVERY = 8, 0.25, 100


def train(url: str, body: dict[str, Any]) -> list[tuple[int, float]]:
    """Train, and return what was reported: steps and losses."""
    train, test = digits()
    random = torch.Generator().manual_seed(1)
    wrong = torch.rand(len(train.labels), generator=random) < WRONG
    train.labels[wrong] = torch.randint(0, 10, (int(wrong.sum()),), generator=random)
    torch.manual_seed(2)
    layers = torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    model = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    optimizer = torch.optim.SGD(model.parameters(), weight_decay=1e-3)
    reports = []
    with Client(url) as client:
        run = client.run(body["name"], create=body)
        scheduler = RheostatLR(optimizer, run)
        for step in range(1, body["total"] + 1):
            chosen = torch.randint(0, len(train.labels), (BATCH,), generator=random)
            optimizer.zero_grad()
            cross_entropy(model(train.images[chosen]), train.labels[chosen]).backward()
            optimizer.step()
            if step % EVERY == 0:
                with torch.no_grad():
                    loss = float(cross_entropy(model(test.images), test.labels))
                reports.append((step, loss))
                run.report(step, {"val_loss": loss}, wait=True)
            if step < body["total"]:
                scheduler.step()
    return reports


def main() -> None:
    """Train with a service of its own, and write the reports."""
    body = json.loads((FOLDER / "plateau.json").read_text())
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        reports = train(service.url, body)
        with Client(service.url) as client:
            decisions = client.control(body["name"]).decisions("plateau")
    for one in decisions:
        print(f"report of step {one['step']}: {one['decision']}, revision {one['revision']}")
    rows = ",\n".join(f"  [{step}, {loss!r}]" for step, loss in reports)
    (FOLDER / "plateau.reports.json").write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()

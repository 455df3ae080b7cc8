"""
A training that has the package ``pytorch_lightning``, and not ``lightning``.

usage: lightning_older.py <address of the run> <folder>
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytorch_lightning as pl
import torch
from tests.frameworks.conftest import rates_of
from tests.frameworks.test_lightning import loader

from rheostat.lightning import RheostatCallback


class Small(pl.LightningModule):  # type: ignore[misc]
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Return a loss."""
        del batch_idx
        return self.layer(batch[0]).mean()

    def configure_optimizers(self) -> Any:
        """Return an optimizer that is looked at."""
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        self.used = rates_of(optimizer)
        return optimizer


def main(address: str, folder: str) -> None:
    """Print one JSON object."""
    model, callback = Small(), RheostatCallback(address)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fit = pl.Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[callback], default_root_dir=folder, **quiet
    )
    fit.fit(model, loader())
    bases = [base.__module__.partition(".")[0] for base in type(callback).__bases__]
    print(json.dumps({"used": model.used, "modules": bases}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])

"""
One of two ranks that train with Lightning, and print what each update used.

usage: lightning_ranks.py <url> <run> <folder>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.frameworks.test_lightning import follow, loader, module, trainer


def main(address: str, folder: str) -> None:
    """Print one JSON object."""
    model, callback = module(), follow(address)
    fit = trainer(Path(folder), callback, devices=2, strategy="ddp", num_sanity_val_steps=0)
    fit.fit(model, loader(), loader(2))
    told = {"ranks": fit.world_size, "used": model.used, "global_step": fit.global_step}
    print(json.dumps(told))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])

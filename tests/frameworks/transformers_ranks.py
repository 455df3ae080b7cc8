"""
One of two ranks with a Trainer, or TRL's, and what each of its updates used.

usage: transformers_ranks.py <address of a run> <folder> [trl]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.frameworks.trainers import train


def main(address: str, folder: str, library: str = "transformers") -> None:
    """Print one JSON object."""
    if library == "trl":
        from tests.frameworks.test_trl import fine_tuning as build
    else:
        from tests.frameworks.test_transformers import tiny as build
    trainer = build(Path(folder), save_strategy="steps", save_steps=100)
    used = train(trainer, address)
    told = {"ranks": trainer.args.world_size, "used": used}
    print(json.dumps(told))  # noqa: T201 - read by the test
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])

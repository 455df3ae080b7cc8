"""
One of two processes of JAX that train together, and print what each update used.

usage: optax_ranks.py <url> <run> <another run>
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import jax

RANK, RANKS = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def main(url: str, *names: str) -> None:
    """Print one JSON object."""
    jax.distributed.initialize(
        f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}", RANKS, RANK
    )
    from tests.frameworks.test_optax import LR, Training

    from rheostat import Client
    from rheostat.errors import Conflict, RheostatError
    from rheostat.optax import Hyperparams

    told: dict[str, Any] = {"ranks": jax.process_count()}
    with Client(url, deadline=60) as client:
        training = Training(client.run(names[0]))
        training.train(12)
        told |= {"used": training.used, "job": training.numbers.run.job}
        try:
            Hyperparams(client.run(names[RANK]), LR)
        except Conflict as error:
            told["apart"] = str(error)
        try:
            Hyperparams(client.run(names[0]), [LR, {"no": "learning_rate"}][RANK])
        except RheostatError as error:
            told["one"] = str(error) if RANK == 0 else "1 of 2 failed"
    print(json.dumps(told))  # noqa: T201 - read by the test
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""
One of two ranks that train with Keras on JAX, and print what each update used.

usage: keras_ranks.py <url> <run> <another run>
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
    import keras
    from tests.frameworks.test_keras import Training

    from rheostat import Client
    from rheostat.errors import Conflict

    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    told: dict[str, Any] = {"ranks": jax.process_count()}
    with Client(url, deadline=60) as client:
        training = Training(client.run(names[0]))
        training.fit()
        told["used"] = training.used
        try:
            Training(client.run(names[RANK])).fit()
        except Conflict as error:
            told["apart"] = str(error)
    print(json.dumps(told))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])

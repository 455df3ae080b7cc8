"""
One worker of `rheostat demo`: reads the learning rate at every step, as a trainer would.

Prints one line per step, from step 0 on: the value in hexadecimal, every bit of it.
"""

from __future__ import annotations

import logging
import random
import sys
import time

from rheostat.client import Client
from rheostat.errors import Finished


def train(url: str, name: str, seconds_per_step: float, lookahead: float) -> None:
    """Train until the run is finished."""
    with Client(url, lookahead=lookahead) as client:
        run = client.run(name)
        step = 0
        while True:
            try:
                value = run.value("lr", step)
            except Finished:
                return
            print(value.hex(), flush=True)
            time.sleep(seconds_per_step * random.uniform(0.8, 1.2))
            step += 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    train(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))

"""
One of two ranks that train with DeepSpeed's ZeRO, and print what each update used.

usage: deepspeed_ranks.py <url> <run>
"""

from __future__ import annotations

import json
import sys

from tests.frameworks.test_deepspeed import Training, on_this_machine

from rheostat import Client

SHARED = {"zero_optimization": {"stage": 1}, "zero_allow_untested_optimizer": True}


def main(url: str, name: str) -> None:
    """Print one JSON object."""
    on_this_machine()
    with Client(url, deadline=60) as client:
        training = Training(client.run(name), **SHARED).train(12)
    told = {"ranks": training.engine.world_size, "used": training.used}
    print(json.dumps(told))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])

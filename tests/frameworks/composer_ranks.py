"""
One of two ranks that train with Composer, and print what each update used.

usage: composer_ranks.py <url> <run>
"""

from __future__ import annotations

import json
import os
import sys

from tests.frameworks.stand_ins import stand_in_for
from tests.frameworks.test_composer import Training

from rheostat import Client


def main(url: str, name: str) -> None:
    """Print one JSON object."""
    stand_in_for("torchvision", "mcli")
    os.environ.setdefault("NODE_RANK", "0")
    from composer.utils import dist

    dist.initialize_dist("cpu")
    with Client(url, deadline=60) as client:
        training = Training(client.run(name)).fit()
    print(json.dumps({"ranks": dist.get_world_size(), "used": training.used}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])

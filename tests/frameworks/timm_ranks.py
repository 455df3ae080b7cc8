"""
One of two ranks that train a model of timm's kind, and print what the head used.

usage: timm_ranks.py <url> <run>
"""

from __future__ import annotations

import json
import sys

import torch
from tests.frameworks.stand_ins import stand_in_for
from tests.frameworks.test_timm import Training, model_of

from rheostat import Client


def main(url: str, name: str) -> None:
    """Print one JSON object."""
    stand_in_for("torchvision")
    torch.distributed.init_process_group("gloo")
    with Client(url, deadline=60) as client:
        model = model_of()
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        training = Training(client.run(name), model=model)
        training.model = wrapped
        training.epoch()
    scale = training.optimizer.param_groups[0]["lr_scale"]
    print(json.dumps({"used": [rate / scale for rate in training.used]}))  # noqa: T201
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])

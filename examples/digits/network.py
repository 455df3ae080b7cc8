"""Handwritten digits (1,797 images of 8 × 8, bundled with scikit-learn) and a small network."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from sklearn.datasets import load_digits

TEST_IMAGES = 360
BATCH = 64


class Digits(NamedTuple):
    """Images as float32 of shape (n, 1, 8, 8) in [0, 1], labels as int64 of shape (n,)."""

    images: Any
    labels: Any


def digits() -> tuple[Digits, Digits]:
    """Return the training set and the test set: always the same split."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.images, dtype=torch.float32).div(16).unsqueeze(1)[order]
    labels = torch.tensor(data.target)[order]
    train = Digits(images[TEST_IMAGES:], labels[TEST_IMAGES:])
    return train, Digits(images[:TEST_IMAGES], labels[:TEST_IMAGES])


def batches(data: Digits, rank: int, ranks: int) -> Iterator[Digits]:
    """Yield this rank's share of each batch, epoch after epoch, in the same order every time."""
    generator = torch.Generator().manual_seed(1)
    while True:
        for chosen in torch.randperm(len(data.labels), generator=generator).split(BATCH):
            if len(chosen) == BATCH:
                mine = chosen[rank::ranks]
                yield Digits(data.images[mine], data.labels[mine])


def network() -> Any:
    """Return a small convolutional network, initialised alike on every rank."""
    torch.manual_seed(2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(512, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
    )


def accuracy(model: Any, data: Digits) -> float:
    """Return the fraction of images that the model reads right."""
    with torch.no_grad():
        return float((model(data.images).argmax(1) == data.labels).float().mean())


def weights(model: Any) -> array[float]:
    """Return all parameters, float32."""
    return array("f", torch.nn.utils.parameters_to_vector(model.parameters()).tolist())

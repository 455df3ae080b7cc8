"""A network of 27 layers, each with a learning rate of its own, as fine-tuning often has it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

LAYERS, WIDTH = 27, 48
NAMES = [f"l{number:02}" for number in range(LAYERS)]
"""The parameter groups, from the input on; their learning rates are ``lr/l00`` to ``lr/l26``."""


class DeepNetwork(torch.nn.Module):  # type: ignore[misc] # mypy sees no PyTorch
    """The first layer widens an image, the last one names the digit, all others add a little."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        sizes = [64, *[WIDTH] * (LAYERS - 1), 10]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, images: Any) -> Any:
        """Return the logits, of shape (n, 10)."""
        first, *middle, last = self.layers
        found = first(images.flatten(1))
        for layer in middle:
            found = found + 0.3 * functional.relu(layer(functional.layer_norm(found, [WIDTH])))
        return last(functional.layer_norm(found, [WIDTH]))

    def groups(self) -> list[dict[str, Any]]:
        """Return the parameter groups of an optimizer, a layer each."""
        pairs = zip(NAMES, self.layers, strict=True)
        return [{"name": name, "params": [*layer.parameters()]} for name, layer in pairs]

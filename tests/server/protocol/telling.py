"""Telling a history to the service and to the model, with a bug planted or without."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from tests.server.protocol.checker import Checker
from tests.server.protocol.state import Run

Plant = Callable[[pytest.MonkeyPatch], None]
Story = Callable[[Checker, Run], None]
Tell = Callable[[Story], None]


def assert_caught(plant: Plant, story: Story, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the check find no fault with a history, and find one with the bug planted."""
    tell(story)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        tell(story)


def plants_in(module: ModuleType) -> set[Plant]:
    """Return the planted bugs of a module."""
    return {
        item
        for name, item in vars(module).items()
        if getattr(item, "__module__", "") == module.__name__ and not name.startswith("_")
    }

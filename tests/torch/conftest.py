"""Runs on a real server, and small optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from rheostat import Client, Run


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    """Return a client of the shared server."""
    with Client(server, deadline=60) as client:
        yield client


class NewRun(Protocol):
    """Creates and joins a run of a new name."""

    def __call__(self, options: dict[str, Any] | None = None, **parameters: Any) -> Run:
        """Return it; a number stands for a constant."""


@pytest.fixture
def new_run(client: Client, new_name: Callable[[], str]) -> NewRun:
    """Create runs, each under a name of its own."""

    def create(options: dict[str, Any] | None = None, **parameters: Any) -> Run:
        definitions = {
            name.replace("__", "/"): value if isinstance(value, dict) else constant(value)
            for name, value in parameters.items()
        }
        return client.run(new_name(), create={"parameters": definitions, **(options or {})})

    return create


def constant(value: float) -> dict[str, Any]:
    """Return the definition."""
    return {"kind": "constant", "value": value}

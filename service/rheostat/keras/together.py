"""The processes that train one model: they join together, and the first of them speaks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras

from rheostat.adapters import position

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.adapters import Session


def join(attempt: Callable[[], tuple[Session, int]]) -> Session:
    """
    Join a run on all processes, or raise on all.

    Raises:
        Conflict: They do not agree on run, generation and step, or one of them failed.
        RheostatError: What ``attempt`` raised here.

    """
    backend = keras.backend.backend()
    if backend == "jax":
        session: Session = import_module("rheostat.optax.processes").join_together(attempt)
        return session
    if backend == "torch":
        ranks = import_module("rheostat.torch.ranks")
        joined: list[Session] = []

        def tell() -> Any:
            session, step = attempt()
            joined.append(session)
            return position(session.run, step)

        ranks.require_one(ranks.on_all_ranks(tell))
        return joined[0]
    return attempt()[0]


def is_first() -> bool:
    """Whether this process is the one that reports, and saves."""
    backend = keras.backend.backend()
    if backend == "jax":
        return bool(import_module("jax").process_index() == 0)
    if backend == "torch":
        return bool(import_module("rheostat.torch.ranks").is_first())
    return True

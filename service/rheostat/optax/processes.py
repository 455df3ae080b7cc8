"""What all processes of a JAX program do together: all of them succeed, or all raise."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from rheostat.adapters import Position, position
from rheostat.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.adapters import Session

BYTES = 4096
"""What each process tells the others, at most: JAX gathers arrays of one size."""


def join_together(attempt: Callable[[], tuple[Session, int]]) -> Session:
    """
    Join a run on every process, and return the session, if all of them are at one position.

    A collective call where JAX has several processes: if joining fails on one of them, or they are
    at different positions, all raise, so that none waits for another one. All ranks then beat as
    one job.

    Raises:
        RheostatError: What ``attempt`` raised on this process.
        Conflict: It failed on another process, or they joined at different positions.

    """
    import jax  # noqa: PLC0415 - whoever joins has it, and nobody else needs it

    session = None
    mine: dict[str, Any] = {}
    failure: Exception | None = None
    try:
        session, step = attempt()
        mine["at"] = position(session.run, step)
        mine["job"] = session.run.job or uuid.uuid4().hex
    except Exception as error:  # noqa: BLE001 - whatever it is, the others must not wait
        failure = error
        mine["failed"] = f"{type(error).__name__}: {error!s:.1000}"
    told = gathered(mine) if jax.process_count() > 1 else [mine]
    if failure is not None:
        raise failure
    require_one(told)
    assert session is not None  # noqa: S101 - what failed was raised
    session.run.job = told[0]["job"]
    return session


def require_one(told: list[dict[str, Any]]) -> None:
    """Raise `Conflict` unless all processes have joined, and at one position."""
    for process, each in enumerate(told):
        if "failed" in each:
            raise Conflict(f"process {process} of {len(told)} failed: {each['failed']}")
    first = told[0]["at"]
    for process, each in enumerate(told):
        if each["at"] != first:
            raise Conflict(
                "the processes do not agree: process 0 is at"
                f" {Position(*first)}, process {process} at {Position(*each['at'])}"
            )


def gathered(mine: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what every process tells, in their order: a collective call."""
    import numpy as np  # noqa: PLC0415 - JAX has it
    from jax.experimental import multihost_utils  # noqa: PLC0415

    text = json.dumps(mine).encode().ljust(BYTES)
    rows = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
    return [json.loads(np.asarray(row, np.uint8).tobytes()) for row in rows]

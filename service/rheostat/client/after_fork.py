"""
After a fork the child has its parent's sockets and locks, but none of its threads.

What holds either registers here, and is renewed in the child before anything else runs there.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something that can replace what a fork broke."""

    def _renew(self) -> None: ...


def renew_in_children(thing: Renewable) -> None:
    """Have the thing renewed in every process that is forked from this one."""
    _things.add(thing)


def _renew_all() -> None:
    for thing in list(_things):
        thing._renew()  # noqa: SLF001 - nobody else is to call it


_things: WeakSet[Renewable] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)

"""How long the store waits for a database before it says that it cannot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """
    Seconds; each is longer than the one before, so that the clearest of the reasons is found first.

    A server whose callers wait has little, and a command that works through a whole database much.
    """

    connect: int = 3
    """Until a new connection is there."""
    statement: float = 5
    """For one statement of PostgreSQL's; 0 is no limit."""
    answer: float = 6
    """Without a word from PostgreSQL, after which the connection is dropped."""
    operation: float = 8
    """For an operation or a read in all, after which its caller is answered 503."""


UNHURRIED = Patience(connect=10, statement=0, answer=3_600, operation=7_200)
"""Of commands that somebody waits for."""

"""Tokens and roles: who asks, and what they may do. A secret is shown once, and never kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rheostat import wire

if TYPE_CHECKING:
    from rheostat.server.runs.token_limit import TokenLimit

PREFIX = "rheo_"
"""How every secret begins, so that scanners of repositories and logs know one."""


class Role(StrEnum):
    """What a caller may do: all that the roles before may, and more."""

    VIEWER = "viewer"
    PROPOSER = "proposer"
    WORKER = "worker"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        return ORDER.index(self) >= ORDER.index(needed)


ORDER = tuple(Role)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept and shown. Times are ISO 8601, in UTC."""

    name: str
    role: Role
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    runs: str | None = None
    """The selector of the runs that it knows of; None: all."""
    limit: TokenLimit | None = None
    """What it may do to a run, if less than its role may."""

    def to_json(self) -> wire.Token:
        """Return the wire form."""
        return {
            "name": self.name,
            "role": self.role.value,
            "created_at": self.created_at,
            "created_by": self.created_by,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
            "runs": self.runs,
            "limit": None if self.limit is None else str(self.limit),
        }

    def flaw(self, now: str) -> str | None:
        """Return why it cannot be used at this time, or None if it can."""
        if self.revoked_at is not None:
            return f"the token {self.name} was revoked at {self.revoked_at}"
        if self.expires_at is not None and self.expires_at <= now:
            return f"the token {self.name} expired at {self.expires_at}"
        return None


def new_secret() -> str:
    """Return the secret of a new token: 160 random bits, for which a plain hash is enough."""
    return PREFIX + secrets.token_hex(20)


def new_session() -> str:
    """Return what a browser has of a new session: 256 random bits that mean nothing."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the SHA-256 hash under which a token or a session is kept, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""Tokens: who asks, and in which role. A token's secret is shown once, and never kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import NAME
from rheostat.server.docstrings import Documented
from rheostat.server.roles import Role

PREFIX = "rheo_"
"""How every secret begins, so that scanners of repositories and logs know one."""

FUTURE = "an ISO 8601 time with its offset from UTC, in the future"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept and shown. Times are ISO 8601, in UTC."""

    name: str
    role: Role
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None

    def to_json(self) -> wire.Token:
        """Return the wire form."""
        return {
            "name": self.name,
            "role": self.role.to_json(),
            "created_at": self.created_at,
            "created_by": self.created_by,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
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


def hash_of(secret: str) -> str:
    """Return the SHA-256 hash under which a secret's token is kept, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


class NewToken(Documented):
    """A token as it is asked for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Who will use it: the author of the changes that are made with it."""

    role: wire.Role
    """What it may do."""

    expires_at: Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})] | (
        None
    ) = None
    """When it ceases to work, in ISO 8601 with the offset from UTC; by default never."""

    def expiry(self) -> str | None:
        """Return when it ceases to work, as it is stored; raise `Invalid` unless in the future."""
        if self.expires_at is None:
            return None
        try:
            moment = datetime.fromisoformat(self.expires_at)
            if moment.tzinfo is not None and moment > datetime.now(UTC):
                return moment.astimezone(UTC).isoformat(timespec="microseconds")
        except (ValueError, OverflowError):
            pass
        message = f"expires_at must be {FUTURE}"
        wrong = [FieldError("expires_at", message, self.expires_at, FUTURE)]
        raise Invalid("The token is refused.", errors=wrong)


NEW_TOKEN = TypeAdapter(NewToken)

"""Roles: what a caller may do."""

from __future__ import annotations

from enum import StrEnum

from rheostat import wire


class Role(StrEnum):
    """What a caller may do: all that the roles before may, and more."""

    VIEWER = "viewer"
    WORKER = "worker"
    OPERATOR = "operator"
    ADMIN = "admin"

    def to_json(self) -> wire.Role:
        """Return the role as it is written."""
        return self.value

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        return ORDER.index(self) >= ORDER.index(needed)


ORDER = tuple(Role)

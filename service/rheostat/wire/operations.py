"""Access, and the state of the service."""

from typing import Literal, NotRequired, TypedDict

from rheostat.wire.common import Page, Role


class Token(TypedDict):
    """A token, without its secret."""

    name: str
    role: Role
    created_at: str
    created_by: str | None
    expires_at: str | None
    """When it ceases to work; null: never."""
    revoked_at: str | None
    runs: str | None
    """Selector of the runs that it knows of; null: all. To it, all others are not there."""


TokenPage = Page[Token]


class IssuedToken(Token):
    """A token that was made just now."""

    token: str
    """The secret, which nobody can be told again."""


class Access(TypedDict):
    """Who asks."""

    name: str | None
    """The token's name; null at a server that requires none."""
    role: Role
    runs: str | None
    """Selector of the runs that the token knows of; null: all."""


class Session(TypedDict):
    """Who looks at the page."""

    required: bool
    """Whether this server requires tokens; if not, there is nothing to sign in to."""
    name: str | None
    """The token's name; null: nobody is signed in, or no tokens are required."""
    role: Role | None
    """What may be done; null: nothing before somebody signs in."""
    runs: str | None
    """Selector of the runs that the token knows of; null: all."""
    expires_at: str | None
    """When the session ends unless it is used before; null: no session asks."""


class Health(TypedDict):
    """The process handles requests."""

    status: Literal["alive"]


class Readiness(TypedDict):
    """The database can be read and written."""

    status: Literal["ready"]


class Attached(TypedDict):
    """It was heard that a client of a local server is there."""

    stays: float | None
    """Seconds for which the server stays if nothing more is heard; null: it stays anyway."""


class Index(TypedDict):
    """Where things are: each is a path of this service."""

    service: str
    version: str
    openapi: str
    kinds: str
    runs: str
    schedules: str
    metrics: str
    docs: NotRequired[str]
    """Not there if the interactive documentation is switched off."""

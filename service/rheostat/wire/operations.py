"""Access, and the state of the service."""

from typing import Any, Literal, NotRequired, TypedDict

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
    limit: str | None
    """What it may do to each run, such as `changes=20/day, gap=500`; null: as its role may."""


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
    limit: str | None
    """What the token may do to each run; null: as its role may."""
    may: list[str]
    """What it may do to a run: `propose`, `note`, and acts such as `change`, as far as is left."""


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
    limit: str | None
    """What the token may do to each run; null: as its role may."""
    expires_at: str | None
    """When the session ends unless it is used before; null: no session asks."""


class Audited(TypedDict):
    """What somebody did: one row for each operation that changed something."""

    number: int
    """Rises with time, nearly: of two that were made at once, either may have the smaller one."""
    at: str
    who: str | None
    """The name of a token, or the author that a caller without one gave; null: neither."""
    address: str | None
    """Of whoever sent the request; null: it was done on the database itself."""
    action: str
    run_id: str | None
    run_name: str | None
    subject: str | None
    """What else it was done to: a token, a schedule, a controller, a revision."""
    request_id: str | None
    outcome: dict[str, Any]
    """What came of it, such as the number of the revision that it made."""


AuditPage = Page[Audited]


class PurgedItem(TypedDict):
    """A run or a token that was removed, or would be."""

    id: str | None
    """Of a run; null of a token."""
    name: str
    at: str
    """When it was finished, revoked, or expired."""
    kept: str | None
    """Why it stays; null: it goes."""


class Purged(TypedDict):
    """What was removed for good, or would be."""

    what: Literal["runs", "tokens", "audit"]
    before: str
    """What had its end before this went, or would."""
    dry_run: bool
    deleted: int
    items: list[PurgedItem]
    """Runs and tokens one by one, at most 100; of the audit, none."""
    next: str | None
    """The `cursor` that goes on; null: nothing is left."""


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

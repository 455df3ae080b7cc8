"""`rheostat token …`: who may do what, asked of a service or done on its database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

import typer

from rheostat.cli import options
from rheostat.cli.answers import Answer, answering, confirm, default_author
from rheostat.cli.commands.serving import opened, settings_of
from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left
from rheostat.server.tokens import Role

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Who uses it: the author of what is done with it.")
]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Work on this database itself, and ask no service.",
        show_default="RHEOSTAT_DATABASE, if neither a service nor a token is given",
    ),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", envvar="RHEOSTAT_URL", help="Ask this service."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", envvar="RHEOSTAT_TOKEN", help="An admin's token."),
]


class Tokens(Protocol):
    """What keeps tokens: a service, or a database."""

    def list(self) -> Sequence[Mapping[str, Any]]:
        """Return all tokens."""

    def create(self, name: str, role: Any, *, expires_at: str | None = None) -> Mapping[str, Any]:
        """Make a token."""

    def revoke(self, name: str) -> None:
        """Revoke a token."""


@answering
def create(
    name: Name,
    role: Annotated[Role, typer.Option(help="What it may do: all that the roles before may.")],
    days: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=36_500, help="Days until it expires.", show_default="never"
        ),
    ] = None,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Answer:
    """
    Make a token, and print it. It is kept nowhere, and cannot be shown again.

    \b
    rheostat token create ann --role admin --database sqlite:///rheostat.db
    rheostat token create ci --role worker --days 90 --server http://rheostat:8000

    The first one is made on the database, by whoever can open it; further ones also by a service,
    which wants an admin's token.
    """
    expires_at = None if days is None else (datetime.now(UTC) + timedelta(days)).isoformat()
    with _tokens(database, server, token) as tokens:
        return Answer(tokens.create(name, role.value, expires_at=expires_at), _draw_made)


@answering
def list_tokens(database: Database = None, server: Server = None, token: Token = None) -> Answer:
    """List the tokens, oldest first, those that were revoked or have expired among them."""
    with _tokens(database, server, token) as tokens:
        return Answer(tokens.list(), _draw_list)


@answering
def revoke(
    name: Name,
    yes: options.Yes = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Answer:
    """Revoke a token: within seconds, every process of the service refuses it."""
    confirm(f"Revoke the token {name}? Whoever uses it is shut out.", yes=yes)
    with _tokens(database, server, token) as tokens:
        tokens.revoke(name)
    return Answer({"revoked": name}, _draw_revoked)


@contextmanager
def _tokens(database: str | None, server: str | None, token: str | None) -> Iterator[Tokens]:
    if database is None and (server or token):
        from rheostat.cli.connecting import connect  # httpx loads slowly

        with connect(server or options.DEFAULT_URL, token) as client:
            yield client.tokens
    else:
        with _stored(database) as tokens:
            yield tokens


@contextmanager
def _stored(database: str | None) -> Iterator[Tokens]:
    from rheostat.server.store.opening import StoredTokens  # the server loads slowly

    with opened(settings_of(database)) as store:
        yield StoredTokens(store, default_author())


def _draw_made(screen: Screen, made: Mapping[str, Any]) -> None:
    screen.pairs(
        ("token", made["token"]),
        ("name", made["name"]),
        ("role", made["role"]),
        ("expires", made["expires_at"] or "never"),
    )
    screen.line("Keep it now: only a hash of it is stored, and it is not shown again.")


def _draw_list(screen: Screen, items: Sequence[Mapping[str, Any]]) -> None:
    if not items:
        screen.line("No tokens. Make one:  rheostat token create NAME --role admin")
        return
    columns = [left(name) for name in ("NAME", "ROLE", "BY", "CREATED", "STATE")]
    rows = (
        (
            item["name"],
            item["role"],
            item["created_by"] or "",
            text.when(item["created_at"]),
            _state(item),
        )
        for item in items
    )
    screen.table(columns, rows)


def _state(item: Mapping[str, Any]) -> str:
    if item["revoked_at"]:
        return f"revoked {text.when(item['revoked_at'])}"
    if not item["expires_at"]:
        return "in use"
    expiry = datetime.fromisoformat(item["expires_at"])
    verb = "expired" if expiry <= datetime.now(UTC) else "expires"
    return f"{verb} {expiry:%Y-%m-%d %H:%M} UTC"


def _draw_revoked(screen: Screen, answer: Mapping[str, Any]) -> None:
    screen.line(f"The token {answer['revoked']} is revoked.")

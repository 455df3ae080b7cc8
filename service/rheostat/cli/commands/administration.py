"""`rheostat token …` and `recover`: what is done by whoever can open the database, or an admin."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from rheostat import token_file
from rheostat.cli import options
from rheostat.cli.commands.serving import opened, settings_of
from rheostat.cli.results import Result, answering, confirm, default_author
from rheostat.cli.views import administration
from rheostat.server.tokens import Role

if TYPE_CHECKING:
    from rheostat import wire

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
Restored = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The restored database.", show_default="RHEOSTAT_DATABASE, or the usual"
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

    def list(self) -> Sequence[wire.Token]:
        """Return all tokens."""

    def create(
        self,
        name: str,
        role: wire.Role,
        *,
        expires_at: str | None = None,
        runs: str | None = None,
        limit: str | None = None,
    ) -> wire.IssuedToken:
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
    runs: Annotated[
        str | None,
        typer.Option(
            metavar="SELECTOR",
            help="Which runs it knows of, by their labels; to it, all others are not there.",
            show_default="all",
        ),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="LIMIT",
            help="What it may do to each run: some of changes=20/day, gap=STEPS,"
            " parameters=lr|wd, edits=scale|hold, ratio=2, acts=change|stop|signal.",
            show_default="all that its role may",
        ),
    ] = None,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Make a token, and print it. It is kept nowhere, and cannot be shown again.

    \b
    rheostat token create ann --role admin --database sqlite:///rheostat.db
    rheostat token create ci --role worker --days 90 --server http://rheostat:8000
    rheostat token create trainers --role worker --runs team=nlp
    rheostat token create tuner --role operator --limit 'changes=20/day, gap=500, ratio=2'

    The first one is made on the database, by whoever can open it; further ones also by a service,
    which wants an admin's token.
    """
    expires_at = None if days is None else (datetime.now(UTC) + timedelta(days)).isoformat()
    with _tokens(database, server, token) as tokens:
        made = tokens.create(name, role.value, expires_at=expires_at, runs=runs, limit=limit)
        return Result(made, administration.made)


@answering
def list_tokens(database: Database = None, server: Server = None, token: Token = None) -> Result:
    """
    List the tokens, oldest first, those that were revoked or have expired among them.

    \b
    rheostat token list --database sqlite:///rheostat.db
    """
    with _tokens(database, server, token) as tokens:
        return Result(tokens.list(), administration.tokens)


@answering
def revoke(
    name: Name,
    yes: options.Yes = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Revoke a token: within seconds, every process of the service refuses it.

    \b
    rheostat token revoke ann --yes --database sqlite:///rheostat.db
    """
    confirm(f"Revoke the token {name}? Whoever uses it is shut out.", yes=yes)
    with _tokens(database, server, token) as tokens:
        tokens.revoke(name)
    gone: administration.Revoked = {"revoked": name}
    return Result(gone, administration.revoked)


@contextmanager
def _tokens(database: str | None, server: str | None, token: str | None) -> Iterator[Tokens]:
    if database is None and (server or token or os.environ.get(token_file.VARIABLE)):
        from rheostat.cli.connecting import connect  # httpx loads slowly

        with connect(server, token) as client:
            yield client.tokens
    else:
        with _stored(database) as tokens:
            yield tokens


@contextmanager
def _stored(database: str | None) -> Iterator[Tokens]:
    from rheostat.server.store.opening import StoredTokens  # the server loads slowly

    with opened(settings_of(database)) as store:
        yield StoredTokens(store, default_author())


@answering
def recover(database: Restored = None, yes: options.Yes = False) -> Result:
    """
    Give every run in a database that was restored from a backup a new id.

    \b
    rheostat recover --database sqlite:///rheostat.db

    A backup does not know what was settled and changed after it was made. Under their old ids, runs
    would hand out other values for steps that workers have already used. With new ids, workers that
    still run stop with a clear error, and caches in front of the service have nothing to say.
    Restored histories stay as they are. Stop the service first, and restart the trainings after it.
    """
    from rheostat.server.store.audit import Deed, deed  # the server loads slowly
    from rheostat.server.store.operations import recover as operations

    settings = settings_of(database)
    confirm(
        f"Give every run in {settings.safe_database} a new id? Workers have to rejoin.", yes=yes
    )
    with opened(settings) as store, deed(Deed("recover", default_author())):
        renewed = asyncio.run(store.write(operations.recover))
    return Result(renewed, administration.recovered)

"""`rheostat audit`, `purge`, `backup` and `restore`: what whoever is on call keeps in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import typer

from rheostat.cli import options
from rheostat.cli.commands.administration import Database, Server, Token
from rheostat.cli.commands.serving import opened, settings_of
from rheostat.cli.results import Result, answering, confirm, default_author
from rheostat.cli.views import housekeeping as views
from rheostat.durations import duration

if TYPE_CHECKING:
    from rheostat import wire

What = Literal["runs", "tokens", "audit"]
Selector = Annotated[
    str,
    typer.Option(
        "--selector", "-l", metavar="SELECTOR", help="Of runs: such as 'team=nlp,!frozen'."
    ),
]
OwnDatabase = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The database, an SQLite file.",
        show_default="RHEOSTAT_DATABASE, or the usual",
    ),
]


class Keeper(Protocol):
    """What keeps the audit and removes what is old: a service, or a database."""

    def audit(
        self,
        *,
        run: str | None,
        who: str | None,
        action: Sequence[str] | None,
        since: str | None,
        until: str | None,
        limit: int,
    ) -> Sequence[wire.Audited]:
        """Return who did what, the newest first."""

    def purge(
        self, what: What, older_than: str, *, selector: str, dry_run: bool
    ) -> Sequence[wire.Purged]:
        """Remove what ended long ago, and return what each step did."""


@answering
def audit(
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="On this run, by name or id.")
    ] = None,
    who: Annotated[
        str | None, typer.Option(metavar="NAME", help="By this token, or author.")
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(metavar="ACTION", help="Of this kind, such as delete; may be repeated."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From then on: ISO 8601, or how long ago, as 36h or 7d."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before then.")] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="So many of them at most.")
    ] = 100,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Show who did what, the newest first; it is kept when the runs are gone.

    \b
    rheostat audit --database sqlite:///rheostat.db
    rheostat audit --run gpt --since 7d --server http://rheostat:8000
    rheostat audit --action delete --action purge --json --server http://rheostat:8000

    A service wants an admin's token. Where none are required, ask the database itself.
    """
    moments = {"since": _moment(since, "--since"), "until": _moment(until, "--until")}
    with _keeper(database, server, token) as keeper:
        rows = keeper.audit(run=run, who=who, action=action or None, limit=limit, **moments)
    return Result(rows, views.audit)


def _moment(text: str | None, option: str) -> str | None:
    """Return a time as the service takes it: how long ago it was is counted from now."""
    if text is None:
        return None
    if text[-1:] in {"h", "d", "w"}:
        return (datetime.now(UTC) - duration(text, option)).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} is {text!r}, and must be an ISO 8601 time, or how long ago, as 36h or 7d"
        ) from None
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


@answering
def purge(
    older_than: Annotated[
        str,
        typer.Option(metavar="AGE", help="How long ago it must have ended: 36h, 90d or 52w."),
    ],
    finished: Annotated[
        bool, typer.Option("--finished", help="Finished runs, with all that belongs to them.")
    ] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Tokens that were revoked, or have expired.")
    ] = False,
    deeds: Annotated[
        bool, typer.Option("--audit", help="Rows of the audit; of at least a day ago.")
    ] = False,
    selector: Selector = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    yes: options.Yes = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Remove for good what ended long ago.

    \b
    rheostat purge --finished --older-than 90d --dry-run --database sqlite:///rheostat.db
    rheostat purge --finished --older-than 90d -l team=nlp --yes --server http://rheostat:8000
    rheostat purge --audit --older-than 104w --yes --server http://rheostat:8000

    A run that others were forked from stays as long as they do. Everything goes in small
    transactions, under load too; what is removed is in the audit.
    """
    what = _what(finished=finished, tokens=tokens, deeds=deeds)
    duration(older_than, "--older-than")
    if not dry_run:
        confirm(f"Remove {what} that ended {older_than} ago or earlier, for good?", yes=yes)
    with _keeper(database, server, token) as keeper:
        steps = keeper.purge(what, older_than, selector=selector, dry_run=dry_run)
    total: wire.Purged = {
        **steps[-1],
        "deleted": sum(step["deleted"] for step in steps),
        "items": [item for step in steps for item in step["items"]],
    }
    return Result(total, views.purged)


def _what(*, finished: bool, tokens: bool, deeds: bool) -> What:
    named: dict[What, bool] = {"runs": finished, "tokens": tokens, "audit": deeds}
    found = [what for what, is_meant in named.items() if is_meant]
    if len(found) != 1:
        raise typer.BadParameter("say what: one of --finished, --tokens and --audit")
    return found[0]


@contextmanager
def _keeper(database: str | None, server: str | None, token: str | None) -> Iterator[Keeper]:
    if database is None and (server or token):
        from rheostat.cli.connecting import connect  # httpx loads slowly

        with connect(server, token) as client:
            yield client
    else:
        with opened(settings_of(database)) as store:
            from rheostat.server.housekeeping import StoredKeeper  # the server loads slowly

            yield StoredKeeper(store, default_author())


@answering
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the backup is written.")],
    database: OwnDatabase = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> Result:
    """
    Write a backup of an SQLite database, while it is served and written to.

    \b
    rheostat backup monday.backup --database sqlite:///rheostat.db

    The file is there once it is whole: what a kill leaves is not called FILE. PostgreSQL is backed
    up by pg_dump, or by what your platform has; docs/backup.md says how.
    """
    from rheostat.server.store.backup import back_up  # the server loads slowly

    settings = settings_of(database)
    seal = back_up(settings.database, file.absolute(), force=force)
    made: views.Backup = {
        "file": str(file),
        "database": settings.safe_database,
        "made_at": seal.made_at,
        "release": seal.release,
        "schema": seal.schema,
        "bytes": seal.length,
    }
    return Result(made, views.backed_up)


@answering
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `rheostat backup` wrote.")],
    database: OwnDatabase = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also in place of a database that holds something; keep it."),
    ] = False,
) -> Result:
    """
    Put a backup in the place of an SQLite database that nothing serves from.

    \b
    rheostat restore monday.backup --database sqlite:///restored.db

    Every run gets a new id, and the database another incarnation, as `rheostat recover` does:
    workers of before end with a clear error, and none goes on with other values. A database that
    is replaced stays beside the new one.
    """
    from rheostat.server.store.audit import Deed, deed  # the server loads slowly
    from rheostat.server.store.backup import restore as put_back

    settings = settings_of(database)
    with deed(Deed("restore", default_author(), subject=file.name)):
        done = put_back(settings.database, file.absolute(), settings.limits, force=force)
    restored: views.Restored = {
        "database": settings.safe_database,
        "made_at": done.seal.made_at,
        "replaced": None if done.replaced is None else str(done.replaced),
        "runs": [{"name": run["name"], "old": run["old"], "new": run["new"]} for run in done.runs],
    }
    return Result(restored, views.restored)

"""`rheostat serve`: the service, until it is told to stop."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rheostat.server.settings import Settings
    from rheostat.server.store.store import Store


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", envvar="RHEOSTAT_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            envvar="RHEOSTAT_PORT",
            min=0,
            max=65535,
            help="Port to listen on; 0 takes a free one.",
        ),
    ] = 8000,
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="RHEOSTAT_DATABASE",
            help="Where runs and schedules are kept: sqlite:///FILE or postgresql://….",
        ),
    ] = "sqlite:///rheostat.db",
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", envvar="RHEOSTAT_WORKERS", min=1, max=256, help="Processes that serve."
        ),
    ] = 1,
    auth: Annotated[
        bool,
        typer.Option("--auth", envvar="RHEOSTAT_AUTH", help="Require tokens on loopback, too."),
    ] = False,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth",
            envvar="RHEOSTAT_NO_AUTH",
            help="Require none beyond it: serve everybody who can reach the address.",
        ),
    ] = False,
) -> None:
    """
    Serve schedules and runs over HTTP, until Ctrl-C or SIGTERM.

    Prints one line when it is ready. All other settings are RHEOSTAT_… variables: docs/settings.md.
    """
    gc.disable()  # loading makes no garbage, and is an eighth slower if it is looked for
    from rheostat.server.serve import serve as run  # the server loads slowly

    run(
        read_settings(
            host=host, port=port, database=database, workers=workers, auth=auth, no_auth=no_auth
        )
    )


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Open the database that the settings name, without a service."""
    from rheostat.server.opening import open_store  # the server loads slowly

    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def settings_of(database: str | None) -> Settings:
    """Return the settings with this database, or with the one that the environment names."""
    return read_settings(**({} if database is None else {"database": database}))


def read_settings(**given: Any) -> Settings:
    """Return the settings that are given here and, for the rest, in the environment."""
    from pydantic import ValidationError

    from rheostat.server.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = (f"RHEOSTAT_{_path(item['loc'])}: {item['msg']}" for item in error.errors())
        raise typer.BadParameter("\n".join(wrong)) from None


def _path(location: tuple[int | str, ...]) -> str:
    return "_".join(map(str, location)).upper()

"""`rheostat serve`: the service, until it is told to stop."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.limits import MAX_LINGER

if TYPE_CHECKING:
    from rheostat.server.settings import Settings
    from rheostat.server.store.store import Store


def _usually(name: str, default: str | None = None) -> str:
    """Say where a setting comes from that no option gives: the environment, and else a default."""
    return f"RHEOSTAT_{name}" + (f", or {default}" if default else "")


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on.",
            show_default=_usually("HOST", "127.0.0.1"),
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Port to listen on; 0 takes a free one.",
            show_default=_usually("PORT", "8000"),
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where runs and schedules are kept: sqlite:///FILE or postgresql://….",
            show_default=_usually("DATABASE", "sqlite:///rheostat.db"),
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Processes that serve.",
            show_default=_usually("WORKERS", "1"),
        ),
    ] = None,
    auth: Annotated[
        bool | None,
        typer.Option(
            "--auth", help="Require tokens on loopback, too.", show_default=_usually("AUTH")
        ),
    ] = None,
    no_auth: Annotated[
        bool | None,
        typer.Option(
            "--no-auth",
            help="Require none beyond it: serve everybody who can reach the address.",
            show_default=_usually("NO_AUTH"),
        ),
    ] = None,
    ready_fd: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=3,
            help="Serve as rheostat.local() has it: end when no client is attached, and write a"
            " line to this descriptor when ready.",
            show_default="serve until told to stop",
        ),
    ] = None,
    linger: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=MAX_LINGER,
            help="With --ready-fd, how long to stay when the last client has gone.",
        ),
    ] = 0,
) -> None:
    """
    Serve schedules and runs over HTTP, until Ctrl-C or SIGTERM.

    \b
    rheostat serve --port 9000 --database sqlite:///runs.db

    Prints one line when it is ready. All other settings are RHEOSTAT_… variables: docs/settings.md.
    """
    gc.disable()  # loading makes no garbage, and is an eighth slower if it is looked for
    from rheostat.server.serve import serve as run  # the server loads slowly

    options = {"host": host, "port": port, "database": database, "workers": workers}
    flags = {"auth": auth, "no_auth": no_auth}
    settings = read_settings(**options, **flags)
    if ready_fd is None:
        run(settings)
    else:
        _serve_locally(settings, ready_fd, linger)


def _serve_locally(settings: Settings, ready_fd: int, linger: float) -> None:
    from rheostat.server.local import LocalService
    from rheostat.server.serve import serve as run

    kind, _, path = settings.database.partition(":///")
    if kind != "sqlite" or not path or settings.workers != 1:
        raise typer.BadParameter("--ready-fd is for one process on a file, sqlite:///FILE")
    service = LocalService(Path(path).resolve(), settings.host, ready_fd, linger)
    changed = {"auth": True, "port": settings.port or service.port}
    try:
        run(settings.model_copy(update=changed), service)
    finally:
        service.end()


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Open the database that the settings name, without a service."""
    from rheostat.server.store.opening import open_store  # the server loads slowly

    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def settings_of(database: str | None) -> Settings:
    """Return the settings with this database, or with the one that the environment names."""
    from rheostat.server.environment import remarks

    settings = read_settings(database=database)
    for remark in remarks(type(settings).model_fields):
        print(f"rheostat: {remark}", file=sys.stderr)
    return settings


def read_settings(**given: Any) -> Settings:
    """Return the settings that are given here, unless as None, and those in the environment."""
    from pydantic import ValidationError

    from rheostat.errors import Invalid
    from rheostat.server.settings import Settings

    given = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**given)
    except Invalid as error:
        raise typer.BadParameter(error.detail) from None
    except ValidationError as error:
        wrong = (_sentence(item, given) for item in error.errors())
        raise typer.BadParameter("\n".join(wrong)) from None


def _sentence(item: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Say which setting is wrong, its value, and what it should be."""
    from rheostat.server.environment import variable

    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
    if not item["loc"]:
        return message
    name = str(item["loc"][0])
    called = f"--{name.replace('_', '-')}" if name in given else variable(name)
    return f"{called} is {item['input']!r}: {message}"

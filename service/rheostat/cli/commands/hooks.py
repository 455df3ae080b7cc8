"""`rheostat hook …`: who is told of events of runs, by an admin, or on the database itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, cast

import typer

from rheostat.cli import options
from rheostat.cli.commands.administration import Database, Server, Token
from rheostat.cli.commands.serving import opened, settings_of
from rheostat.cli.failures import REFUSED, readable
from rheostat.cli.results import Result, answering, confirm, default_author
from rheostat.cli.views import hooks as views

if TYPE_CHECKING:
    from rheostat import wire

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the hook is called.")]
Number = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, help="Number of the message, as listed.")
]


class Hooks(Protocol):
    """What keeps hooks: a service, or a database."""

    def set(
        self,
        name: str,
        url: str,
        events: Sequence[wire.HookEvent],
        *,
        selector: str = "",
        format: wire.HookFormat = "standard",  # noqa: A002 - as the service calls it
        secret: str | None = None,
        renew: bool = False,
    ) -> wire.SetHook:
        """Set a hook."""

    def get(self, name: str) -> wire.Hook:
        """Return a hook."""

    def list(self) -> Sequence[wire.Hook]:
        """Return all hooks."""

    def remove(self, name: str) -> None:
        """Remove a hook."""

    def test(self, name: str) -> wire.HookTrial:
        """Send a hook a message for a trial."""

    def deliveries(
        self, name: str, *, state: wire.DeliveryState | None = None, limit: int | None = 100
    ) -> Sequence[wire.Delivery]:
        """Return messages to a hook."""

    def retry(self, name: str, number: int) -> wire.Delivery:
        """Send a message again."""


class Tried(Result):
    """What came of a trial, by which a script goes on or not."""

    def give(self, *, as_json: bool) -> None:
        """Print it."""
        with readable():
            delivered = self.document["delivered"]
        super().give(as_json=as_json)
        if not delivered:
            raise typer.Exit(REFUSED)


@answering
def set_hook(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages go: https://…")],
    event: Annotated[
        list[str],
        typer.Option("--event", "-e", metavar="EVENT", help="Tell of this; may be repeated."),
    ],
    selector: Annotated[
        str,
        typer.Option(
            "--selector",
            "-l",
            metavar="SELECTOR",
            help="Of runs with these labels, such as team=nlp,!frozen.",
            show_default="all runs",
        ),
    ] = "",
    form: Annotated[
        Literal["standard", "slack"],
        typer.Option("--format", help="Signed JSON, or a text as Slack takes it."),
    ] = "standard",
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            envvar="RHEOSTAT_HOOK_SECRET",
            help="Sign with this one: whsec_ and base64.",
            show_default="the one that it has, or a new one",
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new secret; the old one signs too for a day.")
    ] = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Have somebody told of events of runs, from now on. One that is there is set anew.

    \b
    rheostat hook set alerts https://example.com/x -e stopped -e silent --database sqlite:///h.db
    rheostat hook set chat https://hooks.slack.com/services/T0/B0/x -e mismatch --format slack

    An admin of a service does this, or whoever can open the database. What there is to be told of:
    created, begun, advanced, revised, cancelled, rewound, extended, stopped, paused, resumed,
    signalled, armed, decided, noted, proposed, settled-proposal, outcome, mismatch, silent,
    finished, deleted.
    """
    events = cast("Sequence[wire.HookEvent]", event)  # what is none is refused
    with _hooks(database, server, token) as hooks:
        made = hooks.set(
            *(name, url, events), selector=selector, format=form, secret=secret, renew=renew
        )
    return Result(made, views.made)


@answering
def list_hooks(database: Database = None, server: Server = None, token: Token = None) -> Result:
    """
    List the hooks, and how each does.

    \b
    rheostat hook list --database sqlite:///h.db
    """
    with _hooks(database, server, token) as hooks:
        return Result(hooks.list(), views.hooks)


@answering
def show(
    name: Name, database: Database = None, server: Server = None, token: Token = None
) -> Result:
    """
    Show a hook, and how it does.

    \b
    rheostat hook show alerts --database sqlite:///h.db
    """
    with _hooks(database, server, token) as hooks:
        return Result(hooks.get(name), views.shown)


@answering
def remove(
    name: Name,
    yes: options.Yes = False,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Remove a hook, and all messages to it.

    \b
    rheostat hook remove alerts --yes --database sqlite:///h.db
    """
    confirm(f"Remove the hook {name}? What waits for it is not sent any more.", yes=yes)
    with _hooks(database, server, token) as hooks:
        hooks.remove(name)
    gone: views.RemovedHook = {"removed": name}
    return Result(gone, views.removed)


@answering
def try_hook(
    name: Name, database: Database = None, server: Server = None, token: Token = None
) -> Result:
    """
    Send a hook a message for a trial, and say what came of it. Exit code 1: it was not taken.

    \b
    rheostat hook test alerts --server http://rheostat:8000
    """
    with _hooks(database, server, token) as hooks:
        answer = hooks.test(name)
    return Tried(answer, views.tried)


@answering
def deliveries(
    name: Name,
    state: Annotated[
        Literal["waiting", "delivered", "failed", "dropped"] | None,
        typer.Option(help="Only those of which this became.", show_default="all"),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="The most of them.")
    ] = 20,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    List messages to a hook, the newest first, and what became of each.

    \b
    rheostat hook deliveries alerts --database sqlite:///h.db
    rheostat hook deliveries alerts --state failed
    """
    with _hooks(database, server, token) as hooks:
        return Result(hooks.deliveries(name, state=state, limit=limit), views.deliveries)


@answering
def retry(
    name: Name,
    number: Number,
    database: Database = None,
    server: Server = None,
    token: Token = None,
) -> Result:
    """
    Send a message again, at once, whatever became of it.

    \b
    rheostat hook retry alerts 7
    """
    with _hooks(database, server, token) as hooks:
        return Result(hooks.retry(name, number), views.again)


@contextmanager
def _hooks(database: str | None, server: str | None, token: str | None) -> Iterator[Hooks]:
    if database is None and (server or token):
        from rheostat.cli.connecting import connect  # httpx loads slowly

        with connect(server, token) as client:
            yield client.hooks
        return
    from rheostat.server.store.opening import StoredHooks  # the server loads slowly

    settings = settings_of(database)
    with opened(settings) as store:
        yield StoredHooks(store, settings.networks, default_author())

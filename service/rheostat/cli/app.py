"""
The command line: every command under its name.

`root` has `serve` alone, for a service that starts need not load the other commands.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rheostat import __version__
from rheostat.cli.commands.serving import serve

CODES = """
\b
Exit codes:
  0    it worked
  1    refused, or failed: standard error says which field, value and bound
  2    the command line cannot be read
  3    the service cannot be reached, or cannot answer now: try again; or waiting took too long
  4    what was waited for will not come: it was taken back, dropped, or all ended before it
  130  interrupted by Ctrl-C
"""
SETTINGS = {"help_option_names": ["-h", "--help"]}
# What looks like an option after a change belongs to the change: `ramp 0 --steps 1000`.
WITH_CHANGES = SETTINGS | {"ignore_unknown_options": True}


ALONE = ("--install-completion", "--show-completion")
"""Options of the root that may stand without the name of a shell."""


class RootGroup(TyperGroup):
    """The root, whose options on completion may stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a line."""
        from rheostat.cli.completion.scripts import SHELLS

        if args and args[0] in ALONE and (len(args) == 1 or args[1] not in SHELLS):
            args = [f"{args[0]}=", *args[1:]]
        return super().parse_args(ctx, args)


def group(
    summary: str, epilog: str | None = None, cls: type[TyperGroup] = TyperGroup
) -> typer.Typer:
    """Return a command that has others below it."""
    return typer.Typer(
        cls=cls,
        help=summary,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        print(f"rheostat {__version__}")
        raise typer.Exit


def root() -> typer.Typer:
    """Return the root with `serve` alone."""
    app = group(
        "Serve hyperparameter schedules, and change them at the same step on every worker.",
        CODES,
        RootGroup,
    )
    app.callback()(_options)
    app.command()(serve)
    return app


def _install_completion(shell: str | None) -> None:
    if shell is not None:
        from rheostat.cli.completion.scripts import install

        path = install(_shell(shell))
        print(f"Wrote {path}: a shell that is started from now on completes.")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell is not None:
        from rheostat.cli.completion.scripts import script

        print(script(_shell(shell)), end="")
        raise typer.Exit


def _shell(said: str) -> str:
    from rheostat.cli.completion.scripts import SHELLS, running

    shell = said or running()
    if shell is None or shell not in SHELLS:
        known = ", ".join(SHELLS)
        message = f"{said} is not among them: {known}" if said else f"say which shell: {known}"
        raise typer.BadParameter(message)
    return shell


def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    _install: Annotated[
        str | None,
        typer.Option(
            "--install-completion",
            metavar="[=bash|zsh|fish]",
            callback=_install_completion,
            is_eager=True,
            help="Have a shell complete words: this one, or that of the name.",
            show_default=False,
        ),
    ] = None,
    _show: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="[=bash|zsh|fish]",
            callback=_show_completion,
            is_eager=True,
            help="Print what makes it do so, to be kept where you like.",
            show_default=False,
        ),
    ] = None,
) -> None:
    pass


def complete() -> typer.Typer:
    """Return the root with all commands, which are loaded by this."""
    from rheostat.cli.commands import (
        administration,
        agents,
        bulk,
        convert,
        definitions,
        demo,
        housekeeping,
        simulate,
    )

    app = root()
    app.command()(definitions.evaluate)
    app.command()(definitions.plot)
    app.command()(definitions.kinds)
    app.command()(convert.convert)
    app.command(context_settings=WITH_CHANGES)(simulate.simulate)
    app.add_typer(_run(), name="run")
    app.command("change", context_settings=WITH_CHANGES)(bulk.change_many)
    app.add_typer(_schedule(), name="schedule")
    app.add_typer(_token(), name="token")
    app.add_typer(_hook(), name="hook")
    app.add_typer(_local(), name="local")
    app.command()(housekeeping.audit)
    app.command()(housekeeping.purge)
    app.command()(housekeeping.backup)
    app.command()(housekeeping.restore)
    app.command()(administration.recover)
    app.command()(agents.mcp)
    app.command()(demo.demo)
    return app


def _run() -> typer.Typer:
    from rheostat.cli.commands import (
        agents,
        branching,
        controllers,
        exports,
        orders,
        proposals,
        protection,
        revisions,
        runs,
        watch,
        workers,
    )
    from rheostat.cli.waiting import WaitingCommand

    run = group("Make, look at and change live runs.")
    run.command()(runs.create)
    run.command("list")(runs.list_runs)
    run.command()(runs.show)
    run.command()(runs.plan)
    run.command()(runs.explain)
    run.command()(agents.brief)
    run.command(cls=WaitingCommand, context_settings=WITH_CHANGES)(revisions.change)
    run.command()(revisions.undo)
    run.command()(revisions.cancel)
    run.command()(revisions.advance)
    run.command(cls=WaitingCommand)(revisions.extend)
    run.command(cls=WaitingCommand, context_settings=WITH_CHANGES)(branching.rewind)
    run.command(context_settings=WITH_CHANGES)(branching.fork)
    run.command()(branching.checkpoints)
    run.command(cls=WaitingCommand)(orders.stop)
    run.command(cls=WaitingCommand)(orders.pause)
    run.command()(orders.resume)
    run.command(cls=WaitingCommand)(orders.signal)
    run.command()(orders.note)
    run.command()(orders.surface)
    run.command(context_settings=WITH_CHANGES)(controllers.arm)
    run.command()(controllers.disarm)
    run.command()(controllers.reset)
    run.command("controllers")(controllers.list_controllers)
    run.command()(controllers.decisions)
    run.command()(controllers.metrics)
    run.command(context_settings=WITH_CHANGES)(proposals.propose)
    run.command()(agents.allowances)
    run.command("proposals")(proposals.list_proposals)
    run.command(cls=WaitingCommand)(proposals.accept)
    run.command()(proposals.decline)
    run.command()(protection.protect)
    run.command()(protection.unprotect)
    run.command()(runs.history)
    run.command("workers")(workers.list_workers)
    run.command("mismatches")(workers.list_mismatches)
    run.command()(watch.watch)
    run.command()(agents.wait)
    run.command()(exports.export)
    run.command("import")(exports.import_run)
    run.command()(revisions.finish)
    run.command()(revisions.delete)
    return run


def _schedule() -> typer.Typer:
    from rheostat.cli.commands import schedules

    schedule = group("The library of named, versioned definitions.")
    schedule.command("list")(schedules.list_schedules)
    schedule.command()(schedules.show)
    schedule.command()(schedules.put)
    schedule.command()(schedules.delete)
    schedule.command()(schedules.plot)
    schedule.command()(schedules.values)
    return schedule


def _local() -> typer.Typer:
    from rheostat.cli.commands import local

    servers = group("The servers that rheostat.local() has started on this machine.")
    servers.command("list")(local.list_servers)
    servers.command()(local.stop)
    return servers


def _token() -> typer.Typer:
    from rheostat.cli.commands import administration

    token = group("Who may use a service, and in which role.")
    token.command()(administration.create)
    token.command("list")(administration.list_tokens)
    token.command()(administration.revoke)
    return token


def _hook() -> typer.Typer:
    from rheostat.cli.commands import hooks

    hook = group("Who is told of what happens to runs, by webhooks.")
    hook.command("set")(hooks.set_hook)
    hook.command("list")(hooks.list_hooks)
    hook.command()(hooks.show)
    hook.command()(hooks.remove)
    hook.command("test")(hooks.try_hook)
    hook.command()(hooks.deliveries)
    hook.command()(hooks.retry)
    return hook

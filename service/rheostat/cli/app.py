"""The command line: every command under its name."""

from __future__ import annotations

from rheostat.cli.commands import (
    branches,
    catalogue,
    changes,
    convert,
    curves,
    demo,
    extents,
    library,
    recovering,
    runs,
    tokens,
    watching,
)
from rheostat.cli.root import SETTINGS, app, group

__all__ = ["app"]

# What looks like an option after a change belongs to the change: `ramp 0 --steps 1000`.
WITH_CHANGES = SETTINGS | {"ignore_unknown_options": True}

run = group("Make, look at and change live runs.")
schedule = group("The library of named, versioned definitions.")
token = group("Who may use a service, and in which role.")

app.command()(curves.evaluate)
app.command()(curves.plot)
app.command()(catalogue.kinds)
app.command()(convert.convert)
app.add_typer(run, name="run")
app.add_typer(schedule, name="schedule")
app.add_typer(token, name="token")
app.command()(recovering.recover)
app.command()(demo.demo)

run.command()(runs.create)
run.command("list")(runs.list_runs)
run.command()(runs.show)
run.command()(runs.plan)
run.command()(runs.explain)
run.command(context_settings=WITH_CHANGES)(changes.change)
run.command()(changes.undo)
run.command()(changes.cancel)
run.command()(extents.advance)
run.command()(extents.extend)
run.command(context_settings=WITH_CHANGES)(branches.rewind)
run.command(context_settings=WITH_CHANGES)(branches.fork)
run.command()(runs.history)
run.command()(watching.watch)
run.command()(changes.finish)
run.command()(changes.delete)

schedule.command("list")(library.list_schedules)
schedule.command()(library.show)
schedule.command()(library.put)
schedule.command()(library.delete)
schedule.command()(library.plot)
schedule.command()(library.values)

token.command()(tokens.create)
token.command("list")(tokens.list_tokens)
token.command()(tokens.revoke)

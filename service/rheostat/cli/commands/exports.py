"""`rheostat run export` and `import`: a run as one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rheostat.cli import options
from rheostat.cli.results import Result, asking, changing
from rheostat.cli.views import exports as views
from rheostat.errors import RheostatError

if TYPE_CHECKING:
    from rheostat.client import Client


@asking
def export(
    client: Client,
    run: options.Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
) -> Result:
    """
    Write a run into one file: its history, and all that was served, bit for bit.

    \b
    rheostat run export gpt gpt.json

    rheostat.Replay("gpt.json") in Python gives the same values without a service, and `rheostat
    run import` makes a run of it elsewhere. A run that goes on is read up to where it is now.
    """
    return Result(client.control(run).export(file), views.exported)


@changing
def import_run(
    client: Client,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `run export` wrote.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call it here.", show_default="as it was called"),
    ] = None,
) -> Result:
    """
    Make a run of a file that `rheostat run export` wrote, with the same values, bit for bit.

    \b
    rheostat run import gpt.json --name gpt-again

    It has a new id, so that checkpoints of the old run are refused: begin from one with `start`.
    Its history says who did what, and that you imported it.
    """
    return Result(client.import_run(_document(file), name=name), views.imported)


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise RheostatError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise RheostatError(f"{file} is not JSON: `rheostat run export` writes it") from None

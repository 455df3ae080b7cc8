"""
How a command fails: one readable block on standard error, and an exit code for scripts.

==== ==========================================================================
0    it worked
1    refused, or failed: the block says which field, value and bound
2    the command line itself cannot be read
3    the service cannot be reached, or is not able to answer now: try again; or what was waited
     for did not come in time
4    what was waited for will not come: it was taken back, dropped by a rewind, or all who trained
     have ended before it
5    nothing was done: the run is protected, and a proposal waits for another person
130  interrupted by Ctrl-C
==== ==========================================================================
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from rheostat import token_file
from rheostat.cli.views.screen import machine_text
from rheostat.errors import (
    FieldError,
    NeedsApproval,
    NotPending,
    Refused,
    RheostatError,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from rheostat.suggestions import did_you_mean
from rheostat.visible import visible

REFUSED, UNREADABLE, UNREACHABLE, LATE, GONE, HELD, INTERRUPTED = 1, 2, 3, 3, 4, 5, 130

OPTIONS = {
    '"force": true': "--force",
    "expected_revision": "--expect",
    "expected_generation": "--expect",
    "from_generation": "--from-generation",
    "from.generation": "--generation",
    "from.step": "--step",
    "steps_per_epoch": "--steps-per-epoch",
    "max_block": "--max-block",
    "max_jump": "--max-jump",
    "base_value": "--base",
    "metric": "--metric",
}
"""What the service calls by other names than the command line."""
FIELDS = {
    "effective": "--at",
    "to": "STEP",
    "end": "--end",
    "axis": "--axis",
    "total": "--total",
    "resolution": "--resolution",
    "paused": "--paused",
    "about": "--about",
}
"""Likewise, where a line begins with it: elsewhere it is a word like others."""
OF_CHANGES = (
    *("--message", "--at", "--clock", "--expect", "--dry-run", "--force", "--wait", "--timeout"),
    *("--author", "--server", "--token", "--json"),
)
"""Options of commands that take changes."""
LONG = 60
"""Characters of a bound that are not told twice."""
_WORDS = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, OPTIONS))})(?!\w)")
_FIELD = re.compile(rf"^(?:{'|'.join(FIELDS)})(?=: | is )")


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Turn expected failures of the body into their message and exit code."""
    try:
        yield
    except RheostatError as error:
        if as_json:
            print(machine_text(_document(error)))
        print(*map(visible, _block(error)), sep="\n", file=sys.stderr)
        if isinstance(error, NeedsApproval):
            raise typer.Exit(HELD) from None
        again = isinstance(error, Unreachable | Unavailable)
        raise typer.Exit(UNREACHABLE if again else REFUSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def readable() -> Iterator[None]:
    """Turn what goes wrong with the members of a service's answer into one sentence."""
    try:
        yield
    except typer.BadParameter:
        raise
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise RheostatError(
            f"what was answered cannot be shown: {type(error).__name__}: {_cut(str(error))}. Is it"
            " a Rheostat of this version that answers?"
        ) from error


def _document(error: RheostatError) -> dict[str, Any]:
    if isinstance(error, Refused):
        return error.to_problem()
    if isinstance(error, NeedsApproval):
        return error.proposed
    return {"type": "about:blank", "title": type(error).__name__, "detail": str(error)}


def _block(error: RheostatError) -> Iterator[str]:
    """Yield the lines that tell people what is wrong."""
    if isinstance(error, NeedsApproval):
        run, number = error.proposed.get("run"), error.proposed.get("proposal")
        yield f"Not done: proposal {number} waits for another person, since {run} is protected"
        yield f"  rheostat run accept {run} {number}"
        return
    if not isinstance(error, Refused):
        yield from f"Error: {error}".split("\n")
        return
    if any(item.field in {"base_url", token_file.VARIABLE} for item in error.errors):
        # nobody was asked
        yield f"Error: {error.detail.replace('base_url', '--server')}"
        return
    yield f"Refused: {_in_options(error.detail)}  [{error.status} {error.code}]"
    if isinstance(error, Unauthenticated):
        yield "  say who asks by --token TOKEN, or RHEOSTAT_TOKEN, or RHEOSTAT_TOKEN_FILE"
    for item in error.errors:
        yield from _field_lines(item, error.detail)
    if "rewind" in error.members and isinstance(error, NotPending):
        yield "  `rheostat run resume RUN` does so, once it has shown what that means"
        return
    for name, value in error.members.items():
        if name != "request_id":
            told = _cut(value) if isinstance(value, str) else _brief(value)
            yield f"  {name.replace('_', ' ')}: {told}"


def _in_options(line: str) -> str:
    """Return a line of the service's with the options that people type in place of its fields."""
    line = _FIELD.sub(lambda found: FIELDS[found[0]], line)
    return _WORDS.sub(lambda found: OPTIONS[found[0]], line)


def _field_lines(item: FieldError, said: str) -> Iterator[str]:
    """Yield what is wrong with a field, but for the sentence that was said already."""
    begins = item.message.startswith((item.field, f"`{item.field}`"))
    message = item.message + _option_meant(item)
    about_field = message if begins else f"{item.field}: {message}"
    if item.message != said or item.field in OPTIONS:
        yield f"  {_in_options(about_field)}"
    about = [] if item.value is None else [f"value {_brief(item.value)}"]
    # where it is said what was meant, or the bound is long, once is enough
    bound = item.bound or ""
    again = bound in item.message and (len(bound) > LONG or bound == "required")
    told = "did you mean" in item.message or again
    about += [] if item.bound is None or told else [f"bound {item.bound}"]
    if about:
        yield f"    {',  '.join(about)}"


def _option_meant(item: FieldError) -> str:
    """Ask after an option: a misspelled one is taken for a field of what stands before it."""
    if item.message != "is not a field here":
        return ""
    return did_you_mean("--" + item.field.rpartition(".")[2].replace("_", "-"), OF_CHANGES)


def _brief(value: Any) -> str:
    return _cut(machine_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"

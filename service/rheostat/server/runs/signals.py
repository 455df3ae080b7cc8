"""Signals: words that reach all ranks at one step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rheostat.errors import FieldError, Invalid
from rheostat.server.runs.spec import RunSpec

WORD = r"[a-z][a-z0-9-]{0,31}"


def signal_data(_spec: RunSpec, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a signal says, as its revision keeps it; raise `Invalid` if it means nothing."""
    if not re.fullmatch(WORD, name):
        message = f"signal is {name[:100]!r}, and must match {WORD}"
        raise Invalid(message, errors=[FieldError("signal", message, name[:100], WORD)])
    if arguments:
        message = f"the run declares no arguments of {name!r}"
        raise Invalid(message, errors=[FieldError("arguments", message, None, "no arguments")])
    return {"signal": name, "arguments": {}}

"""
What a shell completes: commands, options, and the names that the service knows.

The shell's script calls `rheostat` with the line so far and the variable `_RHEOSTAT_COMPLETE`. The
first line of the answer says what is offered: ``words``, ``open`` (words after which no space
belongs, such as ``start=``) or ``files``; each further line is a word, a tab, and what it is.

`answer` never fails and never waits for long: whoever presses a key sees words or nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

VARIABLE = "_RHEOSTAT_COMPLETE"
"""Names the shell that asks."""


def answer(words: list[str], variables: Mapping[str, str]) -> None:
    """Print what completes the last of some words; nothing if anything at all is wrong."""
    try:
        from rheostat.cli.completion import answers

        text = answers.answer(words, variables)
    except BaseException:  # noqa: BLE001 - a traceback would be written into somebody's prompt
        os._exit(0)
    sys.stdout.write(text)
    sys.stdout.flush()
    os._exit(0)  # a request that nobody waits for any more is left behind

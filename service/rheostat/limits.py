"""
Limits, names and units: each fact once, for client, command line, converters and service.

Every bound here is refused beyond, by a sentence that names field, value and bound; a test tries
each. What an operator of a server can set is in `rheostat.server.settings`, with its defaults from
here. ``docs/limits.md`` is made of the sentences below the constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

MAX_STEP: Final = 2**53 - 1
"""The last coordinate: every whole number up to it is a float64, and so a number of JSON."""
MAX_NUMBER: Final = 2**31 - 1
"""The greatest number of a revision, a generation, or a version of a schedule."""

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""What runs, schedules and tokens are named."""
NAME_RULE: Final = "1 to 128 of A-Z a-z 0-9 . _ -, and a letter or digit first"
RUN_ID: Final = r"run_[0-9a-f]{26}"
"""What the ids of runs look like; no run may have such a name, since paths take both."""
PARAMETER: Final = r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)?"
"""What the parameters of a run are named; what follows the slash is a group."""
PARAMETERS: Final = r"[a-z][a-z0-9_]*(/([a-z][a-z0-9_]*|\*))?"
"""How changes and controllers say which: one's name, or ``lr/*`` for ``lr`` and all its groups."""
MAX_NAME: Final = 128
"""Characters of the name of a parameter, or of a label."""
MAX_LABEL: Final = 1_024
"""Characters of what a label says."""
MAX_AUTHOR: Final = 200
"""Characters of an author."""
WORD: Final = r"[a-z][a-z0-9-]{0,31}"
"""What signals and their arguments are named."""
MAX_SIGNALS: Final = 16
"""Signals that a run declares."""
MAX_ARGUMENTS: Final = 8
"""Arguments of one signal."""
MAX_ARGUMENT: Final = 1_024
"""Characters of an argument that is a string."""
MAX_TEXT: Final = 512
"""Characters of a text that says what a parameter, a signal or an argument is."""
MAX_SURFACE: Final = 16_384
"""Bytes of JSON that a run's descriptions and signals take, all together."""
MAX_ABOUT: Final = 4_096
"""Bytes of the text that says what a run is about."""
MAX_PENDING_SIGNALS: Final = 32
"""Signals of a run that wait for their steps."""
CONTROLLER_AUTHOR: Final = "controller:"
"""How the authors of what controllers decide begin: nobody else may be named so."""

MAX_PARAMETERS: Final = 256
"""Parameters of a run, unless a server sets it otherwise."""
MAX_LABELS: Final = 64
"""Labels of a run, unless a server sets it otherwise."""
MAX_PENDING: Final = 1_000
"""Revisions of a run that wait for their steps, unless a server sets it otherwise."""
MAX_MESSAGE: Final = 4_096
"""Characters of a revision's message, unless a server sets it otherwise."""
MAX_BLOCK: Final = 65_536
"""Cells in one settling read, and cells that one may settle at once, of any run."""
USUAL_BLOCK: Final = 4_096
"""Both, of a run that says nothing of them."""
MAX_GAP: Final = 256
"""How many cells past what is settled a read may begin, where every step is read."""
MAX_STOPS: Final = 32
"""Stops and pauses of a run that were not taken back: each read of it looks at them."""
MAX_PAUSES_LIMITED: Final = 8
"""Pauses of a run, not taken back, by one token with a limit: others have to stop it, too."""
MAX_OPEN_PROPOSALS: Final = 100
"""Open proposals of one author for one run."""
MAX_PROPOSAL: Final = 262_144
"""Characters of JSON of what one proposal asks for."""
MAX_OUTCOMES: Final = 16_384
"""Workers that say what became of one signal."""
MAX_OUTCOME_DATA: Final = 4_096
"""Characters of JSON of what a worker adds to that."""
MAX_SOURCE: Final = 128
"""Characters of the name of a worker that says so."""
MAX_NOTES: Final = 100
"""Notes of a run within a minute."""
MAX_NOTES_LIMITED: Final = 20
"""Notes of a run within a minute by one token with a limit: others have something to say, too."""
MAX_CHANGES: Final = 64
"""Changes of one parameter in one revision."""
MAX_EXPANDED: Final = 8_388_608
"""Characters of JSON of what ``lr/*`` changes, written down for each of its parameters."""
MAX_PIECES: Final = 1_000
"""Pieces of curves that follow each other in one parameter, which edits and holds add to."""

METRIC: Final = r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}"
"""What metrics are named; the tags of TensorBoard fit."""
MAX_REASON: Final = 1_024
"""Characters of a controller's message, which stands before the reason of each decision."""
MAX_WINDOW: Final = 1_000
"""Reports by which a guard knows what is usual."""
MAX_SOURCES: Final = 4_096
"""Sources of one metric that a controller waits for."""
MAX_METRICS: Final = 64
"""Metrics of a run that are kept without a controller that reads them."""
MAX_CONTROLLERS: Final = 32
"""Controllers of a run."""
MAX_REPORTED: Final = 256
"""Values of metrics in one request."""
MAX_DECISIONS: Final = 16
"""Decisions of one request of reports; what lies beyond has to be sent again."""
MAX_KEPT: Final = 100_000
"""Reports of a metric that are kept; of one that nothing reads, the older ones are then thinned."""
REPORTS_PER_SECOND: Final = 20
"""Requests with reports of one run in one second, of each process, after a burst of 200."""
MAX_SIMULATED: Final = 100_000
"""Reports of one simulation."""

WORKER: Final = r"[A-Za-z0-9._:-]{1,128}"
"""What workers, their hosts, sessions and jobs are named."""
MAX_WORKERS: Final = 20_000
"""Workers of a run that are remembered; then the oldest silent ones are forgotten."""
MAX_ALL_WORKERS: Final = 200_000
"""Workers of all runs that are remembered; then those that were heard longest ago are forgotten."""
MAX_BEATING: Final = 64
"""Workers in one beat."""
MAX_WINDOWS: Final = 8
"""Windows of what was applied, of each worker in a beat."""
MAX_STRETCHES: Final = 32
"""Stretches of cells that one window lists."""
MAX_APPLIED: Final = 65_536
"""Cells of one window."""
MAX_COMPARED: Final = 262_144
"""Values that one beat lists where they were asked for."""
MAX_WRONG: Final = 32
"""Values that a worker names as wrong in one beat."""
MAX_HELD_AGAINST: Final = 4_194_304
"""Values of the ledger that are read for one beat, to hold what it lists against them."""
MAX_MISMATCHES: Final = 1_000
"""Mismatches of a run that are kept; one generation takes half of what the others left."""
MAX_WORKER_MISMATCHES: Final = 32
"""Mismatches of one worker in one generation that are kept; one once room gets scarce."""
BEATS_PER_SECOND: Final = 50
"""Beats in a second for which a process paces those who send them."""
LEAST_AGAIN: Final = 5
"""Seconds between two beats of a worker, at least."""
MAX_CHECKPOINTS: Final = 10_000
"""Checkpoints of a run that are known; then the oldest are forgotten."""
MAX_TAG: Final = 128
"""Characters of a checkpoint's tag."""
MAX_URI: Final = 2_048
"""Characters of where a checkpoint is: text that the service never opens."""

MAX_LIMIT: Final = 1_024
"""Characters of what a token is limited to."""
MAX_LIMITED: Final = 10_000
"""Changes in an hour, a day or a week to which a token can be limited."""

MAX_SESSIONS: Final = 100
"""Sessions of the page with one token; with the next, the one that was used longest ago ends."""
SESSION_HOURS: Final = 12
"""Hours after which a session of the page ends that nobody has used."""
SIGN_INS_PER_SECOND: Final = 2
"""Sessions that are begun with one token in one second, of each process, after a burst of 20."""

MAX_HOOKS: Final = 100
"""Hooks of a service: each may have a connection, and a message that waits for an answer."""
MAX_WAITING: Final = 10_000
"""Messages that wait for one hook; with the next, the one that has waited longest is dropped."""
MAX_DELIVERIES: Final = 1_000
"""Messages to one hook that are kept when they do not wait any more, for a week at most."""

MAX_LINGER: Final = 604_800
"""Seconds that a local server stays at most after its last client has gone: a week."""

MAX_NESTING: Final = 16
"""Definitions inside of each other."""
MAX_NODES: Final = 1_000
"""Definitions inside of one definition, in all."""
MAX_POINTS: Final = 1_000_000
"""Table values, points and milestones of a definition, in all."""
MAX_TEXTS: Final = 10_000
"""Lengths in the lists of a definition that are written as text."""
MAX_TEXTS_IN_ALL: Final = 50_000
"""The same, in all definitions of one request."""

MAX_CONFIG: Final = 262_144
"""Characters of a configuration file that is converted."""

MAX_BINARY_VALUES: Final = 10_000_000
"""Values of one curve in a binary answer or behind a picture, unless a server sets it otherwise."""
MAX_TEXT_VALUES: Final = 1_000_000
"""Values of one curve in an answer of text, such as JSON, unless a server sets it otherwise."""
MAX_PICTURE_POINTS: Final = 20_000
"""Points drawn in one picture: a longer curve is thinned so that its extremes stay."""
MAX_PANELS: Final = 24
"""Parameters in one picture."""
MAX_ITEMS: Final = 1_000
"""Items in one answer that lists."""

UNITS: Final[Mapping[str, int]] = {
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "B": 10**9,
    "T": 10**12,
}
"""What may follow a number of steps, and by how much it multiplies the number."""
LARGE_UNITS: Final = tuple((UNITS[unit], unit) for unit in "TBM")
"""Those in which large numbers are written for people."""

_LETTERS = "".join(UNITS)
AMOUNT: Final = rf"\d{{1,30}}(\.\d{{1,30}})? ?(%|epochs?|[{_LETTERS}])"
"""A length with a unit, as definitions and edits take it: ``"10%"``, ``"3 epochs"``, ``"4.3T"``."""
_COUNT: Final = re.compile(
    rf"\+?(\d{{0,30}})(?:\.(\d{{0,30}}))?(?:[eE]([+-]?\d{{1,2}}))? ?([{_LETTERS}])?", re.ASCII
)


def meant(word: str, names: Iterable[str]) -> list[str]:
    """
    Return which of these parameters a word means, sorted: itself, or ``lr/*`` every one of ``lr``.

    That is ``lr``, where there is one, and each of its groups.
    """
    field = word.removesuffix("/*")
    if field == word:
        return [name for name in names if name == word]
    return sorted(name for name in names if name.partition("/")[0] == field)


def whole_number(text: str) -> int | None:
    """
    Return the whole number that a text writes: ``12000``, ``1e6``, ``4.3T`` or ``2.5 k``.

    None for what is no number, and for one that is not whole: nothing is rounded.
    """
    match = _COUNT.fullmatch(text)
    if match is None:
        return None
    whole, decimals, exponent, unit = match.groups(default="")
    if not whole + decimals:
        return None
    digits: int = int(whole + decimals) * UNITS.get(unit, 1)
    power = int(exponent or 0) - len(decimals)
    number, rest = divmod(digits * 10 ** max(power, 0), 10 ** max(-power, 0))
    return None if rest else number

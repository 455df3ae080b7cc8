"""
The long form: ``python -m tests.faults.proof [--seed N] [--only postgresql] [--share 0.1] [FILE]``.

It is done in parts, so that runs grow as old as those of people: on one that was rewound for the
hundredth time, with all its controllers, a rewind takes a second, and everybody waits for it.

It prints how it gets on, and in the end the table of its figures, which it also puts between the
marks of FILE. It exits with 1 if any promise was broken.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from tests.conftest import RunningServer
from tests.faults.campaign import Scale, Verdict, run_campaign
from tests.faults.faults import Faults
from tests.faults.fleet import Fleet, on_postgresql, on_sqlite
from tests.faults.killing import kill_between, mortal_on_postgresql, mortal_on_sqlite

MARKS = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
SECONDS = 10.0
"""How often it says how it gets on."""

LEAST = {
    "values": 1_000_000,
    "changes": 2_000,
    "rewinds": 200,
    "reports": 100_000,
    "decisions": 2_000,
    "halts": 1_000,
}
PARTS = 4
"""Fleets, one after the other, each on a new database with a part of all this."""
KILLS = 1_000
"""Processes that are killed between a report and its answer, on each database."""
ROWS = {
    "values": "values checked, bit for bit",
    "ledger": "values in the ledgers, recomputed",
    "answers": "settling reads answered",
    "unanswered": "settling reads cut off, timed out or answered 503",
    "joins": "joins, with checkpoints of all ages",
    "changes": "changes acknowledged",
    "cancels": "cancellations acknowledged",
    "rewinds": "rewinds acknowledged",
    "advances": "advances acknowledged",
    "reports": "reports kept",
    "again": "reports that came again, with the same bits or others",
    "decisions": "decisions told",
    "stops": "stops acknowledged",
    "pauses": "pauses acknowledged",
    "resumes": "ends of pauses acknowledged",
    "signals": "signals acknowledged",
    "outcomes": "outcomes of signals told",
    "beats": "blocks that workers said they applied, as given or otherwise",
    "wrong": "of these, with another value: each named with its step and both values",
    "saves": "checkpoints told",
    "proposes": "proposals acknowledged",
    "accepts": "proposals accepted",
    "declines": "proposals declined",
    "acts": "acts of an agent with a limit",
    "beyond": "changes that its limit refused",
    "refused": "changes of all these kinds refused",
    "repeated": "changes of all these kinds sent more than once",
    "kill": "kills (`kill -9`)",
    "pause": "pauses (SIGSTOP) of up to 3 s",
    "long pause": "pauses of 6 s to 13 s",
    "crash": "database crashes",
    "black hole": "times that nothing arrived at the database",
    "full disk": "times that the disk was full",
    "cut": "connections cut off within a message",
    "half-close": "connections half-closed within a message",
    "delay": "messages delayed",
    "killed": "kills between a report and its answer",
    "decided": "decisions in these, each made once",
}


@dataclass(frozen=True)
class Trial:
    """One database, and what is done to the service on it."""

    name: str
    fleet: Callable[[Path], AbstractContextManager[Fleet]]
    mortal: Callable[[Path], AbstractContextManager[RunningServer]]
    scale: Scale


def scale(faults: Faults) -> Scale:
    """Return the long form with these faults."""
    return Scale(
        runs=4,
        faults=faults,
        least=LEAST,
        read=0.1,
        change=0.1,
        rewind=120,
        report=0.1,
        conduct=0.2,
        act=0.5,
    )


TRIALS = {
    "postgresql": Trial(
        "PostgreSQL, 3 replicas",
        lambda folder: on_postgresql(3, folder),
        mortal_on_postgresql,
        scale(
            Faults(
                kills=100,
                pauses=40,
                long_pauses=6,
                crashes=20,
                black_holes=20,
                gap=80,
                crash_gap=120,
            ),
        ),
    ),
    "sqlite": Trial(
        "SQLite, 2 processes",
        lambda folder: on_sqlite(2, folder),
        mortal_on_sqlite,
        scale(Faults(kills=100, pauses=40, fills=20, gap=30, crash_gap=120)),
    ),
}


def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.proof")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TRIALS)
    parser.add_argument("--share", type=float, default=1.0, help="how much of it, such as 0.1")
    parser.add_argument("file", nargs="?", type=Path)
    asked = parser.parse_args()
    trials = [trial for key, trial in TRIALS.items() if asked.only in {None, key}]
    verdicts = [_try(trial, asked.seed, asked.share) for trial in trials]
    table = render([trial.name for trial in trials], verdicts)
    say(table)
    if asked.file is not None:
        asked.file.write_text(MARKS.sub(lambda _: table, asked.file.read_text()))
    return int(any(verdict.violations for verdict in verdicts))


def _try(trial: Trial, seed: int, share: float) -> Verdict:
    say(f"{trial.name}, seed {seed}")
    said = 0.0

    def tell(sentence: str) -> None:
        nonlocal said
        if time.monotonic() > said + SECONDS:
            said = time.monotonic()
            say(sentence)

    verdicts = []
    for part in range(PARTS):
        with tempfile.TemporaryDirectory() as folder, trial.fleet(Path(folder)) as fleet:
            scale = trial.scale.shared(share / PARTS)
            verdicts.append(run_campaign(fleet, scale, PARTS * (seed - 1) + part + 1, tell))
    verdict = reduce(Verdict.followed_by, verdicts)
    with tempfile.TemporaryDirectory() as folder, trial.mortal(Path(folder)) as server:
        verdict = verdict.joined(kill_between(server, math.ceil(KILLS * share), seed, tell))
    for violation in verdict.violations:
        say(f"VIOLATION {violation}")
    say(render([trial.name], [verdict]))
    return verdict


def render(names: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """Return the table of the figures, in Markdown."""
    rows = [
        (words, [verdict.figures.get(what, 0) for verdict in verdicts])
        for what, words in ROWS.items()
    ]
    rows.append(("seconds", [round(verdict.seconds) for verdict in verdicts]))
    rows.append((f"first of {PARTS} seeds", [verdict.seed for verdict in verdicts]))
    rows.append(("**violations**", [len(verdict.violations) for verdict in verdicts]))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for words, numbers in rows:
        lines.append(f"| {words} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(lines) + "\n"


def say(sentence: str) -> None:
    """Print a line at once."""
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

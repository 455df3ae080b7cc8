"""The long form: ``python -m tests.converters.compare``, whose figures docs/converters.md has."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.converters.compare.trials import LIBRARIES, Outcome, compared, installed

from rheostat.converters.docs import MARKS

_SHOWN = 5
"""Configurations that differ, of which are told in full for each class."""


def main() -> int:
    """Compare, print how it gets on, write the table, and return 1 if anything differs."""
    reader = argparse.ArgumentParser(prog="python -m tests.converters.compare")
    reader.add_argument("--library", choices=LIBRARIES, help="this one alone")
    reader.add_argument("--scheduler", help="this class alone")
    reader.add_argument("--count", type=int, default=300, help="configurations of each class")
    reader.add_argument("--seed", type=int, default=1, help="which configurations")
    reader.add_argument("file", nargs="?", type=Path, help="a page with marks for the table")
    given = reader.parse_args()
    found: dict[str, dict[str, Outcome]] = {}
    for library in (given.library,) if given.library else LIBRARIES:
        own = installed(library)
        if own is None:
            say(f"{library} is not installed: make compare")
            return 1
        title = f"{library} {own.VERSION}"
        found[title] = {}
        for name in own.SCHEDULERS:
            if given.scheduler in {None, name}:
                outcome = compared(library, own, name, given.count, given.seed)
                found[title][name] = outcome
                tell(f"{library} {name}", outcome)
    table = rendered(found)
    say(table)
    if given.file is not None:
        text = given.file.read_text(encoding="utf-8")
        given.file.write_text(MARKS.sub(lambda _: table, text), encoding="utf-8")
    return int(any(one.different for each in found.values() for one in each.values()))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(name: str, outcome: Outcome) -> None:
    """Print what came of a class."""
    figures = f"{outcome.equal} equal, {outcome.failed} failing there, {outcome.refusals} refused"
    say(f"{name}: {figures}, {len(outcome.different)} differing")
    for why, count in outcome.refused.most_common():
        say(f"    refused {count}: {why}")
    for wrong in outcome.different[:_SHOWN]:
        say(f"    DIFFERS {wrong}")


def rendered(found: dict[str, dict[str, Outcome]]) -> str:
    """Return the table of the figures, and the reasons of refusals below it."""
    head = (
        "| library | classes | configurations | equal | failing there | refused | **differing** |"
    )
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|"]
    reasons = []
    for title, outcomes in found.items():
        every = outcomes.values()
        numbers = [
            len(outcomes),
            sum(one.tried for one in every),
            sum(one.equal for one in every),
            sum(one.failed for one in every),
            sum(one.refusals for one in every),
            sum(len(one.different) for one in every),
        ]
        lines.append(f"| {title} | {' | '.join(f'{number:,}' for number in numbers)} |")
        for name, one in outcomes.items():
            reasons += [
                f"* {title.split()[0]} `{name}`, {count} of {one.tried}: {why}"
                for why, count in one.refused.most_common()
            ]
    return "\n".join([*lines, "", *reasons]).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())

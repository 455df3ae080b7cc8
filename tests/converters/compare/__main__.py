"""The long form: ``python -m tests.converters.compare``, whose figures docs/converters.md has."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path

from tests.converters.compare.files import trials as files
from tests.converters.compare.trials import LIBRARIES, Outcome, compared, installed

from rheostat.converters.docs import MARKS, MARKS_OF_FILES

_SHOWN = 5
"""Configurations that differ, of which are told in full for each class."""


def main() -> int:
    """Compare, print how it gets on, write the tables, and return 1 if anything differs."""
    reader = argparse.ArgumentParser(prog="python -m tests.converters.compare")
    which = reader.add_mutually_exclusive_group()
    which.add_argument("--library", choices=LIBRARIES, help="the schedulers of this one alone")
    which.add_argument("--project", choices=files.PROJECTS, help="the files of this one alone")
    reader.add_argument("--scheduler", help="this class alone")
    reader.add_argument("--count", type=int, default=300, help="configurations of each class")
    reader.add_argument("--files", type=int, default=100, help="files of each project")
    reader.add_argument("--seed", type=int, default=1, help="which configurations")
    reader.add_argument("file", nargs="?", type=Path, help="a page with marks for the tables")
    given = reader.parse_args()
    logging.disable(logging.CRITICAL)
    every: list[Outcome] = []
    try:
        if given.project is None:
            found = of_schedulers(given)
            show(rendered(found), MARKS, given.file)
            every += [one for each in found.values() for one in each.values()]
        if given.library is None:
            projects = of_files(given)
            show(rendered_files(projects), MARKS_OF_FILES, given.file)
            every += projects.values()
    except ImportError as error:
        say(f"{error}: make compare installs it")
        return 1
    return int(any(one.different for one in every))


def show(table: str, marks: re.Pattern[str], file: Path | None) -> None:
    """Print a table, and write it between its marks."""
    say(table)
    if file is not None:
        text = file.read_text(encoding="utf-8")
        file.write_text(marks.sub(lambda _: table, text), encoding="utf-8")


def of_schedulers(given: argparse.Namespace) -> dict[str, dict[str, Outcome]]:
    """Return what came of the schedulers, by library with its version, and by class."""
    found: dict[str, dict[str, Outcome]] = {}
    for library in (given.library,) if given.library else LIBRARIES:
        own = installed(library)
        if own is None:
            raise ImportError(f"{library} is not installed")
        title = f"{library} {own.VERSION}"
        found[title] = {}
        for name in own.SCHEDULERS:
            if given.scheduler in {None, name}:
                outcome = compared(library, own, name, given.count, given.seed)
                found[title][name] = outcome
                tell(f"{library} {name}", outcome)
    return found


def of_files(given: argparse.Namespace) -> dict[str, Outcome]:
    """Return what came of the files, by project with its version."""
    found: dict[str, Outcome] = {}
    for project in (given.project,) if given.project else files.PROJECTS:
        own = files.installed(project)
        if own is None:
            raise ImportError(f"{project} is not installed")
        outcome = files.compared(project, own, given.files, given.seed)
        found[f"{project} {own.VERSION}"] = outcome
        tell(f"files of {project}", outcome)
    return found


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


def rendered_files(found: dict[str, Outcome]) -> str:
    """Return the table of the figures of files, and the reasons of refusals below it."""
    lines = [
        "| project | files | equal | failing there | refused | **differing** |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    reasons = []
    for title, one in found.items():
        numbers = (one.tried, one.equal, one.failed, one.refusals, len(one.different))
        lines.append(f"| {title} | {' | '.join(map(str, numbers))} |")
        reasons += [
            f"* {title.split()[0]}, {count} of {one.tried}: {why}"
            for why, count in one.refused.most_common()
        ]
    return "\n".join([*lines, "", *reasons]).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())

"""
Check the fragments of the changelog, or move them into CHANGELOG.md as a release.

    python changelog.d/assemble.py --check
    python changelog.d/assemble.py 0.3.0
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent
CHANGELOG: Final = FOLDER.parent / "CHANGELOG.md"
SECTIONS: Final = ("added", "changed", "deprecated", "removed", "fixed", "security")
NAME: Final = re.compile(rf"[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(SECTIONS)})\.md")
LONGEST: Final = 600
UNRELEASED: Final = "## Unreleased\n"


class Fragment(NamedTuple):
    """A file of the folder: what changed, for whoever uses Rheostat."""

    path: Path
    text: str

    @property
    def section(self) -> str:
        """The section of the changelog that it belongs to."""
        return self.path.name.split(".")[1]

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with it."""
        if not NAME.fullmatch(self.path.name):
            yield f"is not named like trapezoid-kind.SECTION.md, with one of {', '.join(SECTIONS)}"
        if not self.text or "\n\n" in self.text or self.text.startswith(("-", "#")):
            yield "is not one paragraph of plain sentences"
        if len(self.text) > LONGEST:
            yield f"has {len(self.text)} characters, and {LONGEST} must do"


def fragments(folder: Path = FOLDER) -> list[Fragment]:
    """Return all fragments, by name."""
    paths = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    return [Fragment(path, path.read_text().strip()) for path in paths]


def released(changelog: str, version: str, day: str, found: list[Fragment]) -> str:
    """Return the changelog with a release: of these fragments, and what stood as unreleased."""
    head, _, tail = changelog.partition(UNRELEASED)
    match = re.search(r"^## ", tail, re.MULTILINE)
    cut = match.start() if match else len(tail)
    standing, older = tail[:cut].strip(), tail[cut:]
    parts = [part for part in (standing, *_sections(found)) if part]
    body = "\n\n".join([f"## {version} - {day}", *parts])
    return f"{head}{UNRELEASED}\n{body}\n" + (f"\n{older}" if older else "")


def _sections(found: list[Fragment]) -> Iterator[str]:
    for section in SECTIONS:
        lines = [f"- {' '.join(f.text.split())}" for f in found if f.section == section]
        if lines:
            yield "\n".join([f"### {section.capitalize()}", "", *lines])


def main(argument: str) -> int:
    """Check the fragments; release them, unless that was all."""
    found = fragments()
    faults = [f"{f.path.name} {fault}" for f in found for fault in f.faults()]
    print("\n".join(faults) or f"{len(found)} fragments of the changelog")
    if faults or argument == "--check":
        return 1 if faults else 0
    if not re.fullmatch(r"\d+\.\d+\.\d+", argument):
        sys.exit("make changelog needs VERSION=, such as 0.3.0")
    text = CHANGELOG.read_text()
    day = datetime.now(UTC).date().isoformat()
    CHANGELOG.write_text(released(text, argument, day, found))
    for fragment in found:
        fragment.path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))

"""
What is promised of every framework, and how its test module says which framework it is about.

A test module of this folder, ``test_<framework>.py``, has

* ``FRAMEWORK = Framework(…)``, which needs no import of the framework;
* a test named ``test_<cell>`` for each of `CELLS`, or a sentence in ``FRAMEWORK.missing`` that says
  why there can be none;
* ``test_docs``, which runs the code of the framework's section in ``docs/frameworks.md``;
* no import of the framework before a test runs, since ``docs/frameworks.md`` is made of the modules
  where none is installed.

`test_table.py` demands all of this. What else a module tests is its own affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

CELLS = {
    "ledger": "values equal to the ledger at every optimizer step",
    "accumulation": "with accumulation 3",
    "amp": "with a skipped AMP step",
    "resume": "resumed in the middle of an epoch",
    "rewind": "after a rewind",
    "longer": "longer than planned",
    "stop": "stopped in the middle",
    "ranks": "on 2 processes",
}
"""What is tried with each framework, by the name of its test: ``test_ledger`` and so on."""

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
FOLDER = Path(__file__).parent
OVERLAYS = FOLDER.parents[1] / ".venv" / "old"
"""Where the oldest versions are, each in a folder that is named as its test module is."""
OTHERS = (
    "test_services",
    "test_table",
    "test_oldest",
    "test_loggers",
    "test_names",
    "test_traced",
    "test_tutorial",
)
"""Test modules of this folder that are about no framework."""


@dataclass(frozen=True)
class Framework:
    """
    A framework, as its test module declares it.

    Attributes:
        name: What it is called, and the heading of its section in ``docs/frameworks.md``.
        package: What ``pip`` installs, whose version is tested.
        adds: The lines that a training gets, as the section shows them.
        newest: The newest version that can be had: that of ``make test-frameworks``.
        oldest: The oldest version that works, tried in an overlay; that of `newest` alone if there
            is no older one.
        old_needs: What the overlay needs besides, as ``pip`` reads it: ``huggingface-hub==0.36.0``.
        apart: Whether the newest version is in an overlay, too, since others look for it, or it
            cannot be beside what they need.
        missing: Why a cell cannot be there, by the cell.

    """

    name: str
    package: str
    adds: str
    newest: str
    oldest: str
    old_needs: tuple[str, ...] = ()
    apart: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def overlaid(self) -> bool:
        """Whether there is an overlay with its oldest version."""
        return self.apart or self.oldest != self.newest

    @property
    def lines(self) -> int:
        """How many lines a training gets."""
        return len(self.adds.strip().splitlines())


def modules() -> Iterator[ModuleType]:
    """Yield the test modules that are about a framework, in the order of the frameworks' names."""
    names = sorted(path.stem for path in FOLDER.glob("test_*.py") if path.stem not in OTHERS)
    found = [import_module(f"tests.frameworks.{name}") for name in names]
    return iter(sorted(found, key=lambda module: framework_of(module).name.lower()))


def framework_of(module: ModuleType) -> Framework:
    """Return what a test module declares."""
    framework = getattr(module, "FRAMEWORK", None)
    assert isinstance(framework, Framework), f"{module.__name__} has no FRAMEWORK = Framework(…)"
    return framework


def overlay_of(module: ModuleType) -> Path:
    """Return the folder in which the oldest version is, of the framework of a test module."""
    return OVERLAYS / module.__name__.rpartition(".")[2].removeprefix("test_")


def section(name: str) -> str:
    """Return the section of the page that has this heading."""
    page = PAGE.read_text()
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, f"docs/frameworks.md has no section {name!r}"
    return found[1]

"""What is registered, and what the manual says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rheostat.controllers import KINDS as CONTROLLERS
from rheostat.converters import docs, registry
from rheostat.converters.core import Library, Scheduler
from rheostat.schedules import KINDS

DOCS = Path(__file__).parents[2] / "docs"
FOUND = {name: library for name in registry.NAMES if (library := registry.find(name))}
SCHEDULERS = [
    pytest.param(item, id=f"{name}/{item.names[0]}")
    for name, library in FOUND.items()
    for item in library.items
]


def test_the_manual_is_current() -> None:
    """`docs/converters.md` is what `python -m rheostat.converters.docs docs` writes."""
    page = (DOCS / "converters.md").read_text()
    assert page == docs.manual(page), "out of date: make docs"


def test_every_library_has_a_name_of_its_own() -> None:
    """No two libraries go by the same name."""
    names = [name for module, others in registry.NAMES.items() for name in (module, *others)]
    assert len({registry.find(name) and name.lower() for name in names}) == len(names)


def test_every_file_of_a_library_is_registered() -> None:
    """A file of converters that `registry` does not name would never be loaded."""
    folder = Path(docs.__file__).parent
    registering = {
        path.stem
        for path in folder.glob("[!_]*.py")
        if re.search(r"^@library\.(scheduler|controller)\(", path.read_text(), re.MULTILINE)
    }
    registered = {file for name in registry.NAMES for file in registry.files(name)}
    forgotten = registering - registered
    assert not forgotten, f"not in service/rheostat/converters/registry.py: {forgotten}"
    assert registering == registered


@pytest.mark.parametrize(("name", "library"), FOUND.items(), ids=FOUND)
def test_every_library_is_in_the_manual(name: str, library: Library) -> None:
    """A library's chapter has a title, and a row with all names of each scheduler."""
    assert library.name == name
    assert library.items
    manual = (DOCS / "converters.md").read_text()
    chapters = [part for part in manual.split("\n## ") if f"Library: `{name}`" in part]
    assert len(chapters) == 1, f"docs/converters.md has {len(chapters)} chapters of it: make docs"
    (chapter,) = chapters
    title, _, about = chapter.partition("\n\n")
    said = title.strip() and not about.startswith(("Library:", "\n"))
    assert said, f"the docstring of {name}.py must be 'Title: what is read.'"
    for scheduler in library.items:
        assert f"| {', '.join(f'`{one}`' for one in scheduler.names)} |" in chapter


@pytest.mark.parametrize("library", FOUND.values(), ids=FOUND)
def test_what_a_library_hands_to_no_converter_changes_nothing(library: Library) -> None:
    """The parameters that a library takes for all its schedulers are all marked as ignored."""
    for scheduler in library.schedulers:
        common = scheduler.common.model_fields if scheduler.common else {}
        assert set(common) <= set(dict(scheduler.ignored()))


@pytest.mark.parametrize("item", SCHEDULERS)
def test_every_scheduler_says_what_it_becomes(item: Scheduler) -> None:
    """The first words of each converter's text name a kind, or say that it is refused."""
    marked = item.becomes.split("`")[1::2]
    refers = item.becomes.startswith(("Refused", "As ", "The ", "What the "))
    said = f"the docstring of {item.names[0]} begins with {item.becomes!r}: which kind is it?"
    assert refers or set(marked) & {*KINDS, *CONTROLLERS}, said

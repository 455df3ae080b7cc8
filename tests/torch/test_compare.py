"""A small share of `make compare`: random configurations and files, of what is installed."""

from __future__ import annotations

import warnings

import pytest
from tests.converters.compare.files import trials as files
from tests.converters.compare.trials import LIBRARIES, compared, installed

from rheostat.converters import registry

COUNT, SEED = 4, 2
FILES = 3
with warnings.catch_warnings(action="ignore"):
    known = ((name, files.installed(name)) for name in files.PROJECTS)
    PROJECTS = {name: own for name, own in known if own is not None}
FOUND = {library: own for library in LIBRARIES if (own := installed(library)) is not None}


@pytest.mark.parametrize(
    ("library", "name"),
    [(library, name) for library, own in FOUND.items() for name in own.SCHEDULERS],
)
@pytest.mark.filterwarnings("ignore")
def test_random_configurations_have_the_library_s_own_values(library: str, name: str) -> None:
    """Every class has equal values at every step, or fails there, or is refused with a reason."""
    outcome = compared(library, FOUND[library], name, COUNT, SEED)
    assert not outcome.different, outcome.different[0]
    assert outcome.tried == outcome.equal + outcome.failed + outcome.refusals == COUNT


@pytest.mark.parametrize("library", FOUND)
def test_every_class_is_compared(library: str) -> None:
    """Each scheduler that becomes a definition is drawn, by one of its names."""
    found = registry.find(library)
    assert found is not None
    named = {*FOUND[library].SCHEDULERS, "get_scheduler"}  # which takes the others by their names
    left = {
        item.names[0]
        for item in found.items
        if not (item.reacts or item.becomes.startswith("Refused") or named & {*item.names})
    }
    assert not left, f"tests/converters/compare/of_{library}.py draws none of these"


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.filterwarnings("ignore")
def test_random_files_have_the_project_s_own_values(project: str) -> None:
    """Whole files have all parameters and steps of the project's own code, or fail there too."""
    outcome = files.compared(project, PROJECTS[project], FILES, SEED)
    assert not outcome.different, outcome.different[0]
    assert outcome.tried == outcome.equal + outcome.failed + outcome.refusals == FILES

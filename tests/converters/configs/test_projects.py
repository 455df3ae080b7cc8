"""Every project whose files are read: told by its own fields, tried, and in the manual."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rheostat.converters import config_conversion, configs
from rheostat.converters.configs import library_of, projects
from rheostat.converters.configs.flags import Flags
from rheostat.converters.configs.project import Project
from rheostat.errors import Invalid

HERE = Path(__file__).parent
MANUAL = (HERE.parents[2] / "docs/converters.md").read_text()
CHAPTER = MANUAL.partition("## Configuration files\n")[2].partition("\n## ")[0]
EVERY = [pytest.param(project, id=project.name) for project in projects.every()]


def test_every_file_is_registered() -> None:
    """A project's file that `projects.NAMES` does not name would never be read."""
    folder = Path(configs.__file__ or "").parent
    having = re.compile(r"^PROJECT\b", re.MULTILINE)
    files = {path.stem for path in folder.glob("[!_]*.py") if having.search(path.read_text())}
    assert files == set(projects.NAMES)


def test_names_are_of_one_project() -> None:
    """No two projects go by the same name, and each of them finds its own."""
    for name, others in projects.NAMES.items():
        for one in (name, *others, name.upper(), name.replace("_", "-")):
            found = projects.find(one)
            assert found is not None
            assert found.name == name


def holding(path: str) -> dict[str, Any]:
    """Return a file that has one field alone."""
    first, dot, rest = path.partition(".")
    return {first: holding(rest) if dot else None}


@pytest.mark.parametrize("project", EVERY)
def test_each_of_its_signs_tells_a_project(project: Project) -> None:
    """A file with one of these fields alone is of this project and no other, or is asked about."""
    assert project.signs or project.flags or project.tells
    assert not any("-" in flag for flag in project.flags)
    files = [(sign, holding(sign)) for sign in project.signs]
    for sign, file in [*files, *((flag, Flags({flag: "1"})) for flag in project.flags)]:
        library, why = library_of(file)
        doubt = project.doubt and project.doubt(file)
        assert library == (None if doubt else project.name), sign
        assert (not doubt) or (f"its {sign} may be of {project.name}" in why and doubt in why)


@pytest.mark.parametrize("project", EVERY)
def test_a_project_is_tried(project: Project) -> None:
    """A test of this folder, or that of the first three formats, reads a file of it."""
    tests = [*HERE.glob("test_*.py"), HERE.parent / "test_configs.py"]
    named = [path.name for path in tests if f'"{project.name}"' in path.read_text()]
    assert named, f"no test in tests/converters/configs has a minimal file of {project.name}"


@pytest.mark.parametrize("project", EVERY)
def test_a_project_is_in_the_manual(project: Project) -> None:
    """Its row says what is read, by what it is told, what was checked and what is refused."""
    (row,) = [line for line in CHAPTER.splitlines() if line.startswith(f"| `{project.name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert len(cells) == 5
    assert all(cells), f"{project.name} leaves a cell of its row empty"
    assert not project.checked.endswith(".")
    assert not project.refused.endswith(".")


@pytest.mark.parametrize("project", EVERY)
def test_only_a_project_with_flags_reads_command_lines(project: Project) -> None:
    """A command line is no file of a project that has none, and is told where the whole one is."""
    if project.flags:
        return
    with pytest.raises(Invalid) as caught:
        config_conversion(project.name, "python -m trainer --config-name=x optim.lr=1e-4 +a.b=1")
    (error,) = caught.value.errors
    assert error.field == "config"
    assert ".hydra/config.yaml" in error.message

"""Fragments of the changelog are checked, and become a release."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load() -> ModuleType:
    """Return the program of `changelog.d`, which is no package."""
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "changelog.d/assemble.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


assemble = load()


def fragment(name: str, text: str) -> object:
    """Return a fragment."""
    return assemble.Fragment(Path(name), text)


def test_our_fragments_are_sound() -> None:
    """Every file in `changelog.d` is named and written as its README says."""
    assert [fault for each in assemble.fragments() for fault in each.faults()] == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("Kind.added.md", "A kind.", "named"),
        ("kind.new.md", "A kind.", "named"),
        ("kind.added.md", "", "paragraph"),
        ("kind.added.md", "- A kind.", "paragraph"),
        ("kind.added.md", "A kind.\n\nAnd another one.", "paragraph"),
        ("kind.added.md", "A" * 601, "600"),
    ],
)
def test_what_is_wrong_with_a_fragment_is_said(name: str, text: str, fault: str) -> None:
    """A fragment of another name, form or length is refused with the reason."""
    assert any(fault in said for said in assemble.Fragment(Path(name), text).faults())


def test_a_release_has_all_fragments_by_section() -> None:
    """Fragments stand below the version, by section, and older releases below them."""
    before = "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-01-01\n\n### Added\n\n- All.\n"
    found = [fragment("b.fixed.md", "A value."), fragment("a.added.md", "A kind,\nof curves.")]
    assert assemble.released(before, "0.2.0", "2026-02-03", found) == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-02-03\n\n### Added\n\n"
        "- A kind, of curves.\n\n### Fixed\n\n- A value.\n\n## 0.1.0 - 2026-01-01\n\n"
        "### Added\n\n- All.\n"
    )

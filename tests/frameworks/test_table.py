"""The table of docs/frameworks.md is what the tests say, and no framework leaves out a cell."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from tests.frameworks.cells import CELLS, PAGE, framework_of, modules, section
from tests.frameworks.table import with_table

MODULES = list(modules())
each = pytest.mark.parametrize("module", MODULES, ids=lambda m: framework_of(m).name)


def test_the_page_has_the_table_that_the_tests_make() -> None:
    """`python -m tests.frameworks.table docs/frameworks.md` would change nothing."""
    page = PAGE.read_text()
    assert page == with_table(page)


@each
def test_every_cell_is_a_test(module: ModuleType) -> None:
    """Each cell has a test of its name, or a sentence why it cannot be there, and not both."""
    framework = framework_of(module)
    tested = {name for name in CELLS if callable(getattr(module, f"test_{name}", None))}
    assert tested | set(framework.missing) == set(CELLS)
    assert not tested & set(framework.missing)
    assert callable(getattr(module, "test_docs", None)), "nothing runs the code of its section"
    assert all(len(reason) > 20 for reason in framework.missing.values())


@each
def test_the_section_shows_the_lines_that_are_counted(module: ModuleType) -> None:
    """What a training gets stands in the code of the framework's section, line by line."""
    framework = framework_of(module)
    blocks = re.findall(r"^```python\n(.*?)^```", section(framework.name), re.DOTALL | re.MULTILINE)
    shown = {line.strip() for block in blocks for line in block.splitlines()}
    for line in framework.adds.strip().splitlines():
        assert any(line.strip() in other for other in shown), f"{line!r} is not in {shown}"

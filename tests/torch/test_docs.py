"""The tutorial cannot lie: its code runs, and prints what it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"


def test_the_tutorial_does_what_it_says(server: str) -> None:
    """All blocks, one after the other, in one namespace."""
    text = PAGE.read_text().replace("http://rheostat:8000", server)
    blocks = re.findall(r"^```(python|pycon)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    for kind, code in blocks:
        if kind == "python":
            exec(code, names)  # noqa: S102 - our own page
        else:
            test = doctest.DocTestParser().get_doctest(code, names, PAGE.name, str(PAGE), 0)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
    names["client"].close()
    assert len(blocks) > 10
    assert runner.summarize().failed == 0

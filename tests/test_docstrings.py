"""Docstrings cannot lie: the examples in them are run, and print what they show."""

from __future__ import annotations

import doctest
import gc
import re
import uuid
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import rheostat

PACKAGE = Path(rheostat.__file__).parent
WRITTEN = "http://rheostat:8000"
PARAMETERS = {"lr": {"kind": "constant", "value": 4e-4}}
TOTAL = 100_000


def with_examples() -> Iterator[str]:
    """Yield the names of the modules that show examples."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text():
            yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def run_examples(name: str, address: str, **known: Any) -> None:
    """Run a module's examples with a service at this address, where a fresh run is `gpt-7b`."""
    run = f"gpt-7b-{uuid.uuid4().hex}"
    with rheostat.Client(address) as client:
        client.create_run(run, PARAMETERS, total=TOTAL)
    module = import_module(name.removesuffix(".__init__"))
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=known):
        for example in test.examples:
            source = example.source.replace(WRITTEN, address)
            example.source = source.replace('"gpt-7b"', f'"{run}"')
        runner.run(test, out=told.append)
    let_clients_go()
    assert not runner.failures, "".join(told)
    assert runner.tries, f"{name} shows >>>, but nothing that is run"


def let_clients_go() -> None:
    """Collect clients that an example made within a line, and nobody can close, without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def run_page(page: Path, server: str) -> tuple[dict[str, Any], int]:
    """
    Run the Python of a manual against a server, all blocks one after the other in one namespace.

    Return that namespace, and how many blocks there were; what does not print what the page shows
    fails. The caller closes the page's ``client``.
    """
    return run_text(page.read_text(), server, {})


def run_text(text: str, server: str, known: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Run the Python of a text as that of a page, beginning with some names."""
    text = text.replace(WRITTEN, server)
    blocks = re.findall(r"^```(python|pycon)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    names = dict(known)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    for kind, code in blocks:
        if kind == "python":
            exec(code, names)  # noqa: S102 - our own page
        else:
            test = doctest.DocTestParser().get_doctest(code, names, "a page", None, 0)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
    assert runner.summarize().failed == 0
    return names, len(blocks)


@pytest.mark.parametrize("name", [n for n in with_examples() if not n.startswith("rheostat.torch")])
def test_examples_print_what_they_show(name: str, server: str) -> None:
    """Every example in a docstring of the package does what stands below it."""
    run = f"docs-{uuid.uuid4().hex}"
    with rheostat.Client(server) as client:
        client.create_run(run, PARAMETERS, total=TOTAL)
        run_examples(name, server, run=client.control(run))

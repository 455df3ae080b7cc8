"""The manual of weight decay cannot lie: its code runs, and its numbers come out again."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartServer
from tests.test_docstrings import let_clients_go, run_page

from rheostat import Client

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "weight-decay.md"


def test_the_manual_of_weight_decay_does_what_it_says(start_server: StartServer) -> None:
    """All blocks, one after the other, in one namespace; the runs of other pages have its names."""
    names, blocks = run_page(PAGE, start_server().url)
    names["client"].close()
    assert blocks > 6
    del names
    let_clients_go()


def rows() -> dict[str, list[str]]:
    """Return the tables of the manual's trainings, by their first column."""
    row = re.compile(r"^\| (.*?) \| (0\.\d{3}) \| (.*?) \| (\S+%) \|$", re.MULTILINE)
    return {name: rest for name, *rest in row.findall(PAGE.read_text())}


def test_the_picture_is_that_of_the_table() -> None:
    """Both are of one time that the trainings were made."""
    title = re.findall("<title>(.*?)</title>", (ROOT / "docs" / "weight-decay.svg").read_text())
    assert title == [
        "Size of the weights at the end: "
        + "; ".join(f"{name}: {row[1]}" for name, row in rows().items() if "%" not in row[1])
    ]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the program that makes them."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import weight_decay

    yield weight_decay
    for name in [
        each for each in sys.modules if each.partition(".")[0] in {"digits", "weight_decay"}
    ]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["AdamW, follows the rate", "0.0001"])
def test_the_numbers_come_out_again(name: str, example: Any, server: str) -> None:
    """A training by a run of the service ends as the table says, within a hundredth."""
    (variant,) = [each for each in (*example.VARIANTS, *example.LASSO) if each.words == name]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with Client(server) as client:
        found = example.train(example.made(client, variant), variant, example.digits())
    torch.set_num_threads(threads)
    first, second, accuracy = rows()[name]
    last = float(first if "%" in second else second)
    assert found.sizes[-1] == pytest.approx(last, rel=0.01)
    assert found.accuracy == pytest.approx(float(accuracy[:-1]) / 100, abs=0.01)

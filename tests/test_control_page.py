"""The manual of control cannot lie: its Python runs, and prints what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tests.conftest import StartServer
from tests.test_docstrings import let_clients_go, run_page

from rheostat import Run

PAGE = Path(__file__).parents[1] / "docs" / "control.md"


def test_the_manual_of_control_does_what_it_says(start_server: StartServer) -> None:
    """All blocks, one after the other, in one namespace; the runs of other pages have its names."""
    names, _ = run_page(PAGE, start_server().url)
    _watches(names)
    names["client"].close()
    del names
    let_clients_go()


def _watches(names: dict[str, Any]) -> None:
    """See that the controller of one's own decides once on a step, though it goes twice."""
    run = names["client"].run("watched", create={"parameters": {"lr": 1.0}})
    run.block(0, 4)
    for step, loss in ((2, 1.0), (4, 9.0)):
        run.report(step, {"loss": loss}, wait=True)
    for _ in range(2):
        names["watch"](_Brief(run), "loss", 5.0)
    changes = [each for each in run.history() if each["kind"] == "change"]
    assert [each["cause"]["step"] for each in changes] == [4]


class _Brief:
    """A run that has two reports to follow, and no more."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def reports(self, metric: str, *, follow: Literal[True]) -> Iterator[dict[str, Any]]:
        return islice(self.run.reports(metric, follow=follow), 2)

    def change(self, changes: dict[str, Any], **options: Any) -> Any:
        return self.run.change(changes, **options)

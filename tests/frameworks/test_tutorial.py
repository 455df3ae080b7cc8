"""The tutorial is a notebook that runs, from nothing to a changed rate."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the notebook as it is after all of its cells were run, in an empty folder."""
    folder = tmp_path_factory.mktemp("tutorial")
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        for variable in [name for name in os.environ if name.startswith("RHEOSTAT_")]:
            patch.delenv(variable)
        client = nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    return notebook


def code(notebook: Any) -> list[Any]:
    """Return the cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def result(notebook: Any, begins: str) -> dict[str, Any]:
    """Return what the cell shows that begins so, by media type."""
    [cell] = [cell for cell in code(notebook) if cell.source.startswith(begins)]
    [shown] = [out.data for out in cell.outputs if out.output_type == "execute_result"]
    return dict(shown)


def test_it_is_stored_without_outputs() -> None:
    """What it prints is of whoever runs it, and a change of it can be read."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))


def test_every_cell_runs(executed: Any) -> None:
    """The training comes to the slope of its points, 3, and hears of the change where it lands."""
    effective = int(result(executed, "change = ")["text/plain"])
    assert 400 <= effective < 1000
    [told] = [cell for cell in code(executed) if cell.source.startswith("run.on_change")]
    said = "".join(out.text for out in told.outputs if out.output_type == "stream")
    assert said == f"from step {effective}: loss spike\n"
    assert float(result(executed, "run.on_change")["text/plain"]) == pytest.approx(3, abs=0.3)
    assert "revision=2" in result(executed, "run.at")["text/plain"]
    assert result(executed, "why = ")["text/plain"].endswith(", 2, 'loss spike')")
    assert "'tutorial-2'" in result(executed, "again = ")["text/plain"]


def test_pictures_are_shown(executed: Any) -> None:
    """A run and a plot show themselves as pictures, and a client as a table of its runs."""
    assert "<svg" in result(executed, "run.plot()")["image/svg+xml"]
    assert "data:image/svg+xml" in result(executed, "run = ")["text/html"]
    [listed] = [cell for cell in code(executed) if cell.source == "client"]
    assert "tutorial-2" in listed.outputs[0].data["text/html"]


def test_nothing_is_logged_into_cells(executed: Any) -> None:
    """No cell has a line of a log: neither the server's nor httpx's. That one waits may be said."""
    outputs = [out for cell in code(executed) for out in cell.outputs]
    lines = [
        line for out in outputs if out.get("name") == "stderr" for line in out.text.splitlines()
    ]
    assert [line for line in lines if not re.search(r"waiting|after \d+ s", line)] == []

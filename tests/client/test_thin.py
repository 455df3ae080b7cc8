"""What importing the client loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rheostat

HEAVY = ("numpy", "pydantic", "fastapi", "sqlalchemy", "uvicorn", "orjson", "typer", "torch")


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    return {name.partition(".")[0] for name in output.stdout.split()}


def test_client_needs_httpx_alone() -> None:
    """The client brings nothing that httpx has not: no NumPy, no Pydantic, no FastAPI."""
    names = ", ".join(rheostat.__all__)

    ours = loaded(f"from rheostat import {names}") - loaded("import httpx, asyncio")

    assert not ours & set(HEAVY)
    assert {name for name in ours if name not in sys.stdlib_module_names} == {"rheostat"}


def test_errors_need_nothing() -> None:
    """The service and the command line import the package without loading the client."""
    assert not loaded("import rheostat.errors") & {"httpx", "asyncio", *HEAVY}


def test_exports() -> None:
    """What the package promises is there, and what it does not is an AttributeError."""
    assert {name for name in rheostat.__all__ if hasattr(rheostat, name)} == set(rheostat.__all__)
    assert set(rheostat.__all__) <= set(dir(rheostat))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = rheostat.nothing_like_it

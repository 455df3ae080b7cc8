"""Golden cases are data: one JSON file for each kind, with the origin of every number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"


def golden_cases() -> list[Any]:
    """Return every golden case of every kind, named by its file and place in it."""
    return [
        pytest.param(case, id=f"{path.stem}-{i}")
        for path in sorted(GOLDEN.glob("*.json"))
        for i, case in enumerate(json.loads(path.read_text()))
    ]

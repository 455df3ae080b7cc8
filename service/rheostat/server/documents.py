"""
Documents that are made from the code, and kept beside it: a test fails when one is out of date.

``python -m rheostat.server.documents docs`` writes ``docs/openapi.json`` and ``docs/settings.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import orjson

from rheostat.server.app import create_app
from rheostat.server.environment import variable
from rheostat.server.settings import Settings

SETTINGS_HEAD = """\
# Settings

Each setting is an environment variable. `rheostat serve --help` lists those that are options of
the command line too.

| variable | default | what it is |
|---|---|---|
"""


def openapi() -> bytes:
    """Return the OpenAPI document of a server that requires tokens."""
    document = create_app(Settings.model_construct(auth=True)).openapi()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def settings() -> bytes:
    """Return the table of all settings, as Markdown."""
    rows = (_row(name) for name in Settings.model_fields)
    return (SETTINGS_HEAD + "".join(rows)).encode()


def _row(name: str) -> str:
    info = Settings.model_fields[name]
    sentence = " ".join(Settings.descriptions()[name].split())
    if get_origin(info.annotation) is Literal:
        sentence += f" One of {', '.join(f'`{choice}`' for choice in get_args(info.annotation))}."
    return f"| `{variable(name)}` | {_default(info.default)} | {sentence} |\n"


def _default(value: object) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


DOCUMENTS = {"openapi.json": openapi, "settings.md": settings}
"""The files, and what makes their content."""


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file_name, content in DOCUMENTS.items():
        (folder / file_name).write_bytes(content())

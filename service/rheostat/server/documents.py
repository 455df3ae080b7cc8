"""
Documents that are made from the code, and kept beside it: a test fails when one is out of date.

``python -m rheostat.server.documents docs`` writes them: `DOCUMENTS` lists which there are.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import orjson
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from rheostat import limits as all_limits
from rheostat.formats import Format
from rheostat.limits import MAX_BINARY_VALUES, MAX_TEXT_VALUES
from rheostat.server.app import create_app
from rheostat.server.docstrings import field_docstrings
from rheostat.server.environment import IN_FILES, file_variable, variable
from rheostat.server.http.connections import EndReason
from rheostat.server.http.metrics import METRICS
from rheostat.server.settings import Settings

SETTINGS_HEAD = """\
# Settings

Each setting is an environment variable. `rheostat serve --help` lists those that are options of
the command line too. What clients and commands read (`RHEOSTAT_URL`, `RHEOSTAT_TOKEN` or
`RHEOSTAT_TOKEN_FILE`, `RHEOSTAT_AUTHOR`) is in [access.md](access.md#tokens).

A setting that holds a secret may stand in a file, such as a mounted one, so that it is in no
environment. The file has it on its one line, and is read when a server or a command starts. A file
that is missing, empty or something else is refused, and so is a setting that stands in both places.

| variable | default | bounds | what it is |
|---|---|---|---|
"""

METRICS_HEAD = """\
# Metrics

`GET /metrics` answers in Prometheus's text format, and needs the role `viewer` where tokens are
required. A server of several workers answers for all of them.

| metric | type | labels | what it is |
|---|---|---|---|
"""

METRICS_FOOT = """
`route` is the template of a route, such as `/v1/runs/{run}/values`, or `unmatched`. `method` is
`other` for a method that HTTP does not name. `reason` is one of
"""

LIMITS_HEAD = """\
# Limits

What everybody may ask for at most, and how things are named. Whatever goes beyond is refused with
the field, the value and the bound. What a server sets otherwise is in [settings.md](settings.md).

| name | limit | of what |
|---|---|---|
"""

FORMATS_HEAD = """\
# Formats

What `?format=` and `Accept` choose from (the former goes before; the first one that is offered is
the default), and what the command line writes. At most so many values stand in one answer, unless
[settings](settings.md) say otherwise.

| format | media type | values | what it is | offered by |
|---|---|---|---|---|
"""


def openapi() -> bytes:
    """Return the OpenAPI document of a server that requires tokens."""
    return orjson.dumps(_document(), option=orjson.OPT_INDENT_2) + b"\n"


def _document() -> dict[str, Any]:
    return create_app(Settings.model_construct(auth=True)).openapi()


def settings() -> bytes:
    """Return the table of all settings, as Markdown."""
    rows = (_row(name) for name in Settings.model_fields)
    return (SETTINGS_HEAD + "".join(rows)).encode()


def formats() -> bytes:
    """Return the table of all formats, as Markdown."""
    paths = _document()["paths"]
    rows = (_format_row(item, paths) for item in Format)
    return (FORMATS_HEAD + "".join(rows)).encode()


def _format_row(item: Format, paths: Mapping[str, Any]) -> str:
    most = MAX_TEXT_VALUES if item.content == "text" else MAX_BINARY_VALUES
    offering = ", ".join(
        f"`{method.upper()} {path}`"
        for path, methods in paths.items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "format" and item in parameter["schema"]["enum"]
    )
    return f"| `{item}` | `{item.media_type}` | {most:,} | {item.sentence} | {offering} |\n"


def limits() -> bytes:
    """Return the table of all limits, as Markdown: each constant with the text below it."""
    texts = field_docstrings(ast.parse(inspect.getsource(all_limits)))
    rows = (
        f"| {name} | {written} | {' '.join(text.split())} |\n"
        for name, text in texts.items()
        if (written := _limit(getattr(all_limits, name)))
    )
    return (LIMITS_HEAD + "".join(rows)).encode()


def _limit(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"`{unit}` {size:,}" for unit, size in value.items())
    return "`" + str(value).replace("|", "\\|") + "`" if isinstance(value, str) else ""


def metrics() -> bytes:
    """Return the table of all metrics, as Markdown."""
    rows = (
        f"| `{each.shown}` | {each.type} |"
        f" {', '.join(f'`{label}`' for label in each.labels) or 'none'} | {each.text} |\n"
        for each in METRICS
    )
    reasons = "".join(f"* `{reason}`\n" for reason in EndReason)
    return (METRICS_HEAD + "".join(rows) + METRICS_FOOT + "\n" + reasons).encode()


def _row(name: str) -> str:
    info = Settings.model_fields[name]
    sentence = " ".join(Settings.descriptions()[name].split())
    names = f"`{variable(name)}`"
    if name in IN_FILES:
        names += f" or `{file_variable(name)}`"
    return f"| {names} | {_default(info.default)} | {_bounds(info)} | {sentence} |\n"


def _bounds(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(info.annotation))
    bounds = [f"≥ {each.ge}" for each in info.metadata if isinstance(each, Ge)]
    bounds += [f"≤ {each.le}" for each in info.metadata if isinstance(each, Le)]
    return ", ".join(bounds) or "none"


def _default(value: object) -> str:
    if value in {None, "", ()}:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


DOCUMENTS = {
    "openapi.json": openapi,
    "settings.md": settings,
    "metrics.md": metrics,
    "limits.md": limits,
    "formats.md": formats,
}
"""The files, and what makes their content."""


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file_name, content in DOCUMENTS.items():
        (folder / file_name).write_bytes(content())

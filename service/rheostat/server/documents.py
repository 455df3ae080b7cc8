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
from rheostat.server.http.metric_table import METRICS, Group
from rheostat.server.settings import MIB, Settings

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

METRICS_FOOT = """
`route` is the template of a route, such as `/v1/runs/{run}/values`, or `unmatched`. `method` is
`other` for a method that HTTP does not name. `code` is that of a problem document, such as
`rate-limited` or `unauthenticated`. Connections end for one `reason` of
"""

MEMORY_HEAD = """\
| for | MiB | how it is set |
|---|---:|---|
"""

Memory = tuple[str, str | None, int, str]
"""What memory is for, the setting that says how much, bytes for one of it, and a remark."""

MEMORY: tuple[Memory, ...] = (
    ("the program and its libraries", None, 140 * MIB, "with those for pictures"),
    ("pieces of curves", "chunk_cache_bytes", 1, ""),
    ("settled blocks", "answer_cache_bytes", 1, ""),
    ("what revisions come to", "timeline_cache_bytes", 1, ""),
    ("what else is known of runs", "state_cache_bytes", 1, ""),
    ("digests of what was served", "digest_cache_bytes", 1, ""),
    ("answers that many ask for", "recent_answers_bytes", 1, ""),
    ("who trains", None, 48 * MIB, "40,000 workers"),
    ("large bodies", "max_receiving_bytes", 1, ""),
    ("what large bodies are read into", "max_body_bytes", 35, "35 times"),
    ("large answers, while computed and sent", "max_sending_bytes", 1, ""),
    ("small bodies, and requests that wait for earlier ones", None, 64 * MIB, ""),
    ("heads that are not whole, and what waits to be sent", None, 80 * MIB, "as seen each second"),
    (
        "connections",
        "max_connections",
        14 * 1024,
        "14 KiB each; a request that is being answered takes some 30 KiB more",
    ),
)
"""The most that a process takes, under attack."""

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


def metrics() -> str:
    """Return the tables of all metrics, as Markdown."""
    reasons = "".join(f"* `{reason}`\n" for reason in EndReason)
    tables = "".join(_metrics_of(group) for group in get_args(Group))
    return f"{tables}{METRICS_FOOT}\n{reasons}"


def _metrics_of(group: str) -> str:
    head = f"**Of {group}**\n\n| metric | type | labels | together | what it is |\n"
    rows = "".join(
        f"| `{each.shown}` | {each.type} |"
        f" {', '.join(f'`{label}`' for label in each.labels) or 'none'} |"
        f" {'replicas alike' if each.database else each.over} | {each.text} |\n"
        for each in METRICS
        if each.group == group
    )
    return f"{head}|---|---|---|---|---|\n{rows}\n"


def memory() -> str:
    """Return the table of what a process's memory is for, as Markdown."""
    rows, total = "", 0
    for what, name, each, remark in MEMORY:
        size = each if name is None else each * int(Settings.model_fields[name].default)
        total += size
        said = [] if name is None else [f"`{variable(name)}`"]
        remarks = ", ".join(said + ([remark] if remark else []))
        rows += f"| {what} | {size // MIB} | {remarks} |\n"
    return f"{MEMORY_HEAD}{rows}| **in all** | **{total // MIB:,}** | |\n"


def filled(text: str) -> str:
    """Return a page with what is made from the code in its places."""
    for name, content in PARTS.items():
        begin, end = f"<!-- made by `make docs`: {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{content()}\n{end}{after}"
    return text


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


PARTS = {"metrics": metrics, "memory": memory}
"""What stands within pages that are written by hand."""

DOCS = Path(__file__).parents[3] / "docs"

DOCUMENTS = {
    "openapi.json": openapi,
    "settings.md": settings,
    "operations.md": lambda: filled((DOCS / "operations.md").read_text()).encode(),
    "limits.md": limits,
    "formats.md": formats,
}
"""The files, and what makes their content."""


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file_name, content in DOCUMENTS.items():
        (folder / file_name).write_bytes(content())

"""
From the text of a configuration file to data: YAML, TOML, JSON, Python literals, shell scripts.

>>> document("lr: 1e-4", name="train.yaml")
{'lr': 0.0001}
>>> document("train.py --lr 1e-4 --fp16")
{'lr': '1e-4', 'fp16': True}

The ending of its name tells the syntax; a text without a name is tried in the order of `SYNTAXES`.
Nothing is executed: Python is read as literals and scripts as words. A key that stands twice is
refused in every syntax, since one of the two would be lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from rheostat.converters.configs.documents.python_literals import read_python
from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.configs.documents.shell_flags import read_shell
from rheostat.converters.configs.documents.toml import read_toml
from rheostat.converters.configs.documents.yaml_events import read_yaml
from rheostat.converters.configs.flags import flags_of
from rheostat.converters.request import check, check_text
from rheostat.limits import MAX_CONFIG

__all__ = ["SYNTAXES", "document"]


_BOUND: Final = "an object, the text of a file, or a list of a command line's words"


class Syntax(NamedTuple):
    """A syntax: what it is called, the endings of its files, and what reads it."""

    name: str
    endings: tuple[str, ...]
    read: Callable[[str], Any]


def read_json(text: str) -> Any:
    """Return the data of a JSON text."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise refused("is nested too deep", "JSON that is less deep") from None
    except ValueError as error:
        raise OtherSyntaxError(str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise refused(f"has the key {name[:100]} twice in one object", "one of them", name)
        found[name] = value
    return found


SYNTAXES: Final = (
    Syntax("JSON", (".json",), read_json),
    Syntax("TOML", (".toml",), read_toml),
    Syntax("YAML", (".yaml", ".yml"), read_yaml),
    Syntax("Python literals", (".py",), read_python),
    Syntax("command line", (".sh", ".bash", ".slurm", ".sbatch"), read_shell),
)


def document(config: Any, *, name: str | None = None) -> Mapping[str, Any]:
    """
    Return a configuration file's content, given as data, as text, or as a command line's words.

    ``name`` is the name of the file whose text is given.

    Raises:
        Invalid: if it is not of its syntax, or of none, has a key twice, or is too large.

    """
    if name is not None:
        check_text(name, "file")
    found = _read(config, name) if isinstance(config, str) else config
    check(found, "config")
    if isinstance(found, Mapping):
        return found
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise refused(f"must be {_BOUND}", _BOUND, found)
    flags = flags_of(found)
    if not flags:
        raise refused("has no flags, so it is no command line", "--lr 1e-4 …", " ".join(found))
    return flags


def _read(text: str, name: str | None) -> Any:
    """Return the data of a text in the syntax that its name tells, or in the first that fits."""
    if len(text) > MAX_CONFIG:
        raise refused(f"has {len(text)} characters", f"≤ {MAX_CONFIG} characters", text)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\0" in text:
        raise refused("has a null character, as no text has", "text")
    ending = "" if name is None else PurePath(name).suffix.lower()
    told = [each for each in SYNTAXES if ending in each.endings]
    whys = []
    for syntax in told or SYNTAXES:
        try:
            found = syntax.read(text)
        except OtherSyntaxError as error:
            whys.append(f"no {syntax.name} ({error})")
            continue
        if isinstance(found, (dict, list)) and (found or told):
            return found
        whys.append(f"no {syntax.name} with fields")
    bound = " or ".join(syntax.name for syntax in told or SYNTAXES)
    raise refused(f"is {'; '.join(whys)}", bound, text)

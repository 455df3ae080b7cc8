"""
Settings from the environment: variables, the files that some of them name, and what is neither.

It is apart from `Settings`, so that the health check of a container reads it without Pydantic.

Kubernetes tells each pod of every Service in its namespace by variables that begin with the
Service's name, so those of a Service named ``rheostat`` look like settings: they are left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from rheostat.errors import FieldError, Invalid

PREFIX = "RHEOSTAT_"
IN_FILES = frozenset({"database"})
"""Settings that may stand in a file, which ``RHEOSTAT_…_FILE`` names: they hold secrets."""

LONGEST = 64 * 1024
"""Bytes that such a file may have."""

CLIENTS = frozenset(
    f"RHEOSTAT_{name}" for name in ("URL", "TOKEN", "TOKEN_FILE", "AUTHOR", "READ", "HOOK_SECRET")
)
"""What clients and commands read."""

_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")
_SERVICE = re.compile(
    r"RHEOSTAT_(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def file_variable(name: str) -> str:
    """Return the environment variable that names the file of a setting."""
    return f"{variable(name)}_FILE"


def from_environment(names: Collection[str]) -> dict[str, str]:
    """
    Return the settings of these names that the environment has, as text.

    Raises:
        Invalid: for a variable that is empty, for a file that cannot be read or is empty, and if
            a setting stands in both.

    """
    found = {name: value for name in names if (value := _value(name)) is not None}
    return found | {name: _content(name) for name in IN_FILES & set(names) if _has_file(name)}


def remarks(names: Collection[str]) -> Iterator[str]:
    """Yield a sentence on each variable that looks like a setting of these names, and is none."""
    known = {variable(name) for name in names} | {file_variable(name) for name in IN_FILES}
    for its, value in sorted(os.environ.items()):
        if its in known and _is_service(its, value):
            yield f"{its}={value} is ignored: it tells of a Service of Kubernetes"
        elif its.startswith(PREFIX) and its not in known | CLIENTS and not _is_service(its, value):
            near = get_close_matches(its, known, 1, 0.8)
            yield f"{its} is no setting, and is ignored" + "".join(
                f": is {name} meant?" for name in near
            )


def _value(name: str) -> str | None:
    its = variable(name)
    value = os.environ.get(its)
    if value is None or _is_service(its, value):
        return None
    if not value.strip():
        raise _refusal(its, "is empty: give it a value, or unset it", value, "a value")
    return value


def _is_service(its: str, value: str) -> bool:
    if its.endswith("_PORT") and _ADDRESS.match(value):
        return True
    return _SERVICE.fullmatch(its) is not None


def _has_file(name: str) -> bool:
    if (its := file_variable(name)) not in os.environ:
        return False
    if _value(name) is not None:
        raise _refusal(its, f"and {variable(name)} are both set", None, "one of them")
    return True


def _content(name: str) -> str:
    its = file_variable(name)
    path = os.environ[its]
    bound = f"a file with {name} on its one line"
    if not path.strip():
        raise _refusal(its, "is empty: name a file, or unset it", path, bound)
    try:
        with Path(path).open("rb") as file:
            text = file.read(LONGEST + 1).decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _refusal(its, f"names {path}, which cannot be read: {reason}", path, bound) from None
    if not text or len(text) > LONGEST or not text.isprintable():
        wrong = "is not one line of text" if text else "is empty"
        if len(text) > LONGEST:
            wrong = f"is longer than {LONGEST} bytes"
        raise _refusal(its, f"names {path}, which {wrong}", path, bound)
    return text


def _refusal(its: str, wrong: str, value: str | None, bound: str) -> Invalid:
    message = f"{its} {wrong}"
    return Invalid(message, errors=[FieldError(its, message, value, bound)])

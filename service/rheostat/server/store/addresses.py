"""The database's address: as it may be shown, and as it has to be written."""

from __future__ import annotations

import re

from rheostat.errors import FieldError, Invalid

_SECRET = re.compile(r"(?i)([\w-]*(?:pass|pwd|secret|token|key)[\w-]*=)[^&\s]*")
"""A member of a query, or of libpq's words, that holds a secret or the name of one's file."""
_PASSWORD = re.compile(r"(?s)(?<=://)([^:/@?\s]*):.*@")
"""A name and a password, up to the last @: what a badly written password has must not remain."""
_NAME_ALONE = re.compile(r"(?s)(?<=://)[^:/@?\s]*@.*(?=@)")


def without_secrets(text: str) -> str:
    """
    Return a database's address, or a text with one in it, without passwords.

    >>> without_secrets("postgresql://ann:secret@host/db")
    'postgresql://ann:***@host/db'
    >>> without_secrets("postgresql://host/db?user=ann&password=secret")
    'postgresql://host/db?user=ann&password=***'
    """
    return _NAME_ALONE.sub("***", _PASSWORD.sub(r"\1:***@", _SECRET.sub(r"\1***", text)))


def require_quoted(url: str) -> None:
    """Raise `Invalid` for a password that is not written as a URL wants it."""
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return
    head, _, query = rest.partition("?")
    if "@" not in head and "@" in query and re.search(r":[^/]*[^/0-9]", head):
        head = rest  # the ? was in the password
    user, at, _host = head.rpartition("@")
    if at and re.search(r"[@/?#\s]", user):
        message = "the password in the database URL must be percent-encoded: @ as %40, / as %2F"
        raise Invalid(message, errors=[FieldError("database", message, bound="percent-encoded")])

"""
A token in a file, which ``RHEOSTAT_TOKEN_FILE`` names: in no environment, and exchanged in place.

Whoever mounts secrets replaces the file when a token is exchanged, while a training goes on for
weeks. So it is looked at again; what was there stays good while the file is gone or empty.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TypeVar

from rheostat.errors import FieldError, Invalid
from rheostat.saying import log

VARIABLE, TOKEN = "RHEOSTAT_TOKEN_FILE", "RHEOSTAT_TOKEN"
LONGEST = 4096
"""Bytes that such a file may have."""
AGAIN = 10.0
"""Seconds after which the file is looked at again: it may lie on another machine."""

Request = TypeVar("Request")
_known: dict[str, TokenFile] = {}


class TokenFile:
    """A file with a token, as httpx takes what signs requests: called with each of them."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._token = self._read()
        self._looked, self._failing = time.monotonic(), False

    def __call__(self, request: Request) -> Request:
        """Say in a request who is asking."""
        request.headers["Authorization"] = f"Bearer {self.token}"  # type: ignore[attr-defined]
        return request

    @property
    def token(self) -> str:
        """What is in the file, or was when it could be read last."""
        if time.monotonic() - self._looked >= AGAIN:
            self._looked = time.monotonic()
            try:
                self._token, self._failing = self._read(), False
            except Invalid as error:
                if not self._failing:
                    log.warning("%s; the token that was there goes on being used", error)
                self._failing = True
        return self._token

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                token = file.read(LONGEST + 1).decode("ascii").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise _refusal(f"names {self._path}, which cannot be read: {reason}") from None
        if len(token) > LONGEST:
            raise _refusal(f"names {self._path}, which is longer than {LONGEST} bytes")
        if not token or not token.isprintable():
            wrong = "is not one line of text" if token else "is empty"
            raise _refusal(f"names {self._path}, which {wrong}")
        return token


def of_environment() -> TokenFile | None:
    """
    Return the file that the environment names, if any: the same one as long as it names it.

    Raises:
        Invalid: It has no token, or the environment has one besides.

    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    if os.environ.get(TOKEN):
        raise _refusal(f"and {TOKEN} are both set")
    if path not in _known:
        _known[path] = TokenFile(path)
    return _known[path]


def _refusal(wrong: str) -> Invalid:
    its = FieldError(VARIABLE, wrong, bound="a file with one token")
    return Invalid(f"{VARIABLE} {wrong}", errors=[its])

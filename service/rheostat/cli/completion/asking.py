"""
What completion asks the service for, with little time and no fuss.

Not by the client: loading httpx takes longer than asking. One connection for each question, no
redirects (which would carry the token away), and nothing is asked for after `PATIENCE`.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

PATIENCE = 0.5
"""Seconds that whoever presses the key waits for the service, in all."""
LONGEST = 4 * 1024 * 1024
"""Bytes of an answer that are read; a longer one is none."""


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Service:
    """A service that answers within the patience of whoever presses a key, or not at all."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._ends = time.monotonic() + PATIENCE

    def get(self, *path: str, **query: Any) -> Any:
        """Return the document at a path; None if it is not there in time."""
        left = self._ends - time.monotonic()
        if left <= 0 or not self._url.startswith(("http://", "https://")):
            return None
        found: list[Any] = []
        # A name server that is silent cannot be interrupted, only left behind.
        thread = Thread(target=self._read, args=(path, query, left, found), daemon=True)
        thread.start()
        thread.join(left)
        return found[0] if found else None

    def items(self, *path: str, **query: Any) -> list[dict[str, Any]]:
        """Return the items of a list, none if it is not there in time."""
        page = self.get(*path, **query)
        return list(page["items"]) if isinstance(page, dict) and "items" in page else []

    def _read(
        self, path: tuple[str, ...], query: dict[str, Any], seconds: float, found: list[Any]
    ) -> None:
        where = "/".join(quote(part, safe="") for part in path)
        asked = f"?{urlencode(query)}" if query else ""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(f"{self._url}/v1/{where}{asked}", headers=headers)  # noqa: S310 - above
        with suppress(Exception), build_opener(_NoRedirect).open(request, timeout=seconds) as body:
            text = body.read(LONGEST + 1)
            if len(text) <= LONGEST:
                found.append(json.loads(text))

"""The log of a training: each line says whose it is, as most trainings show no names."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rheostat.client import Revision

    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


class Named(Adapter):
    """The log of ``rheostat``, whose lines begin with its name."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, Any]:
        """Put the name before a line."""
        return f"rheostat: {msg}", kwargs


log = Named(logging.getLogger("rheostat"))


def sentence(revision: Revision) -> str:
    """Return what a log says of a revision that came into force."""
    who = f", {revision.author}" if revision.author else ""
    why = f": {revision.message}" if revision.message else ""
    return f"revision {revision.number} from step {revision.effective}{who}{why}"

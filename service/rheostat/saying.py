"""The log of a training: each line says whose it is, as most trainings show no names."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from rheostat.visible import visible, visible_lines

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

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line, of which nothing that others wrote acts on a terminal."""
        if self.isEnabledFor(level):
            said, kwargs = self.process(str(msg) % args if args else msg, kwargs)
            kwargs.setdefault("stacklevel", 2)
            self.logger.log(level, "%s", visible_lines(said), **kwargs)


log = Named(logging.getLogger("rheostat"))


LONGEST = 500
"""Characters of a message that a log shows."""


def sentence(revision: Revision) -> str:
    """Return what a log says of a revision that came into force: one line, of visible text."""
    who = f", {visible(revision.author, LONGEST)}" if revision.author else ""
    why = f": {visible(revision.message, LONGEST)}" if revision.message else ""
    return f"revision {revision.number} from step {revision.effective}{who}{why}"

"""
The log: on standard error, a line for each thing, for people or as JSON for programs.

Rotation, shipping and keeping it are the platform's business: journald, the container's runtime.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from rheostat.visible import visible_lines

LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonFormatter(logging.Formatter):
    """Writes a record as one object of JSON on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger and message, and what failed, if anything did."""
        document: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(document, default=str).decode()


class TextFormatter(logging.Formatter):
    """Writes a record as a line for people; where there are more, the others stand in."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and what failed, if anything did; nothing of it acts on a terminal."""
        return visible_lines(super().format(record))


def timestamp(at: float) -> str:
    """Return seconds of the epoch as JSON has them: UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configuration(level: str, chosen: Literal["text", "json"]) -> dict[str, Any]:
    """Return how Python's `logging` is set up, from a severity on."""
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"()": TextFormatter, "fmt": LINE}, "json": {"()": JsonFormatter}},
        "handlers": {
            "stderr": {**handler, "formatter": chosen},
            "lines": handler,  # of requests, which are written many at a time
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "rheostat": {"level": level.upper()},
            "sqlalchemy.pool": {"level": "CRITICAL"},  # the store says what failed, in one line
            "rheostat.access": {"handlers": ["lines"], "propagate": False},
        },
    }

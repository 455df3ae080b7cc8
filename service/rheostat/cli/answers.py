"""Commands as functions that return an answer: printed as JSON, or drawn for people."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Any

from rheostat.cli import options
from rheostat.cli.failures import reported
from rheostat.cli.screen import Screen
from rheostat.errors import RheostatError

Command = Callable[..., Any]

_JSON = Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=options.AsJson)


class Answer:
    """One JSON document, and the function that draws it (with ``how``) for people."""

    def __init__(self, document: Any, draw: Callable[..., None], **how: Any) -> None:
        self.document = document
        self._draw = draw
        self._how = how

    def give(self, *, as_json: bool) -> None:
        """Print the document, or draw it."""
        if as_json:
            print(json.dumps(self.document, ensure_ascii=False))
        else:
            self._draw(Screen(), self.document, **self._how)


def delivered(body: bytes, output: Path | None, document: Any = None) -> Answer:
    """Write a file; or, without one, answer with the body for people and the document for JSON."""
    if output is None:
        return Answer(document, lambda _screen, _document: _pour(body))
    try:
        output.write_bytes(body)
    except OSError as error:
        raise RheostatError(f"cannot write {output}: {error.strerror}") from error
    written = {"file": str(output), "bytes": len(body)}
    return Answer(written, lambda screen, _: screen.line(f"Wrote {output}, {len(body):,} bytes."))


def _pour(body: bytes) -> None:
    if sys.stdout.isatty() and b"\0" in body:
        raise RheostatError("a terminal cannot show binary data: give --output FILE")
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def answering(function: Callable[..., Answer]) -> Command:
    """Make a function that returns an answer a command with the option ``--json``."""

    @wraps(function)
    def command(*, as_json: bool, **arguments: Any) -> None:
        with reported(as_json=as_json):
            function(**arguments).give(as_json=as_json)

    return _signed(command, _parameters(function), [_JSON])


def _parameters(function: Command) -> list[Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _signed(command: Any, own: Iterable[Parameter], added: Iterable[Parameter]) -> Command:
    """Give a command the signature from which typer reads its arguments and options."""
    parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in (*own, *added)]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command  # type: ignore[no-any-return]

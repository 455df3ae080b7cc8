"""Commands as functions that return a result: printed as JSON, or drawn for people."""

from __future__ import annotations

import getpass
import inspect
import shlex
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    get_type_hints,
)

import typer

from rheostat.cli import options
from rheostat.cli.failures import UNREADABLE, readable, reported
from rheostat.cli.views.chart import ValueScale
from rheostat.cli.views.screen import Screen, machine_text
from rheostat.errors import RheostatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rheostat.curve_files import Annotations

Command = Callable[..., Any]
Shown = TypeVar("Shown")
"""What is printed as JSON or drawn."""
How = ParamSpec("How")


def default_author() -> str:
    """Return who works at this terminal, as user@host."""
    user = "unknown"
    with suppress(OSError, KeyError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def keyword(name: str, default: Any, annotation: Any) -> Parameter:
    """Return an option that is added to a command."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_JSON = keyword("as_json", False, options.AsJson)
_SERVER = keyword("server", None, options.Server)
_TOKEN = keyword("token", None, options.Token)
_AUTHOR = keyword("author", default_author, options.Author)


class Result:
    """
    One JSON document, and the function that draws it (with ``how``) for people.

    The function says by its types what the document has: the one is checked against the other.
    """

    def __init__(
        self,
        document: Shown,
        draw: Callable[Concatenate[Screen, Shown, How], None],
        *positional: How.args,
        **how: How.kwargs,
    ) -> None:
        self.document: Any = document
        self._warns, self._hint = True, ""
        self._then: Callable[[], None] = lambda: None
        self._draw: Callable[[Screen], None] = lambda screen: draw(
            screen, document, *positional, **how
        )

    def forewarned(self) -> Result:
        """Leave out what the service warns of: it was printed before."""
        self._warns = False
        return self

    def hinting(self, hint: str) -> Result:
        """Add how it is taken back, for people; `unhinted` returns that, and leaves it out."""
        self._hint = hint
        return self

    def unhinted(self) -> str:
        """Return the hint, which is not printed then."""
        hint, self._hint = self._hint, ""
        return hint

    def then(self, say: Callable[[], None]) -> Result:
        """Have something said to people below it."""
        self._then = say
        return self

    def give(self, *, as_json: bool) -> None:
        """Print the document, or draw it."""
        if as_json:
            print(machine_text(self.document))
        else:
            with readable():
                screen = Screen()
                self._draw(screen)
                if self._hint:
                    screen.line(self._hint)
                if self._warns:
                    warn(self.document)
                self._then()


class Lines(Generic[Shown]):
    """JSON documents that come one by one, and the function that draws each as a line."""

    def __init__(self, documents: Iterable[Shown], draw: Callable[[Screen, Shown], None]) -> None:
        self._documents, self._draw = documents, draw

    def give(self, *, as_json: bool) -> None:
        """Print the documents, or draw them, as they come."""
        screen = Screen()
        with readable():
            for document in self._documents:
                if as_json:
                    print(machine_text(document), flush=True)
                else:
                    self._draw(screen, document)


def warn(document: Any) -> None:
    """Print what the service warns of in an answer."""
    for warning in document.get("warnings", ()) if isinstance(document, dict) else ():
        Screen(error=True).line(("Warning: ", "yellow"), warning)


def delivered(body: bytes, output: Path | None, document: Any = None) -> Result:
    """Write a file; or, without one, answer with the body for people and the document for JSON."""
    if output is None:
        return Result(document, lambda _screen, _document: _pour(body))
    try:
        output.write_bytes(body)
    except OSError as error:
        raise RheostatError(f"cannot write {output}: {error.strerror}") from error
    written = {"file": str(output), "bytes": len(body)}
    return Result(written, lambda screen, _: screen.line(f"Wrote {output}, {len(body):,} bytes."))


def pictured(
    output: Path,
    steps: Sequence[int],
    columns: Mapping[str, NDArray[np.float64]],
    notes: Annotations,
) -> Result:
    """Draw curves into the kind of picture that the name of the file asks for."""
    import numpy as np

    from rheostat.curve_pictures import draw

    chosen = options.picture_format(output)
    for values in columns.values():
        ValueScale.of(values.tolist(), log=notes.log)  # refuses what a chart refuses
    return delivered(draw(chosen, np.array(steps, dtype=np.int64), columns, notes), output)


def _pour(body: bytes) -> None:
    if sys.stdout.isatty() and b"\0" in body:
        raise RheostatError("a terminal cannot show binary data: give --output FILE")
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person; a script must say --yes, and is told how."""
    if yes:
        return
    if not sys.stdin.isatty():
        screen = Screen(error=True)
        screen.line(f"Nobody is here to ask:  {question}")
        screen.line(f"  to do it:  {_typed()} --yes")
        raise typer.Exit(UNREADABLE)
    typer.confirm(question, abort=True, err=True)


def _typed() -> str:
    """Write the command as it was typed, but for the secret."""
    words = iter(sys.argv[1:])
    told = []
    for word in words:
        if word == "--token":
            next(words, None)
        elif not word.startswith("--token="):
            told.append(word)
    return shlex.join(["rheostat", *told])


class Given(Protocol):
    """What a command ends with."""

    def give(self, *, as_json: bool) -> None:
        """Print it as JSON, or draw it."""


def answering(function: Callable[..., Given]) -> Command:
    """Make a function that returns a result a command, with the option ``--json``."""

    @wraps(function)
    def command(*, as_json: bool, **arguments: Any) -> None:
        with reported(as_json=as_json):
            function(**arguments).give(as_json=as_json)

    return signed(command, [*parameters(function), _JSON])


def asking(function: Callable[..., Given]) -> Command:
    """Make a function of a `Client` a command, with ``--server`` and ``--token`` besides."""
    return _connected(function, [_SERVER, _TOKEN])


def changing(function: Callable[..., Given]) -> Command:
    """Make a function that changes something a command as `asking` does, with ``--author``."""
    return _connected(function, [_AUTHOR, _SERVER, _TOKEN])


def _connected(function: Callable[..., Given], added: Sequence[Parameter]) -> Command:
    @wraps(function)
    def command(
        *,
        as_json: bool,
        server: str | None,
        token: str | None,
        author: str | None = None,
        **arguments: Any,
    ) -> None:
        from rheostat.cli.connecting import connect  # httpx loads slowly

        with reported(as_json=as_json), connect(server, token, author) as client:
            with readable():
                found = function(client, **arguments)
            found.give(as_json=as_json)  # the client is still there, for what asks as it is drawn

    return signed(command, [*parameters(function)[1:], *added, _JSON])


def parameters(function: Command) -> list[Parameter]:
    """Return what a function takes, with its annotations as objects."""
    # `Client` is imported by type checkers alone.
    hints = get_type_hints(function, localns={"Client": Any}, include_extras=True)
    found = inspect.signature(function).parameters.values()
    return [each.replace(annotation=hints.get(each.name, Any)) for each in found]


def signed(command: Any, taken: Sequence[Parameter]) -> Command:
    """Give a command the signature from which typer reads its arguments and options."""
    keywords = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in taken]
    command.__signature__ = inspect.Signature(keywords)
    command.__annotations__ = {each.name: each.annotation for each in keywords}
    return command  # type: ignore[no-any-return]

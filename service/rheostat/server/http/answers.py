"""What routes answer: a type of `rheostat.wire`, shown in the document by an example, and sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from starlette.responses import Response

from rheostat.formats import Format
from rheostat.server.http.curves import write_json
from rheostat.server.wire_schemas import names, reference

T = TypeVar("T", bound=Mapping[str, Any])

NO_STORE = {"Cache-Control": "no-store"}
BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}


class JsonAnswer(Generic[T]):
    """
    A type of `rheostat.wire`, with an example of it: what a route says that it answers, and sends.

    So the document cannot name one type and the route send another.
    """

    def __init__(self, kind: type[T], example: T) -> None:
        self.kind = kind
        self.example = example

    def shown(
        self, description: str = "The answer.", formats: Sequence[Format] = ()
    ) -> dict[str, Any]:
        """Return an entry of ``responses=``; ``formats`` are those in which it comes as well."""
        return either(self, description=description, formats=formats)

    def send(
        self, content: T, status: int = 200, headers: Mapping[str, str] = NO_STORE
    ) -> Response:
        """Return the answer as JSON, which no cache may keep unless other headers are given."""
        return Response(self.write(content), status, headers, "application/json")

    def write(self, content: T) -> bytes:
        """Return the JSON of the answer."""
        return write_json(content)


def either(
    *answers: JsonAnswer[Any], description: str = "The answer.", formats: Sequence[Format] = ()
) -> dict[str, Any]:
    """Return an entry of ``responses=`` for what is one of these answers."""
    found = [reference(answer.kind) for answer in answers]
    schema = found[0] if len(found) == 1 else {"anyOf": found}
    examples = {names()[answer.kind]: {"value": answer.example} for answer in answers}
    content: dict[str, Any] = {
        item.media_type: {"schema": TEXT if item.content == "text" else BINARY} for item in formats
    }
    content["application/json"] = {"schema": schema, "examples": examples}
    return {"description": description, "content": content}

"""Writing an export piece by piece, under another name until it is whole: no sockets here."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rheostat import exports
from rheostat.errors import FieldError, Invalid
from rheostat.packing import pack

TOGETHER = 65_536
"""Values that are packed as one."""


class ExportFile:
    """An export that is being written; each part is begun once, in any order."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.dropped = False
        """Whether it is not to be kept."""
        self._file.write(f'{{"format":"{exports.FORMAT}","version":{exports.VERSION}')
        self._first = True

    def whole(self, name: str, value: Any) -> None:
        """Write a part that is one value."""
        self._file.write(f",\n{json.dumps(name)}:{_text(value)}")

    def begin(self, name: str) -> None:
        """Begin a part that is a list."""
        self._file.write(f",\n{json.dumps(name)}:[")
        self._first = True

    def add(self, items: Iterable[Any]) -> None:
        """Add items to the list that was begun."""
        for item in items:
            self._file.write(f"{'' if self._first else ','}\n{_text(item)}")
            self._first = False

    def end(self) -> None:
        """End the list that was begun."""
        self._file.write("]")

    def drop(self) -> None:
        """Leave what was there before."""
        self.dropped = True

    def close(self) -> None:
        """End the document."""
        self._file.write("}\n")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[ExportFile]:
    """Write a file that is there when it is whole; raise `Invalid` if it cannot be written."""
    whole = Path(path)
    draft = whole.with_name(f"{whole.name}.{os.getpid()}.part")
    try:
        try:
            with draft.open("w", encoding="utf-8") as file:
                export = ExportFile(file)
                yield export
                export.close()
                file.flush()
                os.fsync(file.fileno())
            if not export.dropped:
                draft.replace(whole)
        finally:
            with suppress(OSError):
                draft.unlink()
    except OSError as error:
        message = f"cannot write {whole}: {error.strerror or error}"
        raise Invalid(message, errors=[FieldError("path", message, str(whole))]) from error


class LedgerPieces:
    """Segments of the ledger, put together and packed."""

    def __init__(self, generation: int, names: Sequence[str], resolution: int) -> None:
        self._generation, self._names, self._resolution = generation, names, resolution
        self._start = 0
        self._columns: list[list[float]] = [[] for _ in names]

    def take(self, segments: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Take in the next segments; yield what is enough to be packed."""
        for segment in segments:
            count = len(self._columns[0])
            follows = self._start + count * self._resolution == segment["start"]
            if count and (not follows or count * len(self._names) >= TOGETHER):
                yield self._packed()
            if not self._columns[0]:
                self._start = segment["start"]
            for column, name in zip(self._columns, self._names, strict=True):
                column.extend(segment["values"][name])

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield what is left."""
        if self._columns[0]:
            yield self._packed()

    def _packed(self) -> dict[str, Any]:
        packed = base64.b64encode(pack(self._columns)).decode()
        count = len(self._columns[0])
        piece = {"generation": self._generation, "start": self._start, "count": count}
        self._columns = [[] for _ in self._names]
        return {**piece, "values": packed}


def head(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an export has of a run's state."""
    kept = {name: state[name] for name in exports.KEPT}
    return {**kept, "parameters": sorted(state["parameters"])}


def generations(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a run's generations; the past of a fork is part of its first one."""
    return [
        {**each, "parent": None, "from": 0} if _is_root(each) else dict(each)
        for each in ({k: v for k, v in g.items() if k != "at"} for g in state["generations"])
    ]


def _is_root(generation: Mapping[str, Any]) -> bool:
    return generation["parent"] is None or "parent_run" in generation


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

# Made from _async/exporting.py by unasync.py: edit that one, and run this.

"""A run as one file, for `rheostat.Replay` and for another service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

from rheostat.client import calls
from rheostat.client._sync.handle import Handle
from rheostat.client.answers import understood
from rheostat.client.calls import Call
from rheostat.errors import Conflict

if TYPE_CHECKING:
    from rheostat.client.export_file import ExportFile, LedgerPieces

TRIES = 5
"""How often an export begins anew because the run was changed meanwhile."""
AT_ONCE = 1_000
"""Reports that are read at a time."""


class Exported(TypedDict):
    """What was written of a run."""

    path: str
    id: str
    name: str
    generation: int
    revision: int
    settled_until: int
    """First step of which the file has no value."""


class Exporting(Handle):
    """The calls that take a run out of its service."""

    def export(self, path: str | PathLike[str]) -> Exported:
        """
        Write the run into one file: what it is, its history, and what was served, bit for bit.

        It settles nothing, and reads a running training up to where it is now. The file takes the
        place of an older one once it is whole; `rheostat.Replay` reads it without a service, and
        ``rheostat run import`` makes a run of it elsewhere.

        Args:
            path: The file to write, such as ``checkpoint/rheostat.json``.

        Raises:
            Invalid: The file cannot be written.
            Conflict: The run was changed again and again while it was read.
            UnknownRun: There is no such run.

        """
        from rheostat.client import export_file  # noqa: PLC0415 - no training needs it

        for _ in range(TRIES):
            state = self._session.ask(calls.get(self._path()))
            with understood("the run"):
                where = calls.path("runs", state["id"])
            with export_file.writing(path) as file:
                self._export_all(file, where, state)
                now = self._session.ask(calls.get(where))
                if now.get("revision") != state["revision"]:
                    file.drop()
            if not file.dropped:
                told = ("id", "name", "generation", "revision", "settled_until")
                return {"path": str(path), **{name: state[name] for name in told}}  # type: ignore[typeddict-item]
        raise Conflict(f"the run was changed {TRIES} times while it was read: try again")

    def _export_all(self, file: ExportFile, where: str, state: Mapping[str, Any]) -> None:
        from rheostat.client import export_file  # noqa: PLC0415 - no training needs it

        with understood("the run"):
            file.whole("run", export_file.head(state))
            generations = export_file.generations(state)
            file.whole("generations", generations)
        file.begin("revisions")
        for page in self._exported_pages(calls.get(f"{where}/revisions")):
            file.add(page["items"])
        file.end()
        file.begin("reports")
        surface = self._session.ask(calls.get(f"{where}/surface"))
        for metric in surface["metrics"]:
            for reports in self._exported_reports(where, metric):
                file.add([reports])
        file.end()
        file.begin("ledger")
        names, resolution = sorted(state["parameters"]), state["resolution"]
        for generation in generations:
            pieces = export_file.LedgerPieces(generation["generation"], names, resolution)
            self._export_ledger(file, where, generation, pieces)
        file.end()

    def _export_ledger(
        self,
        file: ExportFile,
        where: str,
        generation: Mapping[str, Any],
        pieces: LedgerPieces,
    ) -> None:
        number, start, stop = (generation[key] for key in ("generation", "from", "settled_until"))
        if start >= stop:
            return
        call = calls.get(f"{where}/ledger", generation=number, start=start, stop=stop)
        for page in self._exported_pages(call):
            with understood("the ledger"):
                file.add(pieces.take(page["segments"]))
        file.add(pieces.rest())

    def _exported_reports(self, where: str, metric: str) -> Iterator[dict[str, Any]]:
        """Yield the reports of a metric, some at a time, in the order in which they came."""
        after = 0
        while True:
            call = calls.get(f"{where}/reports", metric=metric, after=after, points=AT_ONCE)
            page = self._session.ask(call)
            with understood("the reports"):
                many, after = len(page["steps"]), page.pop("next")
            if many:
                yield page
            if many < AT_ONCE:
                return

    def _exported_pages(self, call: Call) -> Iterator[dict[str, Any]]:
        while True:
            page = self._session.ask(call)
            yield page
            if page.get("next") is None:
                return
            call = replace(call, params={**call.params, "cursor": page["next"]})

"""The store: replicas of it on one database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

import orjson
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from tests.server.protocol.applying import Found, Listing, Told
from tests.server.protocol.systems import Checkpoint, Column, bare, numbered, raised, seen

from rheostat.controllers import bits_of_value, parse_controller, value_of_bits
from rheostat.errors import Unavailable, UnknownMetric
from rheostat.server.routes import measures
from rheostat.server.runs.applied import Mismatch, Stretch, Window
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.fragments import dumps
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import Block, BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store
from rheostat.server.store.database import Database
from rheostat.server.store.idempotency import IdempotencyKey, once
from rheostat.server.store.operations import (
    advance,
    applied,
    checkpoint,
    close,
    control,
    create,
    fork,
    join,
    mismatch,
    outcome,
    propose,
    report,
    reported,
    revise,
    rewind,
    served,
    show,
    signal,
    stop,
    values,
)
from rheostat.server.store.operations.decided import decisions
from rheostat.server.store.operations.refusals import Refusal
from rheostat.server.store.operations.total import TotalRequest, make_total
from rheostat.server.store.records import Records
from rheostat.server.store.store import Operation

P = ParamSpec("P")
T = TypeVar("T")
POINTS = 16


class Replicas:
    """The store: replicas of it on one database, which take turns."""

    def __init__(self, url: str, replicas: int = 2) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._keys = itertools.count()
        self._sent: list[tuple[IdempotencyKey, Operation[[], Any], Any]] = []
        self._patch = pytest.MonkeyPatch()
        self._stores = [self._started() for _ in range(replicas)]
        self._lost: bool | None = None

    def _started(self) -> Store:
        store = Store(self._url, Limits())
        store.start()
        return store

    def begin(self) -> None:
        """Forget what was sent: a new example."""
        self._sent.clear()
        self._patch.undo()
        self._lost = None
        self._patch.setattr(Database, "write", self._losing(Database.write))

    def close(self) -> None:
        """Let go of the database."""
        self._patch.undo()
        for store in self._stores:
            store.close()
        self._runner.close()

    def restart(self, *, every: bool) -> None:
        """Replace a replica, or all of them."""
        self._lost = None
        stay = [] if every else self._stores[1:]
        leave = self._stores[: len(self._stores) - len(stay)]
        for store in leave:
            store.close()
        self._stores = [*stay, *(self._started() for _ in leave)]

    def upgrade(self, ulps: int) -> None:
        """Replace the function that computes what the ledger lacks."""
        self._patch.setattr(values, "compute", raised(ulps))

    def repeat(self, index: int) -> None:
        """Send a request again with its key."""
        if self._sent:
            key, operation, answer = self._sent[index % len(self._sent)]
            again = self._write(once, key, operation)
            assert orjson.loads(dumps(again)) == orjson.loads(dumps(answer))

    def lose(self, *, done: bool) -> None:
        """Let the next commit of something fail, before or after it is done; it is sent again."""
        self._lost = done

    def _losing(self, write: Any) -> Any:
        @contextmanager
        def losing(database: Database) -> Iterator[Connection]:
            lost, self._lost = self._lost, None
            written = list[str]()

            def note(*execution: Any) -> None:
                written.append(execution[2].split()[0])

            with write(database) as connection:
                event.listen(connection, "before_cursor_execute", note)
                yield connection
                if not {"INSERT", "UPDATE"} & set(written):
                    lost, self._lost = None, lost
                if lost is False:
                    raise OperationalError("COMMIT", None, ConnectionError())
            if lost is True:
                raise OperationalError("COMMIT", None, ConnectionError())

        return losing

    def create(self, body: Any) -> str:
        """Create a run."""
        return str(self._post(lambda r: create.create(r, body, Note()))["id"])

    def fork(
        self, name: str, ref: str, generation: int | None, step: int | None, changes: Any
    ) -> str:
        """Fork a run."""
        origin = {"run": ref, "generation": generation, "step": step}
        body = {"name": name, "from": origin, "changes": changes}
        return str(self._post(lambda r: fork.fork(r, body, Note()))["id"])

    def delete(self, ref: str) -> None:
        """Delete a run."""
        self._lost = None  # a repeated deletion finds nothing
        self._write(close.delete, ref)

    def settle(self, ref: str, generation: int, start: int, count: int) -> Block:
        """Hand out a block."""
        answer = self._write(values.settle, ref, BlockRequest(generation, start, count))
        if isinstance(answer, Refusal):
            raise answer.error
        return answer

    def preview(self, ref: str, start: int, count: int) -> Block:
        """Show a block."""
        return self._read(values.preview, ref, BlockRequest(0, start, count))

    def revise(self, ref: str, changes: Any, effective: Any, **rest: Any) -> dict[str, Any]:
        """Accept a revision."""
        request = revise.RevisionRequest(changes, effective, **rest)
        return numbered(self._post(lambda r: revise.revise(r, ref, request)))

    def extend(self, ref: str, total: int, effective: Any, **rest: Any) -> dict[str, Any]:
        """Set a run's total."""
        request = TotalRequest(total, effective, **rest)
        return numbered(self._post(lambda r: make_total(r, ref, request)[0]))

    def rehearse(self, ref: str, changes: Any, effective: Any) -> dict[str, Any]:
        """Return the curves before and after a revision."""
        return {
            **self._read(revise.rehearse, ref, revise.RevisionRequest(changes, effective), POINTS)
        }

    def cancel(self, ref: str, number: int) -> dict[str, Any]:
        """Cancel a revision."""
        return numbered(self._post(lambda r: revise.cancel(r, ref, number, None, Note())))

    def rewind(
        self,
        ref: str,
        to: int,
        source: int | None,
        expected: int | None,
        changes: Any,
        reset: Collection[str] = (),
    ) -> dict[str, Any]:
        """Rewind a run; those controllers begin anew."""
        request = rewind.RewindRequest(to, source, expected, changes, reset=reset)
        answer = self._post(lambda r: rewind.rewind(r, ref, request))
        return {**answer, "again": [_without(each, "problem") for each in answer["again"]]}

    def report(
        self, run_id: str, number: int, source: str, points: Sequence[tuple[int, str, float]]
    ) -> dict[str, Any]:
        """Keep reports, and have controllers decide on them."""
        asked = report.ReportRequest(
            number,
            source,
            [report.Point(i, s, m, bits_of_value(v)) for i, (s, m, v) in enumerate(points)],
        )
        again = self._lost is True  # what was kept comes again, and is told so
        answer = self._write(report.report, asked, run_id)
        told = [_decision(each) for each in answer["decisions"]]
        unknown = dict.fromkeys(("kept", "repeated", "late", "off_gate")) if again else {}
        return {**_without(answer, "ignored", "warnings"), "decisions": told, **unknown}

    def arm(self, ref: str, name: str, config: Mapping[str, Any], **rest: Any) -> bool:
        """Arm a controller."""
        request = control.ArmRequest(
            parse_controller({**config}),
            keep_state=rest.get("keep", False),
            force=rest.get("force", False),
            expected=rest.get("expected"),
        )
        self._lost = None  # a repeated one finds it armed
        return self._write(control.arm, ref, name, request)[1]

    def disarm(self, ref: str, name: str, expected: int | None = None) -> int:
        """Disarm a controller."""
        self._lost = None  # a repeated one finds none
        return self._write(control.disarm, ref, name, expected, Note())["revision"]

    def reset(self, ref: str, name: str, expected: int | None = None) -> None:
        """Have a controller forget what it remembers."""
        self._post(lambda r: control.reset(r, ref, name, expected, Note()))

    def propose(self, ref: str, kind: Any, asked: Any, effective: Any) -> int:
        """Suggest something."""
        what = {"change": "changes", "signal": "signal"}.get(kind)
        body = {"effective": effective, **({what: asked} if what else {})}
        request = propose.ProposalRequest(kind, body)
        measure = measures.read(kind, body, Note())
        return self._post(lambda r: propose.propose(r, ref, request, measure))["proposal"]

    def accept(self, ref: str, number: int, expected: int | None) -> dict[str, Any]:
        """Say yes to a proposal."""
        said = propose.Decision(expected_revision=expected)
        answer = self._post(lambda r: propose.accept(r, ref, number, said, measures.read))
        return _only(answer, "state", "revision", "effective", "late_by")

    def decline(self, ref: str, number: int, expected: int | None) -> dict[str, Any]:
        """Say no to a proposal."""
        said = propose.Decision(expected_revision=expected)
        answer = self._post(lambda r: propose.decline(r, ref, number, said))
        return _only(answer, "state", "revision")

    def outcome(
        self, run_id: str, generation: int, revision: int, source: str, said: tuple[Any, int]
    ) -> tuple[tuple[str, int], bool]:
        """Say what became of a signal."""
        self._lost = None  # a repeated one is not new
        told = outcome.OutcomeReport(generation, revision, source, *said)
        kept, new = self._write(outcome.tell, run_id, told)
        return (kept["outcome"], kept["step"]), new

    def kept(self, ref: str, metric: str) -> list[tuple[int, str, float | str]]:
        """Return the reports of a metric along the line of a run."""
        wanted = reported.Wanted(metric, points=1000)
        try:
            answer = self._read(reported.reported, ref, wanted)
        except UnknownMetric:
            return []
        return list(zip(answer["steps"], answer["sources"], answer["values"], strict=True))

    def decided(self, ref: str, name: str) -> list[dict[str, Any]]:
        """Return what a controller has decided, oldest first."""
        items, _ = self._read(decisions, ref, name, 0, 1000)
        return [_decision(item) for item in items]

    def heard(self, ref: str) -> dict[str, Any]:
        """Return the controllers and the proposals of a run."""

        def both(records: Records) -> dict[str, Any]:
            names = ("name", "revision", "last", "decisions", "gate")
            counts = ("best", "best_step", "bad", "cool")
            items, _ = propose.page(records, ref, None, 0, 100)
            return {
                "controllers": [
                    {
                        **_only(each, *names),
                        "state": {name: each["state"].get(name, 0) for name in counts},
                    }
                    for each in control.show_all(records, ref)
                ],
                "proposals": [(each["state"], each["revision"]) for each in items],
            }

        return self._read(both)

    def beat(
        self, run_id: str, number: int, worker: str, listing: Listing, digest: str, values: Any
    ) -> Told:
        """Hear of a window that a worker applied, and keep what differs, as a beat does."""
        cells = tuple(Stretch(*each) for each in listing.cells)
        window = Window(cells, listing.slots, digest, values)
        beat = Beat(number, (Said(worker, "session", 0, applied=(window,)),))

        def judge(records: Records) -> Any:
            run = records.find(run_id)
            return applied.judge(records, run, records.lineage(run), beat)

        (judged,) = self._read(judge)
        if judged.found:
            self._write(mismatch.keep, run_id, judged.found)
        found = [_found(each) for each in judged.found]
        return Told(judged.until, judged.doubt, list(judged.compare), found)

    def mismatches(self, ref: str) -> list[Found]:
        """Return what was applied and not given."""
        items, _ = self._read(mismatch.page, ref, 0, 1000)
        return [
            (
                *(each["worker"], each["generation"], each["step"], each["parameter"]),
                *(float(each["expected"]), float(each["found"])),
            )
            for each in items
        ]

    def save(self, run_id: str, number: int, step: int, tag: str) -> bool:
        """Hear what a worker saved."""
        self._lost = None  # a repeated one is not new
        said = checkpoint.CheckpointReport(number, step, tag, "0")
        return self._write(checkpoint.save, run_id, said)[1]

    def saved(self, ref: str) -> list[tuple[str, int, int, str, bool]]:
        """Return what is known to be saved."""
        items, _ = self._read(checkpoint.page, ref, checkpoint.Wanted(), 1000)
        run_id = self._read(show.show, ref)["id"]
        return sorted(
            (c.get("run", run_id), c["generation"], c["step"], c["tag"], c["on_line"])
            for c in items
        )

    def join(self, ref: str, checkpoint: Checkpoint | None, start: int | None) -> dict[str, Any]:
        """Join a run, and begin it if need be."""
        arrival = join.Arrival(checkpoint and join.Checkpoint(*checkpoint), start)
        joined = self._read(join.join, ref, arrival)
        answer: Mapping[str, Any] = joined or self._write(join.begin, ref, arrival, "ann")
        words = ("id", "generation", "revision", "settled_until", "begins", "end", "total", "stop")
        return {name: answer[name] for name in words}

    def advance(self, ref: str, to: int, expected: int | None) -> dict[str, Any]:
        """Move a run on."""
        request = advance.AdvanceRequest(to, expected)
        return bare(self._post(lambda r: advance.advance(r, ref, request)))

    def finish(self, ref: str, end: int | None) -> None:
        """Finish a run."""
        self._post(lambda r: close.finish(r, ref, end, Note()))

    def halt(
        self,
        ref: str,
        effective: Any,
        *,
        hold: bool = False,
        word: str | None = None,
        expected_revision: int | None = None,
    ) -> dict[str, Any]:
        """Stop a run, or have it hold."""
        request = stop.StopRequest(effective, hold, expected_revision, word)
        return bare(self._post(lambda r: stop.stop(r, ref, request)))

    def resume(
        self, ref: str, until: int | None, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Let a run go on that holds."""
        request = stop.ResumeRequest(until, expected_revision)
        return {**self._post(lambda r: stop.resume(r, ref, request))}

    def signal(
        self, ref: str, word: str, effective: Any, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Say a word to all ranks."""
        request = signal.SignalRequest(word, {}, effective, expected_revision)
        return bare(self._post(lambda r: signal.signal(r, ref, request)))

    def look(self, ref: str, start: int, count: int) -> tuple[dict[str, Any], Block]:
        """Return the state of a run, and a block of it, of one moment."""

        def both(records: Records) -> tuple[dict[str, Any], Block]:
            ask = BlockRequest(0, start, count)
            return seen(show.show(records, ref)), values.preview(records, ref, ask)

        return self._read(both)

    def ledger(self, ref: str, generation: int) -> Iterator[Column]:
        """Yield what the ledger has."""
        answer, _ = self._read(served.served, ref, generation, 0, None)
        for segment in answer["segments"]:
            for index in range(segment["count"]):
                column = {name: float(v[index]) for name, v in segment["values"].items()}
                yield segment["start"] + index * answer["resolution"], column

    def _post(self, operation: Callable[[Records], T]) -> T:
        key = IdempotencyKey(f"{id(self)}-{next(self._keys)}", "hash")
        answer = self._write(once, key, operation)
        self._sent.append((key, operation, answer))
        return answer

    def _turn(self) -> Store:
        self._stores = [*self._stores[1:], self._stores[0]]
        return self._stores[0]

    def _write(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        tries = 1 if self._lost is None else 2
        while True:
            tries -= 1
            try:
                writing = self._turn().write(operation, *args, **kwargs)
                return self._runner.run(writing, context=copy_context())
            except Unavailable:
                if not tries:
                    raise

    def _read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        reading = self._turn().read(operation, *args, **kwargs)
        return self._runner.run(reading, context=copy_context())


def _decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    return _without(decision, "message", "created_at", "event", "problem")


def _without(answer: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: item for name, item in answer.items() if name not in names}


def _only(answer: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: answer[name] for name in names}


def _found(each: Mismatch) -> Found:
    values = value_of_bits(each.expected), value_of_bits(each.found)
    return (each.worker, each.generation, each.step, each.parameter, *values)

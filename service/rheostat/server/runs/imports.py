"""
Reading an export: a run that was served elsewhere, checked as if its author wished us ill.

What gives values is taken as it was: the specification, the tree of generations, what each revision
put in force, and the ledger. What belongs to a living training is not: stops, pauses, signals and
controllers are notes of the history. See docs/decisions/imports.md.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rheostat import exports
from rheostat.errors import FieldError, Invalid
from rheostat.limits import (
    MAX_AUTHOR,
    MAX_BINARY_VALUES,
    MAX_KEPT,
    MAX_METRICS,
    MAX_NUMBER,
    MAX_PIECES,
    MAX_SOURCE,
    MAX_STEP,
    METRIC,
)
from rheostat.packing import WORD, inflated
from rheostat.server.runs.packed import unpacked
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.runs.spec import StoredRun, parse_run
from rheostat.server.runs.timeline import Piece, Timeline, Timelines
from rheostat.server.runs.validation import Limits, Units, require_at_most, validate

MOST_GENERATIONS = 10_000
"""Generations of a run that is imported: each looks for its past."""
MOST_IN_FORCE = 500_000
"""Pieces of all parameters, of all revisions together: each is looked at."""
FOLDED = frozenset(
    {RevisionKind.CREATE, RevisionKind.CHANGE, RevisionKind.REWIND, RevisionKind.TOTAL}
)
"""Kinds that put something in force, and are taken as they were."""
TAKEN = FOLDED | {RevisionKind.CANCEL, RevisionKind.FINISH}
"""Kinds that are taken as they were; all others become notes."""
OF_SPEC = (
    *("axis", "resolution", "steps_per_epoch", "max_block", "max_jump", "guards", "labels"),
    *("describe", "signals", "goal", "about"),
)

Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Step = Annotated[int, Field(ge=0, le=MAX_STEP)]
End = Annotated[int, Field(ge=0, le=MAX_STEP + 1)]


class _Part(BaseModel):
    """A part of an export; what is not known is left alone, as it follows from the rest."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Head(_Part):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    name: str
    generation: Number
    revision: Number
    total: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    begins: Step = 0
    end: End | None = None


class _Generation(_Part):
    generation: Number
    parent: Number | None = None
    start: Annotated[Step, Field(alias="from")]
    settled_until: End


class _Revision(_Part):
    revision: Number
    generation: Number
    kind: Annotated[RevisionKind, Field(strict=False)]
    effective: End
    changes: dict[str, Any]
    total: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    parameters: dict[str, list[dict[str, Any]]]
    author: Annotated[str, Field(max_length=MAX_AUTHOR)] | None
    message: str
    created_at: Annotated[str, Field(max_length=40)]
    forced: bool = False
    cancelled: bool = False
    cancels: Number | None = None


class _Reports(_Part):
    metric: Annotated[str, Field(pattern=f"^{METRIC}$")]
    steps: list[Step]
    values: list[Any]
    sources: list[Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]]


class _Served(_Part):
    generation: Number
    start: Step
    count: Annotated[int, Field(ge=1, le=MAX_BINARY_VALUES)]
    values: str


class _Document(_Part):
    format: Literal[exports.FORMAT]  # type: ignore[valid-type]
    version: Annotated[int, Field(ge=1, le=exports.VERSION)]
    run: dict[str, Any]
    generations: Annotated[list[_Generation], Field(min_length=1, max_length=MOST_GENERATIONS)]
    revisions: Annotated[list[_Revision], Field(min_length=1)]
    reports: list[_Reports] = Field(default_factory=list)
    ledger: list[_Served]


DOCUMENT = TypeAdapter(_Document)
HEAD = TypeAdapter(_Head)
TIME = TypeAdapter(AwareDatetime)


@dataclass(frozen=True)
class ImportedRevision:
    """A revision, with what all parameters follow from it on, if it puts something in force."""

    number: int
    generation: int
    kind: RevisionKind
    effective: int
    changes: Mapping[str, Any]
    author: str | None
    message: str
    created_at: str
    timelines: Timelines
    forced: bool
    cancelled: bool
    cancels: int | None
    total: int | None
    laid_for: int | None


@dataclass(frozen=True)
class ImportedPiece:
    """A stretch of the ledger of a generation; ``values`` has shape parameters × cells."""

    generation: int
    start: int
    stop: int
    values: NDArray[np.float64]


@dataclass(frozen=True)
class ImportedRun:
    """A run as it can be stored under an id of its own."""

    source: str
    """The id that it had."""
    spec: StoredRun
    total: int | None
    begins: int
    end: int | None
    generations: Sequence[tuple[int, int | None, int, int]]
    """Number, parent, first step, and settled end of each."""
    revisions: Sequence[ImportedRevision]
    ledger: Sequence[ImportedPiece]
    reports: Sequence[tuple[str, Sequence[int], Sequence[Any], Sequence[str]]]
    """Metric, steps, values as JSON has them, and sources."""


def parse_import(data: Any, name: str | None, limits: Limits) -> ImportedRun:
    """
    Return the run that an export describes.

    Raises:
        Invalid: Names each field that is wrong, its value and its bound.

    """
    document = validate(DOCUMENT, data, "export")
    head = validate(HEAD, document.run, "export.run")
    first = document.revisions[0]
    if first.kind is RevisionKind.FORK:
        _refuse("export.revisions[0].kind", "is a fork, whose past is another run's", "create")
    if first.kind is not RevisionKind.CREATE or first.effective or first.generation != 1:
        _refuse("export.revisions[0]", "must create the run, at step 0 of generation 1")
    created = _created_total(first, head.total)
    spec, _, _ = parse_run(_body(document, head, first, name, created), Units(), limits)
    tree = _generations(document, head, spec)
    revisions = _Revisions(document, spec, tree, created, limits).read()
    totals = [each.total for each in revisions if each.kind is RevisionKind.TOTAL]
    last = tree[head.generation]
    if head.begins > last.settled_until:
        _refuse("export.run.begins", "lies past what is settled", f"<= {last.settled_until}")
    _require_end(head, revisions[-1], last)
    return ImportedRun(
        source=head.id,
        spec=spec,
        total=next((total for total in reversed(totals) if total), created),
        begins=head.begins,
        end=head.end,
        generations=[(g.generation, g.parent, g.start, g.settled_until) for g in tree.values()],
        revisions=revisions,
        ledger=_ledger(document, spec, tree),
        reports=_reports(document),
    )


def _body(
    document: _Document, head: _Head, first: _Revision, name: str | None, total: int | None
) -> dict[str, Any]:
    """Return the body that would create the run, so that it is checked as any other."""
    given: dict[str, Any] = {
        key: document.run[key] for key in OF_SPEC if document.run.get(key) is not None
    }
    with _sound("export.revisions[0].parameters"):
        parameters = {
            each: (pieces[0].get("words") or pieces[0])["definition"]
            for each, pieces in first.parameters.items()
        }
    if total is not None:
        given["total"] = total
    return {"name": head.name if name is None else name, "parameters": parameters, **given}


def _created_total(first: _Revision, total: int | None) -> int | None:
    """Return the total that a run was created with: that of its first words, if it has any."""
    with _sound("export.revisions[0].parameters"):
        words = [pieces[0]["words"] for pieces in first.parameters.values() if "words" in pieces[0]]
        found = {each["total"] for each in words if each["total"] is not None} or {total}
    if len(found) > 1:
        _refuse("export.revisions[0].parameters", "are laid out for several totals")
    (created,) = found
    if created is not None and (type(created) is not int or not 1 <= created <= MAX_STEP):
        _refuse("export.revisions[0].parameters", "are laid out for no total", "an integer")
    return created


def _generations(document: _Document, head: _Head, spec: StoredRun) -> dict[int, _Generation]:
    grid = spec.grid
    tree: dict[int, _Generation] = {}
    for place, each in enumerate(document.generations):
        where = f"export.generations[{place}]"
        if each.generation != place + 1:
            _refuse(f"{where}.generation", f"is {each.generation}", str(place + 1))
        grid.require(f"{where}.from", each.start)
        if grid.floor(each.settled_until) != each.settled_until:
            _refuse(
                f"{where}.settled_until", "is not on the grid", f"multiple of {spec.resolution}"
            )
        parent = None if each.parent is None else tree.get(each.parent)
        if (parent is None) != (place == 0) or (place == 0 and (each.parent or each.start)):
            _refuse(f"{where}.parent", "is no earlier generation", "the first alone has none")
        if parent is not None and each.start > parent.settled_until:
            _refuse(f"{where}.from", f"lies past {parent.settled_until}, where its parent ends")
        if each.settled_until < each.start:
            _refuse(f"{where}.settled_until", f"lies below {each.start}, where it begins")
        tree[each.generation] = each
    if head.generation != len(tree):
        _refuse("export.run.generation", f"is {head.generation}", f"{len(tree)}, the newest")
    return tree


class _Revisions:
    """The revisions of an export, one after the other, and what each puts in force."""

    def __init__(
        self,
        document: _Document,
        spec: StoredRun,
        tree: Mapping[int, _Generation],
        created: int | None,
        limits: Limits,
    ) -> None:
        self._given = document.revisions
        self._spec, self._tree, self._limits = spec, tree, limits
        self._total = created
        self._newest = len(tree)
        self._pieces = 0
        self._changed: dict[int, dict[str, Timeline]] = {}
        self._in_force: dict[int, list[tuple[int, int, Timelines]]] = {}
        self._by_number: dict[int, Timelines] = {}

    def read(self) -> list[ImportedRevision]:
        """Return the revisions, each checked."""
        begun = 0
        for place, each in enumerate(self._given):
            where = f"export.revisions[{place}]"
            if each.revision != place + 1:
                _refuse(f"{where}.revision", f"is {each.revision}", str(place + 1))
            begun += each.kind in {RevisionKind.CREATE, RevisionKind.REWIND}
            if each.generation != begun or begun > self._newest:
                _refuse(f"{where}.generation", f"is {each.generation}", str(begun))
            self._require_sound(each, where)
            if each.kind in FOLDED:
                self._changed[place] = self._timelines(each, where)
        if begun != self._newest:
            _refuse("export.generations", "must be one for the creation and each rewind")
        for number in self._tree:
            self._fold(number)
        return [self._made(place, each) for place, each in enumerate(self._given)]

    def _require_sound(self, each: _Revision, where: str) -> None:
        generation = self._tree[each.generation]
        require_at_most(self._limits.message, f"{where}.message", each.message, "characters")
        with _sound(f"{where}.created_at"):
            TIME.validate_python(each.created_at, strict=False)
        begins = each.kind in {RevisionKind.CREATE, RevisionKind.REWIND}
        if each.kind is RevisionKind.CREATE and each.revision != 1:
            _refuse(f"{where}.kind", "creates the run again")
        if begins and (each.effective != generation.start or each.cancelled):
            _refuse(f"{where}.effective", f"is {each.effective}", str(generation.start))
        if each.kind in FOLDED:
            self._spec.grid.require(f"{where}.effective", each.effective)
            if each.effective < generation.start:
                _refuse(f"{where}.effective", "lies below its generation")
            unknown = sorted({*each.changes, *each.parameters} - {*self._spec.names})
            if unknown:
                _refuse(f"{where}.changes.{unknown[0]}", "is no parameter of the run")
        if each.cancelled and each.kind in FOLDED - {RevisionKind.CHANGE}:
            _refuse(f"{where}.cancelled", "is only for what may be taken back")
        if (each.kind is RevisionKind.CANCEL) != (each.cancels is not None):
            _refuse(f"{where}.cancels", "belongs to a cancellation, and to nothing else")
        if each.cancels is not None and each.cancels >= each.revision:
            _refuse(f"{where}.cancels", "is no earlier revision")
        if each.kind is RevisionKind.TOTAL and each.total is None:
            _refuse(f"{where}.total", "is needed")

    def _timelines(self, each: _Revision, where: str) -> dict[str, Timeline]:
        """Return what the revision's own parameters follow, as it was written."""
        found = {}
        for name, pieces in each.parameters.items():
            field = f"{where}.parameters.{name}"
            require_at_most(MAX_PIECES, field, pieces, "pieces")
            with _sound(field):
                timeline = Timeline.from_json(pieces)
                for piece in timeline.pieces:
                    _require_piece(piece, each.revision, len(self._given))
            starts = [piece.start for piece in timeline.pieces]
            if not starts or starts != sorted({*starts}):
                _refuse(field, "must have pieces, by rising step")
            found[name] = timeline
        return found

    def _fold(self, number: int) -> None:
        """Put the revisions of a generation in force, in the order of their steps."""
        generation = self._tree[number]
        mine = [
            (each.effective, each.revision)
            for each in self._given
            if each.generation == number and each.kind in FOLDED and not each.cancelled
        ]
        line = self._in_force[number] = []
        known: Mapping[str, Timeline] = {}
        if generation.parent is not None:
            known = self._at(generation.parent, generation.start)
        for effective, revision in sorted(mine):
            known = {**known, **self._changed[revision - 1]}
            if known.keys() != {*self._spec.names}:
                where = f"export.revisions[{revision - 1}].parameters"
                _refuse(where, "must say what each parameter of the run follows")
            self._pieces += len(known) + sum(len(each.pieces) for each in known.values())
            require_at_most(MOST_IN_FORCE, "export.revisions", self._pieces, "pieces in all")
            timelines = Timelines(known)
            timelines.require_sound(effective)
            line.append((effective, revision, timelines))
            self._by_number[revision] = timelines

    def _at(self, number: int, step: int) -> Timelines:
        """Return what is in force at a step of a generation, and of its past."""
        while self._tree[number].start > step:  # the first begins at 0
            number = self._tree[number].parent or 1
        line = self._in_force[number]
        _, _, timelines = line[bisect_right(line, step, key=itemgetter(0)) - 1]
        return timelines

    def _made(self, place: int, each: _Revision) -> ImportedRevision:
        taken = each.kind in TAKEN or each.kind is RevisionKind.NOTE
        if each.kind is RevisionKind.TOTAL:
            self._total = each.total
        timelines = self._by_number.get(each.revision)
        if timelines is None and place in self._changed:  # it was taken back, and is only shown
            before = self._at(each.generation, each.effective)
            timelines = Timelines({**before, **self._changed[place]})
        message = each.message if taken else f"{each.kind}: {each.message}"
        return ImportedRevision(
            number=each.revision,
            generation=each.generation,
            kind=each.kind if taken else RevisionKind.NOTE,
            effective=each.effective,
            changes=each.changes if each.kind in FOLDED else {},
            author=each.author,
            message=message[: self._limits.message],
            created_at=each.created_at,
            timelines=timelines or Timelines({}),
            forced=each.forced,
            cancelled=each.cancelled and taken,
            cancels=each.cancels,
            total=each.total,
            laid_for=self._total,
        )


def _require_piece(piece: Piece, revision: int, newest: int) -> None:
    """Raise `ValueError` for a piece that no run has."""
    whole = all(type(each) is int for each in (piece.start, piece.origin, piece.revision))
    if not whole or not 0 <= piece.start <= MAX_STEP or abs(piece.origin) > MAX_STEP:
        raise ValueError("`from` and `origin` must be steps")
    if not 1 <= piece.revision <= newest:
        raise ValueError(f"revision {piece.revision} is none of the run, in revision {revision}")
    if piece.words is not None and piece.words.laid_out() != piece.definition:
        raise ValueError("the definition is not what its words are laid out to")


def _require_end(head: _Head, last: ImportedRevision, generation: _Generation) -> None:
    """Refuse an end that no revision has set, or that lies in what is settled."""
    finished = last.kind is RevisionKind.FINISH
    if finished != (head.end is not None) or (finished and last.effective != head.end):
        _refuse("export.run.end", "must be that of the last revision, if that finished the run")
    if head.end is not None and head.end < generation.settled_until:
        _refuse("export.run.end", f"lies below {generation.settled_until}, which is settled")


def _ledger(
    document: _Document, spec: StoredRun, tree: Mapping[int, _Generation]
) -> list[ImportedPiece]:
    width, values = len(spec.names), 0
    reached: dict[int, int] = {}
    found = []
    for place, each in enumerate(document.ledger):
        where = f"export.ledger[{place}]"
        generation = tree.get(each.generation)
        if generation is None:
            _refuse(f"{where}.generation", "is none of the run")
        spec.grid.require(f"{where}.start", each.start)
        stop = each.start + each.count * spec.resolution
        least = reached.get(each.generation, generation.start)
        if each.start < least or stop > generation.settled_until:
            bound = f"from {least} to {generation.settled_until}, by rising step"
            _refuse(f"{where}.start", "lies outside of its generation, or of its order", bound)
        reached[each.generation] = stop
        values += each.count * width
        require_at_most(MAX_BINARY_VALUES, "export.ledger", values, "values in all")
        columns = _values(each, width, f"{where}.values")
        found.append(ImportedPiece(each.generation, each.start, stop, columns))
    return found


def _values(served: _Served, width: int, field: str) -> NDArray[np.float64]:
    """Return what was served, of which no more is unpacked than there can be."""
    with _sound(field):
        packed = base64.b64decode(served.values, validate=True)
        planes = inflated(packed, width * served.count * WORD)
        columns = unpacked(planes, served.count)
    if not np.isfinite(columns).all():
        _refuse(field, "has a value that is not finite")
    return columns


def _reports(document: _Document) -> list[tuple[str, list[int], list[Any], list[str]]]:
    metrics = {each.metric for each in document.reports}
    require_at_most(MAX_METRICS, "export.reports", len(metrics), "metrics")
    for place, each in enumerate(document.reports):
        if not len(each.steps) == len(each.values) == len(each.sources):
            _refuse(f"export.reports[{place}]", "must have a value and a source for each step")
    for metric in metrics:
        many = sum(len(each.steps) for each in document.reports if each.metric == metric)
        require_at_most(MAX_KEPT, f"export.reports of {metric}", many, "reports")
    return [(each.metric, each.steps, each.values, each.sources) for each in document.reports]


@contextmanager
def _sound(field: str) -> Iterator[None]:
    """Turn what goes wrong with the members of a document into one error that names them."""
    try:
        yield
    except Invalid as error:
        detail = error.errors[0].message if error.errors else error.detail
        _refuse(field, f"is refused: {detail}")
    except ValidationError as error:
        _refuse(field, f"is refused: {error.errors()[0]['msg']}")
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        _refuse(field, f"is not what an export has: {type(error).__name__}: {error}"[:500])


def _refuse(field: str, message: str, bound: str | None = None) -> NoReturn:
    wrong = FieldError(field, f"{field} {message}", None, bound)
    raise Invalid(f"the export is refused: {field} {message}", errors=[wrong])

"""
Every failure that Rheostat reports, as one tree.

::

    RheostatError
    ├── Refused                        the service answered with a problem document
    │   ├── Malformed             400  the request is not HTTP or JSON that can be read
    │   ├── Unauthenticated       401  no token, or one that is not known
    │   ├── Forbidden             403  the token's role may not do this
    │   ├── NotFound              404  no such path
    │   │   ├── UnknownRun
    │   │   ├── UnknownGeneration
    │   │   ├── UnknownRevision
    │   │   ├── UnknownSchedule
    │   │   ├── UnknownToken
    │   │   ├── UnknownHook
    │   │   ├── UnknownDelivery
    │   │   ├── UnknownController
    │   │   ├── UnknownProposal
    │   │   ├── UnknownMetric
    │   │   └── UnknownKind
    │   ├── MethodNotAllowed      405
    │   ├── NotAcceptable         406  no format that the request accepts
    │   ├── RequestTimeout        408  the request did not come within its time
    │   ├── Conflict              409  the request is sound, the state is against it
    │   │   ├── NameTaken              a run of this name exists and differs
    │   │   ├── StaleGeneration        a rewind fenced this worker off
    │   │   ├── StaleCheckpoint        the checkpoint lies beyond a rewind
    │   │   ├── StepJump               too far past what is settled
    │   │   ├── PastTotal              past the run's ``total``
    │   │   ├── WentBack               the service has forgotten what it handed out
    │   │   ├── TooLate                the wanted step is settled already
    │   │   ├── RevisionMismatch       the run has moved on from ``expected_revision``
    │   │   ├── GenerationMismatch     the run was rewound since ``expected_generation``
    │   │   ├── HasForks               a run whose past others inherit cannot be deleted
    │   │   ├── NotPending             only a pending revision can be cancelled
    │   │   ├── NotOpen                the proposal was decided, or its generation was left
    │   │   ├── TooMany                one author has too many open proposals, or runs
    │   │   ├── LimitReached           the token's limit leaves no room for this now
    │   │   ├── Paused                 the run holds at or before the step, until it is resumed
    │   │   ├── AwaitingReport         the run holds at a gate, until a metric is reported
    │   │   └── Finished               the run is closed at or before the step
    │   │       └── Stopped            the run was stopped there
    │   ├── PreconditionFailed    412  ``If-Match`` names another version
    │   ├── TooLarge              413  body, curve or picture over its limit
    │   ├── UnsupportedMediaType  415
    │   ├── Invalid               422  a field has a wrong value
    │   │   ├── GuardViolated          a change would break a guard of the run
    │   │   └── IdempotencyMismatch    the key was used with another request
    │   ├── RateLimited           429
    │   ├── Internal              500  a defect of the service
    │   └── Unavailable           503  no database, or no room for this now; ``reason`` says why
    ├── NeedsApproval                  the run is protected: it waits for another person's yes
    ├── Unreachable                    no answer of the service before the deadline
    │   └── Redirected                 somebody answers that it is at another address
    ├── NotServed                      no local server could be found or started
    ├── Overwritten                    an optimizer was about to apply another value than the run's
    ├── WrongLoop                      an `AsyncClient` outside of its one asyncio event loop
    └── Closed                         the client or run handle was closed

Each class of ``Refused`` has a stable ``code`` (the last part of the problem's ``type``) and one
HTTP ``status``. The service raises these classes, and the client raises the same ones again.
This module imports nothing but the standard library, and `rheostat.visible`, which does the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rheostat.visible import visible, visible_lines

PROBLEM_TYPE = "urn:rheostat:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path (``parameters.lr.steps``), its value, the bound, and a sentence."""

    field: str
    message: str
    value: Any = None
    bound: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the wire form; ``bound`` is left out when there is none."""
        item = {"field": self.field, "message": self.message, "value": self.value}
        return item if self.bound is None else {**item, "bound": self.bound}


class RheostatError(Exception):
    """Base of everything that Rheostat raises on purpose."""


class Refused(RheostatError):
    """The service understood the request and said no."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.members: dict[str, Any] = members
        """Further members of the problem, such as ``settled_until`` or ``earliest``."""
        self.retry_after = 0.0
        """Seconds after which the service wants to be asked again, if it said so."""

    def __str__(self) -> str:
        fields = (visible(f"{error.field}: {error.message}") for error in self.errors)
        lines = [visible_lines(self.detail), *(f"  {field}" for field in fields)]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.detail, self.errors, self.members)

    def to_problem(self) -> dict[str, Any]:
        """Return the RFC 9457 problem document."""
        problem: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.title(),
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.errors:
            problem["errors"] = [error.to_json() for error in self.errors]
        return problem

    @classmethod
    def title(cls) -> str:
        """Return the code as words."""
        return cls.code.replace("-", " ").capitalize()


class Malformed(Refused):
    """The request cannot be read at all."""

    code, status = "malformed", 400


class Unauthenticated(Refused):
    """No token, or one that is not known."""

    code, status = "unauthenticated", 401


class Forbidden(Refused):
    """The token's role, or the request's origin, may not do this."""

    code, status = "forbidden", 403


class NotFound(Refused):
    """There is nothing under this path."""

    code, status = "not-found", 404


class UnknownRun(NotFound):
    """No run has this name or id."""

    code = "unknown-run"


class UnknownGeneration(NotFound):
    """The run has no generation of this number."""

    code = "unknown-generation"


class UnknownRevision(NotFound):
    """The run has no revision of this number."""

    code = "unknown-revision"


class UnknownSchedule(NotFound):
    """The library has no schedule of this name and version."""

    code = "unknown-schedule"


class UnknownToken(NotFound):
    """No token of this name is in use."""

    code = "unknown-token"


class UnknownHook(NotFound):
    """There is no hook of this name."""

    code = "unknown-hook"


class UnknownDelivery(NotFound):
    """The hook has no message of this number, or none any more."""

    code = "unknown-delivery"


class UnknownController(NotFound):
    """The run has no controller of this name."""

    code = "unknown-controller"


class UnknownProposal(NotFound):
    """The run has no proposal of this number."""

    code = "unknown-proposal"


class UnknownMetric(NotFound):
    """The run never kept a report of this metric."""

    code = "unknown-metric"


class UnknownKind(NotFound):
    """There is no kind of definition of this name."""

    code = "unknown-kind"


class MethodNotAllowed(Refused):
    """The path exists, but not with this method."""

    code, status = "method-not-allowed", 405


class NotAcceptable(Refused):
    """The answer has no format that the request accepts."""

    code, status = "not-acceptable", 406


class RequestTimeout(Refused):
    """The request's head or body did not come within its time."""

    code, status = "request-timeout", 408


class Conflict(Refused):
    """The request is sound, but the state of the run or schedule is against it."""

    code, status = "conflict", 409


class NameTaken(Conflict):
    """A run of this name exists, and was created with another body."""

    code = "name-taken"


class StaleGeneration(Conflict):
    """A rewind started a newer generation; this worker's one may settle nothing more."""

    code = "stale-generation"


class StaleCheckpoint(Conflict):
    """The checkpoint lies beyond a rewind, or belongs to another run."""

    code = "stale-checkpoint"


class StepJump(Conflict):
    """The read, the start or the checkpoint lies too far past what is settled."""

    code = "step-jump"


class PastTotal(Conflict):
    """The step lies past the run's ``total``; ``extend`` is the command that makes it longer."""

    code = "past-total"


class WentBack(Conflict):
    """The service has forgotten what it settled: a backup, or a standby that lagged, serves now."""

    code = "went-back"


class TooLate(Conflict):
    """The wanted effective step is settled; ``earliest`` is the first that is open."""

    code = "too-late"


class RevisionMismatch(Conflict):
    """The head of the run is not ``expected_revision``."""

    code = "revision-mismatch"


class GenerationMismatch(Conflict):
    """The run's generation is not ``expected_generation``: somebody else has rewound it."""

    code = "generation-mismatch"


class HasForks(Conflict):
    """Other runs were forked from this one, and need its past."""

    code = "has-forks"


class NotPending(Conflict):
    """The revision is in force, cancelled already, or of a kind that cannot be cancelled."""

    code = "not-pending"


class Finished(Conflict):
    """The run is finished; ``end`` is its first step without a value."""

    code = "finished"


class Stopped(Finished):
    """The run was stopped; ``end`` is its first step without a value, unless that is taken back."""

    code = "stopped"


class Paused(Conflict):
    """The run holds at ``end`` until somebody resumes it: a worker waits there."""

    code = "paused"


class AwaitingReport(Conflict):
    """The run holds at ``gate`` until ``metric`` is reported there: a worker waits."""

    code = "awaiting-report"


class NotOpen(Conflict):
    """The proposal is not open any more: ``state`` says what became of it."""

    code = "not-open"


class TooMany(Conflict):
    """The author has as many open proposals, or runs that are not finished, as one may have."""

    code = "too-many"


class LimitReached(Conflict):
    """
    The token's limit does not let it do this to the run, or not now.

    ``limit`` is what it is limited to, and ``left`` what that leaves, as
    `rheostat.wire.Allowance`. It may propose the same.
    """

    code = "limit-reached"


class PreconditionFailed(Refused):
    """``If-Match`` names another version than the newest."""

    code, status = "precondition-failed", 412


class TooLarge(Refused):
    """The request's body, or the answer that it asks for, is over its limit."""

    code, status = "too-large", 413


class UnsupportedMediaType(Refused):
    """The body's ``Content-Type`` is not JSON."""

    code, status = "unsupported-media-type", 415


class Invalid(Refused):
    """A field has a wrong value; ``errors`` names each field, its value and its bound."""

    code, status = "invalid", 422


class GuardViolated(Invalid):
    """A change would break a guard of the run; ``force`` overrides, and is recorded."""

    code = "guard-violated"


class IdempotencyMismatch(Invalid):
    """The ``Idempotency-Key`` was used with another request."""

    code = "idempotency-mismatch"


class RateLimited(Refused):
    """Too many requests; ``Retry-After`` says when to come back."""

    code, status = "rate-limited", 429


class Internal(Refused):
    """A defect of the service. The request id leads to its log line."""

    code, status = "internal", 500


class Unavailable(Refused):
    """
    The database cannot be used now, or there is no room for this; ``reason`` says why.

    ``reason`` is one of ``disk-full``, ``read-only``, ``database-away``, ``writer-stuck``,
    ``schema``, ``file-replaced`` and ``busy``; the detail says whether anything was changed.
    Repeating is safe for reads.
    """

    code, status = "unavailable", 503


class NeedsApproval(RheostatError):
    """
    The run is protected: nothing was done, and a proposal waits for another person to accept it.

    Attributes:
        proposed: What the service says of the proposal, as `rheostat.wire.Proposed`: its number,
            the step that was asked for, and of a change the curves before and after.

    """

    def __init__(self, detail: str, proposed: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail, proposed)
        self.detail = detail
        self.proposed = dict(proposed or {})

    def __str__(self) -> str:
        return self.detail

    @property
    def proposal(self) -> int:
        """Number of the proposal."""
        return int(self.proposed["proposal"])


class Unreachable(RheostatError):
    """The service gave no answer before the deadline; what others answered is no answer of its."""


class Redirected(Unreachable):
    """Somebody answers that the service is elsewhere, at ``location``: that is never followed."""

    location: str = ""


class NotServed(RheostatError):
    """A local server cannot be started, or the one that is there gives no answer."""


class Overwritten(RheostatError):
    """
    Something wrote to an optimizer's number after the run's value was written there.

    Attributes:
        parameter: The run's parameter.
        field: The field of the group, such as ``lr``.
        group: The number of the parameter group, with its name if it has one.
        step: The step whose update was about to use it.
        expected: What was written there: the run's value, times the group's ``lr_scale``.
        found: What stood there.

    """

    def __init__(
        self, parameter: str, field: str, group: str, step: int, expected: float, found: float
    ) -> None:
        super().__init__(parameter, field, group, step, expected, found)
        self.parameter, self.field, self.group = parameter, field, group
        self.step, self.expected, self.found = step, expected, found

    def __str__(self) -> str:
        return (
            f"the update of step {self.step} finds {self.found!r} in {self.field} of group "
            f"{self.group}, where {self.expected!r} was written from {self.parameter}: something "
            "else sets it, such as a second scheduler or a callback"
        )


class WrongLoop(RheostatError):
    """An `AsyncClient` was used in a second event loop, or in none of asyncio."""


class Closed(RheostatError):
    """The client or the run handle was closed."""


def refusal(field: str, message: str, value: Any = None, bound: str | None = None) -> Invalid:
    """Return the error that names an argument: its name, and then what is wrong with it."""
    return Invalid(f"{field} {message}", errors=[FieldError(field, message, value, bound)])


def refusals(base: type[Refused] = Refused) -> Iterator[type[Refused]]:
    """Yield every class below ``base``, each once, parents first."""
    for cls in base.__subclasses__():
        yield cls
        yield from refusals(cls)


def from_problem(problem: Mapping[str, Any], status: int) -> Refused:
    """
    Return the error that a problem document stands for.

    An unknown code (a newer service, or a proxy's own answer) falls back on the first class of
    the same status, and then on `Refused`.
    """
    code = str(problem.get("type", "")).removeprefix(PROBLEM_TYPE)
    classes = list(refusals())
    found = [cls for cls in classes if cls.code == code]
    found += [cls for cls in classes if cls.status == status]
    cls = found[0] if found else Refused
    reserved = {"type", "title", "status", "detail", "errors", "instance"}
    members = {str(key): value for key, value in problem.items() if key not in reserved}
    listed = problem.get("errors")
    items = listed if isinstance(listed, list) else []
    errors = [_field_error(item) for item in items if isinstance(item, Mapping)]
    detail = str(problem.get("detail") or f"the service answered {status}")
    return _revive(cls, detail, errors, members)


def _field_error(item: Mapping[str, Any]) -> FieldError:
    field, message, bound = (item.get(name) for name in ("field", "message", "bound"))
    shown = None if bound is None else str(bound)
    return FieldError(str(field or ""), str(message or ""), item.get("value"), shown)


def _revive(
    cls: type[Refused], detail: str, errors: Sequence[FieldError], members: Mapping[str, Any]
) -> Refused:
    error = cls(detail, errors=errors)
    error.members = dict(members)
    return error

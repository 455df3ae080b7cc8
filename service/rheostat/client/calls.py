"""What is sent, as plain values: no sockets here."""

from __future__ import annotations

import json
import math
import operator
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from rheostat import errors
from rheostat.changes import Model, written
from rheostat.limits import MAX_STEP, NAME, NAME_RULE

JSON = "application/json"
F64 = "application/octet-stream"

MIB = 1024 * 1024
LONGEST_DOCUMENT = 64 * MIB
"""Bytes of the longest JSON answer that is read: of two curves as long as they may be."""
LONGEST_JOIN = MIB
"""Bytes of the longest answer to a join, which names each parameter once."""

Definition = Mapping[str, Any] | float | Model
"""As JSON has it, or as `rheostat.schedules` does; a number stands for a constant."""
Change = Mapping[str, Any] | float | Model
Changes = Mapping[str, Change | Sequence[Change]]
"""For each parameter a change, or several to apply one after the other."""
OtherTotal = Literal["refuse", "keep", "extend"]
"""What to do about a run that is there already, and differs in its total alone."""


class RunOptions(TypedDict, total=False):
    """What a run may be created with besides its parameters; the service has the defaults."""

    axis: Literal["step", "samples", "tokens", "epoch"]
    """What the run counts."""
    resolution: int
    """The width of a cell of the grid."""
    total: int | None
    """The planned length, for relative lengths."""
    steps_per_epoch: int | None
    """The length of an epoch, for lengths in epochs."""
    max_block: int
    """The most cells in one read."""
    max_jump: int
    """The most cells that one read may settle at once."""
    guards: Mapping[str, Mapping[str, float | None]]
    """``min``, ``max`` and ``max_ratio`` of parameters, which no change may break."""
    labels: Mapping[str, str]
    """Free text, to find runs by."""
    paused: bool
    """Whether it waits at its first step until it is resumed."""
    describe: Mapping[str, Mapping[str, str]]
    """``text``, ``unit`` and ``takes_effect`` of parameters, for people."""
    signals: Mapping[str, Mapping[str, Any]]
    """The signals that the training understands: ``text`` and ``arguments`` of each."""
    controllers: Mapping[str, Mapping[str, Any]]
    """What reads metrics of it from the start, by name; `rheostat.controls` writes them."""
    goal: Mapping[str, Any] | None
    """``metric``, ``direction`` and ``target``: what the training is after."""
    about: str
    """What the run is about."""
    protect: Mapping[str, Sequence[str]] | None
    """``{"except": […]}``: that what an operator does, but for these acts, needs another one."""


class RunFilter(TypedDict, total=False):
    """Which runs to list: those of which all that is given holds."""

    selector: str | None
    """With such labels: ``"team=nlp,stage in (pretrain,mid),!frozen"``."""
    prefix: str | None
    """How their names begin."""
    name: str | None
    """A part of their names, in whatever case."""
    author: str | None
    """Who created them."""
    created_after: str | None
    """Created then or later: ISO 8601, with an offset from UTC."""
    created_before: str | None
    """Created before."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, which may be sent several times."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    seconds: float = math.inf
    """How long an attempt may take, if that is less than the client's ``timeout`` allows."""
    silence: float | None = None
    """How long the answer may pause, if it is one that is read as it comes."""
    holds: float = 0.0
    """How long the service may keep the request until it has something to say, in seconds."""
    most: int = LONGEST_DOCUMENT
    """Bytes that the answer may have; of a longer one no more is read."""

    @property
    def repeatable(self) -> bool:
        """
        Whether a second sending does nothing more than the first.

        Every POST carries an ``Idempotency-Key``. A DELETE that was carried out, but whose answer
        was lost, would be refused the second time.
        """
        return self.method != "DELETE"


def path(*segments: str | int) -> str:
    """Return the path of a resource; each segment is quoted as a whole, and stays one."""
    for segment in segments:
        if str(segment) in {"", ".", ".."}:
            raise invalid("name", segment, NAME_RULE)
    return "/v1/" + "/".join(quote(str(segment), safe="", errors="replace") for segment in segments)


def require_name(name: Any, field: str = "name") -> str:
    """Return the name of a run, or its id; raise `Invalid` if it can be neither."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise invalid(field, name, NAME_RULE)
    return name


def require_total(create: Any) -> None:
    """Refuse the total that an adapter alone can fill in, for it asks its framework's trainer."""
    if isinstance(create, Mapping) and create.get("total") == TRAINER:
        raise errors.Invalid(
            f"total {OF_TRAINER}",
            errors=[errors.FieldError("total", OF_TRAINER, TRAINER, "a number")],
        )


TRAINER = "trainer"
"""What the adapters of frameworks take as a total."""
OF_TRAINER = (
    'must be a number here: "trainer" works where an adapter knows the trainer, and is given the'
    ' run by its name, as in RheostatCallback("gpt", create=…)'
)


def get(where: str, *, accept: str = JSON, **params: Any) -> Call:
    """Return a read; parameters that are None are left out."""
    return Call("GET", where, _given(params), {"Accept": accept})


def post(where: str, body: Any, **params: Any) -> Call:
    """Return a POST under a key of its own, so that repeating it has one effect."""
    headers = {**_SENDS_JSON, "Idempotency-Key": os.urandom(16).hex()}
    return Call("POST", where, _given(params), headers, encode(body))


def put(where: str, body: Any, *, match: int | None = None) -> Call:
    """Return a PUT; ``match`` is the only revision that it may put something else in place of."""
    headers = _SENDS_JSON if match is None else {**_SENDS_JSON, "If-Match": f'"{match}"'}
    return Call("PUT", where, headers=headers, content=encode(body))


def delete(where: str, **params: Any) -> Call:
    """Return a DELETE; parameters that are None are left out."""
    return Call("DELETE", where, _given(params), headers={"Accept": JSON})


def encode(body: Any) -> bytes:
    """Return the body as JSON; raise `Invalid` if JSON cannot say it (NaN, an array, a set)."""
    try:
        text = json.dumps(body, allow_nan=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        wrong = errors.FieldError("body", str(error), bound="JSON, with finite numbers")
        raise errors.Invalid("the request cannot be written as JSON", errors=[wrong]) from error


def invalid(field: str, value: Any, bound: str) -> errors.Invalid:
    """Return the error of an argument that is out of bounds."""
    wrong = errors.FieldError(field, f"must be {bound}", value, bound)
    return errors.Invalid(f"{field} is {value!r}, and must be {bound}", errors=[wrong])


def coordinate(step: Any, field: str = "step") -> int:
    """
    Return a step as an integer: of NumPy, JAX and others too, and 63.0, which look-ups find as 63.

    Raises:
        Invalid: It is no whole number, or no coordinate, or is known to a compiled function alone.

    """
    try:
        whole = operator.index(step)
    except TypeError:
        whole = _whole(step, field)
    if not 0 <= whole <= MAX_STEP:
        raise invalid(field, step, f"from 0 to {MAX_STEP}")
    return whole


def _whole(step: Any, field: str) -> int:
    """Return an integer that is no index of a list: a float, or a variable of Keras."""
    if isinstance(step, float) and step.is_integer():
        return int(step)
    inner = getattr(step, "value", step)  # of a variable: what it holds
    if any(cls.__name__ == "Tracer" for cls in type(inner).__mro__):
        wrong = errors.FieldError(field, TRACED, "a tracer of JAX", "a number")
        raise errors.Invalid(f"{field} {TRACED}", errors=[wrong])
    if "int" in str(getattr(step, "dtype", "")) and tuple(getattr(step, "shape", ())) == ():
        return int(step)
    raise invalid(field, step, "a whole number")


TRACED = (
    "must be a number: a function that JAX compiles is run once, and would keep its first value."
    " Look values up outside, and hand them in, as rheostat.optax.Hyperparams does with"
    " optax.inject_hyperparams"
)
"""What is wrong with a step that stands for a number while JAX traces a function."""


def metric(value: Any) -> float | str:
    """
    Return a measured value as JSON can say it: from a tensor too, and by name if not finite.

    Raises:
        TypeError, ValueError, RuntimeError: It is no number.

    """
    number = float(value)
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def mapping(value: Any, field: str) -> dict[str, Any]:
    """Return what is sent as a JSON object; raise `Invalid` if it is none."""
    if not isinstance(value, Mapping):
        raise invalid(field, value, "a dictionary")
    return dict(value)


def run_body(create: Any, field: str = "create") -> dict[str, Any]:
    """
    Return the body that creates a run.

    What `rheostat.torch.definition_of` returns stands for its definition, where all parameter
    groups have the same.
    """
    body = mapping(create, field)
    given = body.get("parameters")
    if isinstance(given, Mapping):
        body["parameters"] = {name: _of_all_groups(name, each) for name, each in given.items()}
    return body


def _of_all_groups(name: str, value: Any) -> Any:
    if not isinstance(value, list) or not all(hasattr(each, "model_dump") for each in value):
        return value
    if any(each != value[0] for each in value) or not value:
        bound = f"one definition for all of them, or one for each, as {name}/decoder"
        field = f"parameters.{name}"
        message = f"has the definitions of {len(value)} parameter groups that differ: {bound}"
        wrong = errors.FieldError(field, message, f"a list of {len(value)}", bound)
        raise errors.Invalid("the run cannot be created", errors=[wrong])
    return value[0]


def _plain(value: Any) -> Any:
    """Return a definition as JSON has it, and a number of another library as Python has it."""
    if hasattr(value, "model_dump"):
        return written(value)
    return operator.index(value) if hasattr(value, "__index__") else float(value)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


_SENDS_JSON = {"Accept": JSON, "Content-Type": JSON}

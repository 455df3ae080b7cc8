"""Parameters, checked against the signature of their converter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, signature
from itertools import islice
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError, create_model

from rheostat.converters.case import STRICT, Case, refused
from rheostat.converters.ignored import Ignored
from rheostat.converters.library import Converter, Scheduler
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import field_errors, shown

_WAY_OUT = (
    "is a function, which no definition can hold: tabulate it, as "
    '{"kind": "table", "values": [its values at steps 0, 1, 2, …]}'
)

_MOST_ERRORS = 20
"""Unknown fields that are told, each with the name that was probably meant."""
_MOST_LOOKED_AT = 2_000
_LONGEST_NAME = 64


def checked(case: Case, scheduler: Scheduler, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a converter is given, defaults left out; or raise Invalid."""
    model = _model(scheduler.function)
    if errors := [*_unknown(case, model, params), *_functions(case, params)]:
        raise refused(*errors)
    try:
        found = model.model_validate(params)
    except ValidationError as error:
        raise refused(*field_errors(error, params, case.field)) from None
    return {name: getattr(found, name) for name in found.model_fields_set}


@cache
def _model(function: Converter) -> type[BaseModel]:
    """Return the model of the keyword parameters of a converter."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if item.default is Parameter.empty else item.default)
        for name, item in signature(function).parameters.items()
        if item.kind is Parameter.KEYWORD_ONLY
    }
    return create_model(function.__name__, __config__=STRICT, **fields)


def _unknown(case: Case, model: type[BaseModel], params: Mapping[str, Any]) -> list[FieldError]:
    known = list(model.model_fields)
    bound = f"one of {', '.join(known)}" if known else "no parameters"
    kind = f"is not a parameter of {case.name}"
    return unknown_fields(params, known, f"{case.field}.", kind, bound)


def unknown_fields(
    fields: Mapping[str, Any], known: Sequence[str], prefix: str, message: str, bound: str
) -> list[FieldError]:
    """Return the errors about fields that are not known, the first few of them."""
    unknown = [name for name in islice(fields, _MOST_LOOKED_AT) if name not in known]
    return [
        FieldError(
            f"{prefix}{name[:100]}", message + meant(name, known), shown(fields[name]), bound
        )
        for name in unknown[:_MOST_ERRORS]
    ]


def _functions(case: Case, params: Mapping[str, Any]) -> list[FieldError]:
    if _is_function(params):
        return [FieldError(case.field, _WAY_OUT, shown(params), "no functions")]
    having = (
        (name, value)
        for name, value in params.items()
        if any(map(_is_function, value if isinstance(value, list) else [value]))
    )
    return [
        FieldError(f"{case.field}.{name[:100]}", _WAY_OUT, shown(value), "no functions")
        for name, value in islice(having, _MOST_ERRORS)
    ]


def _is_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, Mapping) and set(value) == {"expr"})


def parameter_names(scheduler: Scheduler) -> list[str]:
    """Return the names of a scheduler's parameters."""
    return list(_model(scheduler.function).model_fields)


def ignored_by(scheduler: Scheduler) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a scheduler that change nothing, and why."""
    for name, field in _model(scheduler.function).model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Ignored):
                yield name, mark.reason


def meant(name: str, known: Iterable[str]) -> str:
    """Return a question after the name that was probably meant, or nothing; no name is long."""
    if len(name) > _LONGEST_NAME:
        return ""
    by_key = {item.lower(): item for item in known}
    close = get_close_matches(name.lower(), by_key, n=1)
    return f"; did you mean {by_key[close[0]]}?" if close else ""

"""What runs a converter: from a library, a name and parameters to what they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from sys import float_info
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from rheostat.converters import registry
from rheostat.converters.core import (
    Case,
    Context,
    Conversion,
    ConversionBudget,
    Library,
    Scheduler,
    refused,
)
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_NESTING
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.parse import sound
from rheostat.schedules.size_limits import LARGEST_INTEGER
from rheostat.suggestions import did_you_mean

_RECORD: Final = frozenset(
    {"id", "version", "driver", "note", "source", "steps", "values", "metrics"}
    | {"raises", "stopped", "result_dtype", "lr_dtype", "value_after_construct"}
)
"""Fields of a record of a scheduler's values that say how it was made: they change nothing."""
_LARGEST: Final = float_info.max
_NOT_DEEP: Final = f"≤ {MAX_NESTING} definitions inside of each other"
MAX_VALUES: Final = 100_000
"""Values in all, in lists and objects."""
MAX_TEXT: Final = 10_000
"""Characters of a text, also of the name of a field."""
MAX_DEPTH: Final = 40
"""Containers inside containers."""
_WAY_OUT = (
    "is a function, which no definition can hold: tabulate it, as "
    '{"kind": "table", "values": [its values at steps 0, 1, 2, …]}'
)
_NO_DATA = "is a function, which no controller can hold: leave it out"

_MOST_ERRORS = 20
"""Unknown fields that are told, each with the name that was probably meant."""
_MOST_LOOKED_AT = 2_000


def convert(
    library: str,
    name: str,
    params: Mapping[str, Any],
    base_value: float | None = None,
    *,
    hyperparameter: str = "lr",
    **context: Any,
) -> Definition:
    """
    Return the definition that gives the values of another library's scheduler.

    ``library`` is its import name or package name, ``params`` what its constructor is given, with
    nested schedulers as ``{"name", "params"}``. ``base_value`` is the value that the optimizer
    starts from, for libraries that take it from there; ``hyperparameter`` the field that is
    wanted of schedulers that set several. ``context`` is what else the library knows, by the
    names of `Context`: ``total``, ``lr_scale``, ``group`` …

    Raises:
        Invalid: if anything is unknown, wrong, refused by the library itself, or has no
            definition, as functions, and what reacts to metrics: see `conversion`.

    """
    given = {"hyperparameter": hyperparameter, **context}
    found = conversion(library, name, params, base_value, **given)
    if found.definition is None or found.controller is not None:
        message = "reacts to a metric: rheostat.converters.conversion has its controller"
        raise refused(FieldError("name", message, shown(name), "a schedule of steps"))
    return found.definition


def conversion(
    library: str,
    name: str,
    params: Mapping[str, Any],
    base_value: float | None = None,
    *,
    hyperparameter: str = "lr",
    **context: Any,
) -> Conversion:
    """
    Return what another library's scheduler or early stopping becomes.

    A schedule of steps becomes a definition; what reacts to a metric becomes a controller, and
    where it has a warm-up, a definition beside it. The arguments are those of `convert`.
    ``metric`` is what the reports call the metric that a controller watches: by default as its
    library does, and ``val_loss`` where that names none and looks for a minimum.

    Raises:
        Invalid: if anything is unknown, wrong, refused by the library itself, or is neither a
            definition nor a controller, as functions.

    """
    surroundings = {key: value for key, value in context.items() if key not in _RECORD}
    _check_names(library=library, name=name, hyperparameter=hyperparameter)
    if not isinstance(params, Mapping):
        raise refused(FieldError("params", "must be an object", shown(params), "an object"))
    check(params)
    check(surroundings, "context")
    case = Case(
        library=library,
        name=name,
        base_value=_base(base_value),
        hyperparameter=hyperparameter,
        context=_context(surroundings),
        convert=_convert,
        budget=ConversionBudget(),
    )
    found = _convert(case, name, dict(params))
    return found if found.definition is None else replace(found, definition=sound(found.definition))


def _convert(case: Case, name: str, params: dict[str, Any]) -> Conversion:
    case = replace(case, name=name)
    case.budget.spend(params, case.field)
    scheduler = _scheduler(case, _library(case))
    given = checked(case, scheduler, params)
    try:
        return scheduler.converted(case, given)
    except ValidationError as error:
        raise no_kind(error, case.field) from None
    except RecursionError:
        raise case.wrong("", "would become too deep a definition", params, _NOT_DEEP) from None
    except ArithmeticError as error:
        raise case.wrong("", f"give no finite values ({error})", params) from None


def no_kind(error: ValidationError, field: str) -> Invalid:
    """Return the error about what stands at a path and would become no valid definition."""
    kind = f"would become the kind {error.title.lower()}"
    return refused(
        *(
            replace(item, field=field, message=f"{kind}, whose {item.field} {item.message}")
            for item in field_errors(error, None, "")
        )
    )


def _library(case: Case) -> Library:
    library = registry.find(case.library)
    if library is None:
        raise registry.unknown_library(case.library)
    return library


def _scheduler(case: Case, library: Library) -> Scheduler:
    scheduler = library.find(case.name)
    if scheduler is None:
        known = list(library.names())
        message = f"is not a scheduler of {library.name}{did_you_mean(case.name, known)}"
        raise refused(
            FieldError(case.name_field, message, shown(case.name), f"one of {', '.join(known)}")
        )
    allowed = scheduler.hyperparameters
    if allowed is not None and case.hyperparameter not in allowed:
        bound = f"one of {', '.join(allowed)}"
        message = f"is not set by {case.name}"
        raise refused(FieldError("hyperparameter", message, shown(case.hyperparameter), bound))
    return scheduler


def _check_names(**names: Any) -> None:
    for field, value in names.items():
        if not isinstance(value, str):
            raise refused(FieldError(field, "must be a string", shown(value), "a string"))
        check_text(value, field)


def _base(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not -_LARGEST <= value <= _LARGEST:
        raise refused(FieldError("base_value", "must be a finite number", shown(value), "finite"))
    return float(value)


def _context(fields: dict[str, Any]) -> Context:
    known = list(Context.model_fields)
    message, bound = "is nothing that a library knows", f"one of {', '.join(known)}"
    unknown = unknown_fields(fields, known, "", message, bound)
    if unknown:
        raise refused(*unknown)
    try:
        return Context.model_validate(fields)
    except ValidationError as error:
        raise refused(*field_errors(error, fields, "")) from None


def checked(case: Case, scheduler: Scheduler, params: Mapping[str, Any]) -> BaseModel:
    """Return the parameters of a scheduler, as an instance of its model; or raise Invalid."""
    message = _NO_DATA if scheduler.reacts else _WAY_OUT
    if errors := [*_unknown(case, scheduler, params), *_functions(case, params, message)]:
        raise refused(*errors)
    try:
        return scheduler.model.model_validate(params)
    except ValidationError as error:
        raise refused(*field_errors(error, params, case.field)) from None


def _unknown(case: Case, scheduler: Scheduler, params: Mapping[str, Any]) -> list[FieldError]:
    known = scheduler.parameters
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
            f"{prefix}{name[:100]}", message + did_you_mean(name, known), shown(fields[name]), bound
        )
        for name in unknown[:_MOST_ERRORS]
    ]


def _functions(case: Case, params: Mapping[str, Any], message: str) -> list[FieldError]:
    if _is_function(params):
        return [FieldError(case.field, message, shown(params), "no functions")]
    having = (
        (name, value)
        for name, value in params.items()
        if any(map(_is_function, value if isinstance(value, list) else [value]))
    )
    return [
        FieldError(f"{case.field}.{name[:100]}", message, shown(value), "no functions")
        for name, value in islice(having, _MOST_ERRORS)
    ]


def _is_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, Mapping) and set(value) == {"expr"})


def check(params: Any, field: str = "params") -> None:
    """Refuse parameters that are too deep or too many, a number or a text that is too large."""
    count = 0
    stack: list[tuple[Any, str, int]] = [(params, field, 1)]
    while stack:
        value, path, depth = stack.pop()
        if depth > MAX_DEPTH:
            bound = f"≤ {MAX_DEPTH} levels"
            raise refused(FieldError(field, "is nested too deep", None, bound))
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            bound = "a finite float64"
            raise refused(FieldError(path, "must be a finite number", None, bound))
        if isinstance(value, str):
            check_text(value, path)
        if not isinstance(value, (Mapping, list, tuple)):
            continue
        count += len(value)
        if count > MAX_VALUES:
            bound = f"≤ {MAX_VALUES} values"
            raise refused(FieldError(field, "has too many values", None, bound))
        if isinstance(value, Mapping):
            for key in value:
                check_text(str(key), path)
            inner = [(item, f"{path}.{str(key)[:100]}") for key, item in value.items()]
        else:
            inner = [(item, f"{path}[{i}]") for i, item in enumerate(value)]
        stack += [(item, here, depth + 1) for item, here in inner]


def check_text(text: str, field: str) -> None:
    """Refuse a text that is too long to be looked at."""
    if len(text) > MAX_TEXT:
        bound = f"≤ {MAX_TEXT} characters"
        raise refused(FieldError(field, f"must have {bound}", shown(text), bound))

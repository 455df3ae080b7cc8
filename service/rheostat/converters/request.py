"""The front door: from a library, a name and parameters to a definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from sys import float_info
from typing import Any, Final

from pydantic import ValidationError

from rheostat.converters import libraries
from rheostat.converters.case import Budget, Case, Context, refused
from rheostat.converters.library import Library, Scheduler
from rheostat.converters.parameters import checked, meant, unknown_fields
from rheostat.converters.size import check, check_text
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.parse import sound
from rheostat.schedules.size_limits import MAX_NESTING
from rheostat.schedules.union import AnyDefinition

_RECORD: Final = frozenset(
    {"id", "version", "driver", "note", "source", "steps", "values", "metrics", "raises"}
    | {"result_dtype", "lr_dtype", "value_after_construct"}
)
"""Fields of a record of a scheduler's values that say how it was made: they change nothing."""
_LARGEST: Final = float_info.max
_NOT_DEEP: Final = f"≤ {MAX_NESTING} definitions inside of each other"


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
            definition, as functions and what reacts to metrics.

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
        budget=Budget(),
    )
    return sound(_convert(case, name, dict(params)))


def _convert(case: Case, name: str, params: dict[str, Any]) -> AnyDefinition:
    case = replace(case, name=name)
    case.budget.spend(params, case.field)
    scheduler = _scheduler(case, _library(case))
    given = checked(case, scheduler, params)
    try:
        return scheduler.function(case, **given)
    except ValidationError as error:
        found = field_errors(error, None, "")
        raise refused(*(_inside(case, error.title, item) for item in found)) from None
    except RecursionError:
        raise case.wrong("", "would become too deep a definition", params, _NOT_DEEP) from None
    except ArithmeticError as error:
        raise case.wrong("", f"give no finite values ({error})", params) from None


def _inside(case: Case, kind: str, error: FieldError) -> FieldError:
    message = f"would become the kind {kind.lower()}, whose {error.field} {error.message}"
    return replace(error, field=case.field, message=message)


def _library(case: Case) -> Library:
    library = libraries.find(case.library)
    if library is None:
        raise unknown_library(case.library)
    return library


def unknown_library(name: str) -> Invalid:
    """Return the error about a library that is not known, to be raised."""
    known = list(libraries.NAMES)
    message = f"is not a library that can be converted{meant(name, known)}"
    return refused(FieldError("library", message, shown(name), f"one of {', '.join(known)}"))


def _scheduler(case: Case, library: Library) -> Scheduler:
    scheduler = library.find(case.name)
    if case.name in library.reactive:
        message = "reacts to a metric: its values are no function of the step"
        bound = "a schedule of steps; change a run as its metrics come in"
        raise refused(FieldError(_name(case), message, case.name, bound))
    if scheduler is None:
        known = list(library.names())
        message = f"is not a scheduler of {library.name}{meant(case.name, known)}"
        raise refused(
            FieldError(_name(case), message, shown(case.name), f"one of {', '.join(known)}")
        )
    allowed = scheduler.hyperparameters
    if allowed is not None and case.hyperparameter not in allowed:
        bound = f"one of {', '.join(allowed)}"
        message = f"is not set by {case.name}"
        raise refused(FieldError("hyperparameter", message, shown(case.hyperparameter), bound))
    return scheduler


def _name(case: Case) -> str:
    return case.field.removesuffix("params") + "name"


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

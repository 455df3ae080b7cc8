"""
Which parameter of the run goes into which field of which parameter group.

A parameter group is a dictionary, and its numbers are its fields: ``lr``, ``weight_decay``,
``momentum``, ``eps`` and whatever else an optimizer keeps there. The numbers inside ``betas`` are
fields too: ``beta1``, ``beta2``. An optimizer without ``momentum`` has it as ``beta1``, as in
PyTorch's own `CyclicLR` and `OneCycleLR`. A group that has an ``lr_scale``, as timm's layer decay
gives it, takes that part of the learning rate, and so does one that began with another rate than
the optimizer's default, where ratios are to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from rheostat.errors import FieldError, Invalid

Group = dict[str, Any]
Fields = Mapping[str, str] | Sequence[Mapping[str, str]]
"""Field to parameter: for all groups alike, or one mapping for each group."""
RATIO = "initial_lr_ratio"
"""What a group keeps of the rate that it began with: the ratio to the optimizer's default."""


class Slot(NamedTuple):
    """A number of a parameter group: ``group[key]``, or ``group[key][place]``."""

    key: str
    place: int | None = None


class Binding(NamedTuple):
    """The parameter that is written into one slot of one group."""

    group: int
    field: str
    slot: Slot
    parameter: str
    ratio: float = 1.0
    """What part of the parameter's value it takes, for good."""


def bind(
    groups: Sequence[Group],
    parameters: Iterable[str],
    fields: Fields | None = None,
    elsewhere: Iterable[str] = (),
    default: Any = None,
) -> tuple[Binding, ...]:
    """
    Return what is written where.

    With a sequence of ``fields`` each group gets what its mapping says and nothing else. A mapping
    says it for all groups, and without ``fields`` every parameter goes into the field of its name,
    ``lr/head`` into that of the groups whose ``group["name"]`` is ``head``. In the latter two,
    groups that share a parameter must have equal initial values, but for a weight decay of zero,
    which stays.

    Args:
        groups: The optimizer's parameter groups.
        parameters: The names of the run's parameters.
        fields: Field to parameter, where names do not say it.
        elsewhere: The names of the groups that other ranks have: a parameter of one of these is no
            misspelling here.
        default: The optimizer's default learning rate, where groups that share a parameter keep
            the ratio to it that they began with; None where they must be equal.

    Raises:
        Invalid: What is meant is not beyond doubt; ``errors`` names the field and the group.

    """
    known = frozenset(parameters)
    _check_form(fields)
    if fields is None:
        bindings = _by_name(groups, known, frozenset(elsewhere), default)
    elif isinstance(fields, Mapping):
        _check_names([fields] * len(groups), groups, known)
        bindings = [
            b for field in fields for b in _shared(groups, field, fields[field], default=default)
        ]
    elif default is not None:
        message = (
            "is a list, which says what each group gets: relative=True is for groups that share"
        )
        raise _refusal("fields", message)
    else:
        _check_names(fields, groups, known)
        bindings = [
            Binding(index, field, _slot(groups[index], field) or Slot(field), parameter)
            for index, chosen in enumerate(fields)
            for field, parameter in chosen.items()
        ]
    _check_all(groups, bindings, known)
    return tuple(bindings)


def initial(group: Group, slot: Slot) -> float:
    """
    Return the value that the slot had before any schedule wrote into it.

    It is kept in the group itself, as PyTorch keeps ``initial_lr``, so that it travels with the
    optimizer's checkpoints: a weight decay that the run warms up from zero is not taken for one
    that is off.
    """
    value = group.setdefault(f"initial_{slot.key}", copied(group[slot.key]))
    return float(value if slot.place is None else value[slot.place])


def factor(groups: Sequence[Group], binding: Binding) -> float:
    """
    Return what the value is multiplied by for this slot: its ratio, and its ``lr_scale`` as it is.

    Raises:
        Invalid: The group's ``lr_scale`` is no finite number.

    """
    if binding.field != "lr" or "lr_scale" not in groups[binding.group]:
        return binding.ratio
    found = groups[binding.group]["lr_scale"]
    if _is_number(found) and math.isfinite(found):
        return binding.ratio * float(found)
    path = f"lr_scale of group {label(groups, binding.group)}"
    raise _refusal(path, "must be a finite number", value=repr(found), bound="a finite number")


def copied(value: Any) -> Any:
    """Return a number of a group, or several, as they are now."""
    if isinstance(value, tuple | list):
        return tuple(map(copied, value))
    return value.clone() if isinstance(value, Tensor) else value


def _slot(group: Group, field: str) -> Slot | None:
    """Return where the group keeps the field, or None if it has none of this name."""
    if _is_number(group.get(field)):
        return Slot(field)
    betas = group.get("betas", ())
    place = 0 if field == "momentum" else _beta(field)
    return Slot("betas", place) if 0 <= place < len(betas) else None


def _beta(field: str) -> int:
    number = field.removeprefix("beta")
    return int(number) - 1 if field != number and number.isdecimal() else -1


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool(value.numel() == 1)
    return isinstance(value, int | float) and not isinstance(value, bool)


def group_names(groups: Sequence[Group]) -> list[str]:
    """Return the names of the groups that have one."""
    return [str(group["name"]) for group in groups if "name" in group]


def _by_name(
    groups: Sequence[Group], known: frozenset[str], elsewhere: frozenset[str], default: Any
) -> list[Binding]:
    bindings = []
    for field in sorted({parameter.partition("/")[0] for parameter in known}):
        if not any(_slot(group, field) for group in groups):
            continue
        named = {p.partition("/")[2]: p for p in known if p.startswith(f"{field}/")}
        _check_groups_exist(named, [*group_names(groups), *sorted(elsewhere)])
        rest = [i for i, group in enumerate(groups) if group.get("name") not in named]
        for index, group in enumerate(groups):
            slot = _slot(group, field)
            if index not in rest and slot:
                bindings.append(Binding(index, field, slot, named[group["name"]]))
        if field in known:
            bindings += _shared(groups, field, field, among=rest, default=default)
        elif rest:
            raise _refusal(
                f"{field} of group {label(groups, rest[0])}",
                f"the run has {', '.join(sorted(named.values()))}, but neither {field} nor "
                f"{field}/{groups[rest[0]].get('name', '<name of the group>')}",
            )
    return bindings


def _shared(
    groups: Sequence[Group],
    field: str,
    parameter: str,
    *,
    among: Iterable[int] | None = None,
    default: Any = None,
) -> list[Binding]:
    """Bind one parameter to many groups, which have equal initial values or keep their ratios."""
    found: list[Binding] = []
    for index in range(len(groups)) if among is None else among:
        slot = _slot(groups[index], field)
        if slot and not (field == "weight_decay" and initial(groups[index], slot) == 0):
            found.append(Binding(index, field, slot, parameter))
    if field == "lr" and default is not None:
        return [each._replace(ratio=_ratio(groups, each, default)) for each in found]
    values = {initial(groups[b.group], b.slot): b for b in found}
    if len(values) > 1:
        differing = ", ".join(f"{label(groups, b.group)} has {v!r}" for v, b in values.items())
        ratios = "keep their ratios with relative=True, " if field == "lr" else ""
        raise _refusal(
            field,
            f"groups differ ({differing}), and {parameter} would make them equal: {ratios}give "
            f"the run {field}/<name of the group>, or say with fields= which parameter each takes",
            value=list(values),
        )
    return found


def _ratio(groups: Sequence[Group], binding: Binding, default: Any) -> float:
    """
    Return the ratio of the rate that a group began with to the optimizer's default.

    The group keeps it, so that a checkpoint has it: the default of a later script may be another.
    """
    group = groups[binding.group]
    if RATIO not in group:
        began = initial(group, binding.slot)
        base = float(default) if _is_number(default) else math.nan
        if not (math.isfinite(base) and base > 0 and math.isfinite(began)):
            message = "relative=True needs a default learning rate above 0: Optimizer(groups, lr=…)"
            raise _refusal(f"lr of group {label(groups, binding.group)}", message, repr(default))
        group[RATIO] = began / base
    return float(group[RATIO])


def _check_groups_exist(named: Mapping[str, str], names: Sequence[str]) -> None:
    for name in sorted(named.keys() - set(names)):
        raise _refusal(
            named[name],
            f"no parameter group is named {name!r} (there are: {_listed(dict.fromkeys(names))}): "
            "name it, or say with fields= which parameter each group takes",
            value=name,
        )


def _check_form(fields: Any) -> None:
    """Refuse what is neither a mapping of names to names, nor a list of such mappings."""
    listed = fields if isinstance(fields, Sequence) and not isinstance(fields, str) else [fields]
    for chosen in () if fields is None else listed:
        if not isinstance(chosen, Mapping) or not all(isinstance(name, str) for name in chosen):
            bound = "{field: parameter}, or a list of one for each group"
            raise _refusal("fields", f"must be {bound}", value=fields, bound=bound)


def _check_names(
    fields: Sequence[Mapping[str, str]], groups: Sequence[Group], known: frozenset[str]
) -> None:
    if len(fields) != len(groups):
        message = f"{len(fields)} mappings for {len(groups)} parameter groups"
        raise _refusal("fields", message, value=len(fields), bound=f"{len(groups)} mappings")
    for index, (chosen, group) in enumerate(zip(fields, groups, strict=True)):
        for field, parameter in chosen.items():
            path = f"fields[{index}].{field}"
            if _slot(group, field) is None:
                has = _listed(key for key in group if _is_number(group[key]) or key == "betas")
                raise _refusal(path, f"group {label(groups, index)} has {has}", value=field)
            if parameter not in known:
                raise _refusal(path, f"the run has {_listed(sorted(known))}", value=parameter)


def _check_all(groups: Sequence[Group], bindings: list[Binding], known: frozenset[str]) -> None:
    taken: dict[tuple[int, Slot], Binding] = {}
    for binding in bindings:
        initial(groups[binding.group], binding.slot)
        factor(groups, binding)
        other = taken.setdefault((binding.group, binding.slot), binding)
        if other is not binding:
            message = f"{other.parameter} and {binding.parameter} both go into it"
            raise _refusal(f"{binding.field} of group {label(groups, binding.group)}", message)
    if not bindings:
        message = f"none of the run's parameters ({_listed(sorted(known))}) is one of its fields"
        raise _refusal("optimizer", message)


def label(groups: Sequence[Group], index: int) -> str:
    """Return the number of a group, with its name if it has one."""
    name = groups[index].get("name")
    return str(index) if name is None else f"{index} ({name})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _refusal(field: str, message: str, value: Any = None, bound: str | None = None) -> Invalid:
    return Invalid(
        "the run's parameters do not fit the optimizer's parameter groups",
        errors=[FieldError(field, message, value, bound)],
    )

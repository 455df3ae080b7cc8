"""`paramwise_cfg` of OpenMMLab: groups of weights with a rate or a decay of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rheostat.converters.configs.groups import MOST_GROUPS, group_name
from rheostat.converters.configs.reading import read
from rheostat.converters.core import refused
from rheostat.converters.parameters import STRICT, NotNegative
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

_CONSTRUCTORS: Final = ("DefaultOptimWrapperConstructor", "DefaultOptimizerConstructor")


class Group(BaseModel):
    """A part of the model, by what multiplies its rate and its weight decay."""

    model_config = STRICT

    lr_mult: NotNegative = 1.0
    decay_mult: NotNegative = 1.0


class Paramwise(BaseModel):
    """What the usual constructor reads; that of a layer decay needs the model, and is refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    custom_keys: dict[str, Any] = Field(default_factory=dict, max_length=MOST_GROUPS)
    bias_lr_mult: NotNegative | None = None
    bias_decay_mult: NotNegative | None = None
    norm_decay_mult: NotNegative | None = None
    dwconv_decay_mult: NotNegative | None = None
    flat_decay_mult: NotNegative | None = None
    dcn_offset_lr_mult: NotNegative | None = None
    bypass_duplicate: bool = False


class Bases(NamedTuple):
    """What groups start from, by the names of their parameters, as ``lr/backbone``."""

    rates: dict[str, float]
    weight_decays: dict[str, float]


def bases(block: Mapping[str, Any], path: str, lr: float, weight_decay: float | None) -> Bases:
    """Return what the groups of a block start from where that is not the optimizer's."""
    constructor = block.get("constructor")
    if constructor is not None and str(constructor).rpartition(".")[2] not in _CONSTRUCTORS:
        message = "gives layers a rate of their own, by a model that is not in the file"
        bound = f"not given, or {_CONSTRUCTORS[0]}"
        raise refused(FieldError(f"{path}.constructor", message, shown(constructor), bound))
    given = block.get("paramwise_cfg")
    if given is None:
        return Bases({}, {})
    path = f"{path}.paramwise_cfg"
    rates, decays = {}, {}
    for name, group in _groups(read(Paramwise, given, path), path):
        if group.lr_mult != 1:
            rates[f"lr/{name}"] = lr * group.lr_mult
        if group.decay_mult == 1:
            continue
        if weight_decay is None:
            message = "multiplies the optimizer's weight decay, which is not given"
            bound = "not given, or beside weight_decay"
            raise refused(FieldError(path, message, shown(given), bound))
        decays[f"weight_decay/{name}"] = weight_decay * group.decay_mult
    return Bases(rates, decays)


def _groups(given: Paramwise, path: str) -> Iterator[tuple[str, Group]]:
    """Yield the groups by their names: kinds of weights, and parts of the model by their keys."""
    names = set()
    for name in ("bias", "norm", "dwconv", "flat", "dcn_offset"):
        mults = {
            mult: value
            for mult in Group.model_fields
            if (value := getattr(given, f"{name}_{mult}", None)) is not None
        }
        if mults:
            names.add(name)
            yield name, Group(**mults)
    for key, block in given.custom_keys.items():
        field = f"{path}.custom_keys.{key[:100]}"
        name = group_name(key, names, field)
        names.add(name)
        yield name, read(Group, block, field)

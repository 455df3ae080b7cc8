"""
Which parameters of a model decay: two named groups, which `RheostatLR` keeps apart.

Weight decay pulls what it is given towards zero. For the weights of linear maps and convolutions
that is what it is for; a norm's gain has its rest at one, and a bias, or an embedding of a rare
word, is pulled away from what it has learnt without any gain. So these are usually left out:
``docs/weight-decay.md`` tells more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypedDict

from torch import nn
from torch.nn.parameter import is_lazy

from rheostat.errors import Invalid, refusal

DECAY, NO_DECAY = "decay", "no_decay"
NORMS_OF_ANY_SHAPE = ("LayerNorm", "RMSNorm")
"""PyTorch's own whose gains may have several dimensions."""

Exempt = str | type[nn.Module] | Callable[[str, nn.Parameter], bool]
"""A pattern of names, a class of modules, or what says it of a name and its parameter."""


class DecayGroup(TypedDict, total=False):
    """A parameter group, as optimizers take it."""

    name: str
    params: list[nn.Parameter]
    weight_decay: float


class _Place(NamedTuple):
    """Where a parameter stands in a model: a shared one has several places."""

    name: str
    module: nn.Module


def decay_groups(
    model: nn.Module, weight_decay: float | None = None, *, no_decay: Iterable[Exempt] = ()
) -> list[DecayGroup]:
    """
    Return a model's parameters in two groups for an optimizer, named ``decay`` and ``no_decay``.

    The second has a weight decay of 0, which `RheostatLR` and `attach` leave as it is. In it are
    biases, all parameters of norms, and what ``no_decay`` or the model itself says. Each parameter
    that is trained is in one of them, once, also if the model shares it: then it is left out of the
    decay if that holds in any of its places. Frozen ones are in neither.

    >>> groups = decay_groups(model, no_decay=[torch.nn.Embedding, "pos_embed"])
    >>> optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    >>> [(group["name"], group["weight_decay"]) for group in optimizer.param_groups]
    [('decay', 0.1), ('no_decay', 0.0)]

    A bias is what is called so: ``bias``, ``in_proj_bias``, ``bias_ih_l0``. A norm is one of
    PyTorch's, or a module whose class, or a base of it, has ``Norm`` in its name: of its own
    parameters those with one dimension. The model says it by ``no_weight_decay()``, as those of
    timm do, or by ``_no_weight_decay`` at a parameter, as state space models do.

    Args:
        model: Its parameters must have their shapes.
        weight_decay: That of the group ``decay``, above 0, until a run says otherwise; without it
            the optimizer's default.
        no_decay: What else does not decay: patterns of names (``"pos_embed"``, ``"wte.*"``), which
            may leave out what leads to them, classes of modules (``torch.nn.Embedding``), whose own
            parameters are meant, or functions of a name and its parameter.

    Raises:
        Invalid: An argument cannot be meant, a pattern matches nothing, or nothing is trained.

    """
    if not isinstance(model, nn.Module):
        raise refusal("model", f"is a {type(model).__name__}, and no torch.nn.Module")
    exempt = [_checked(each, f"no_decay[{index}]") for index, each in enumerate(_listed(no_decay))]
    parameters = list(_placed(model))
    said = _said(model)
    groups: list[DecayGroup] = [
        {"name": DECAY, "params": []},
        {"name": NO_DECAY, "params": [], "weight_decay": 0.0},
    ]
    if weight_decay is not None:
        groups[0]["weight_decay"] = _positive(weight_decay)
    for parameter, places in parameters:
        if parameter.requires_grad:
            is_left_out = any(_is_left_out(parameter, place, exempt, said) for place in places)
            groups[is_left_out]["params"].append(parameter)
    if not any(group["params"] for group in groups):
        raise refusal("model", "has no parameters that are trained")
    names = [place.name for _, places in parameters for place in places]
    _require_matches(exempt, names)
    return groups


def _placed(model: nn.Module) -> Iterator[tuple[nn.Parameter, list[_Place]]]:
    """Yield each parameter with all of its places, in the order of the model."""
    found: dict[nn.Parameter, list[_Place]] = {}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for own, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{prefix}.{own}" if prefix else own
            if is_lazy(parameter):
                message = f"has {name}, which has no shape before the first forward pass"
                raise refusal("model", message, name)
            found.setdefault(parameter, []).append(_Place(name, module))
    yield from found.items()


def _is_left_out(
    parameter: nn.Parameter, place: _Place, exempt: Sequence[Exempt], said: Sequence[str]
) -> bool:
    name, module = place
    return (
        "bias" in name.rpartition(".")[2].split("_")
        or _is_norm(module, parameter)
        or bool(getattr(parameter, "_no_weight_decay", False))
        or any(_matches(name, each) for each in said)
        or any(_says(each, name, parameter, module) for each in exempt)
    )


def _is_norm(module: nn.Module, parameter: nn.Parameter) -> bool:
    """Return whether a parameter of a module is a norm's, whoever has written that."""
    names = [cls.__name__ for cls in type(module).__mro__]
    if any(name in NORMS_OF_ANY_SHAPE for name in names):
        return True
    return parameter.ndim <= 1 and any("norm" in name.lower() for name in names)


def _says(exempt: Exempt, name: str, parameter: nn.Parameter, module: nn.Module) -> bool:
    if isinstance(exempt, str):
        return _matches(name, exempt)
    if isinstance(exempt, type):
        return isinstance(module, exempt)
    return bool(exempt(name, parameter))


def _matches(name: str, pattern: str) -> bool:
    """Return whether a name fits a pattern, whatever leads to it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _said(model: nn.Module) -> list[str]:
    """Return what the model says of itself, in the way of timm's."""
    says = getattr(model, "no_weight_decay", None)
    return [str(name) for name in says()] if callable(says) else []


def _listed(no_decay: Any) -> list[Any]:
    if isinstance(no_decay, str) or not isinstance(no_decay, Iterable):
        raise _not_exempt("no_decay", no_decay)
    return list(no_decay)


def _checked(exempt: Any, field: str) -> Exempt:
    is_class = isinstance(exempt, type)
    is_known = issubclass(exempt, nn.Module) if is_class else isinstance(exempt, str)
    if not is_known and (is_class or isinstance(exempt, nn.Module) or not callable(exempt)):
        raise _not_exempt(field, exempt)
    found: Exempt = exempt
    return found


def _not_exempt(field: str, value: Any) -> Invalid:
    bound = "a list of patterns of names, classes of modules, or functions"
    return refusal(field, f"must be of {bound}, and is {value!r:.100}", repr(value)[:100], bound)


def _positive(weight_decay: Any) -> float:
    is_number = isinstance(weight_decay, int | float) and not isinstance(weight_decay, bool)
    if not (is_number and math.isfinite(weight_decay) and weight_decay > 0):
        message = "must be above 0, as a weight decay of 0 stays so"
        raise refusal("weight_decay", message, repr(weight_decay), "> 0")
    return float(weight_decay)


def _require_matches(exempt: Sequence[Exempt], names: Sequence[str]) -> None:
    """Refuse a pattern without effect, which is a misspelling."""
    for index, each in enumerate(exempt):
        if isinstance(each, str) and not any(_matches(name, each) for name in names):
            nearest = ", ".join(get_close_matches(each, names, n=3, cutoff=0))
            message = f"matches no parameter: {each!r}; the nearest are {nearest}"
            raise refusal(f"no_decay[{index}]", message, each, "a name of the model's")

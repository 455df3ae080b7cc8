"""
The numbers of an optimizer that a run sets: written, and read back just before each update.

What an update applied is what stood in its groups then, whoever wrote it: a second scheduler, a
callback, or a framework that steps a scheduler once for each process. So the slots are read again
when the optimizer is about to use them. While nobody has written to them, that is a look at what
they hold and not at its value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import torch
from torch import Tensor

from rheostat.torch.fields import Binding, Fields, Group, bind, factor, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.optim import Optimizer

    from rheostat.client import Run
    from rheostat.wire import SlotType


class Overwriting(NamedTuple):
    """A slot that held another number than was written into it."""

    binding: Binding
    group: str
    """The number of the group, with its name if it has one."""
    written: float
    found: float
    value: float
    """What was found, without the group's ``lr_scale``: what stands for the run's value."""


class Slots:
    """
    What a run sets in the groups of an optimizer.

    Attributes:
        bindings: The parameter of each slot.
        step: The step whose values were written last, -1 before that.
        dtypes: What each parameter is rounded to: ``f32`` if a slot is a tensor of float32. It is
            the same dictionary as long as that does not change.

    """

    def __init__(
        self, optimizer: Optimizer, run: Run, fields: Fields | None, elsewhere: frozenset[str]
    ) -> None:
        self.step = -1
        self.dtypes: dict[str, SlotType] = {}
        self._optimizer, self._run = ref(optimizer), run
        self._fields, self._elsewhere = fields, elsewhere
        self._bind()

    @property
    def _groups(self) -> Sequence[Group]:
        """Those that the optimizer has now; it holds what follows it, and not the other way."""
        optimizer = self._optimizer()
        return () if optimizer is None else optimizer.param_groups

    def _bind(self) -> None:
        groups = self._groups
        self.bindings: tuple[Binding, ...] = bind(
            groups, self._run.parameters, self._fields, self._elsewhere
        )
        self._bound = len(groups)
        self._slots = [_Slot(binding) for binding in self.bindings]
        self._of: dict[str, list[_Slot]] = {}
        for slot in self._slots:
            self._of.setdefault(slot.binding.parameter, []).append(slot)

    @property
    def fields(self) -> list[dict[str, str]]:
        """Which parameter goes into which field, for each group: as ``fields=`` takes it."""
        chosen: list[dict[str, str]] = [{} for _ in self._groups]
        for binding in self.bindings:
            chosen[binding.group][binding.field] = binding.parameter
        return chosen

    def look_up(self, step: int) -> list[float]:
        """Return the value of each binding at a step, waiting as `Run.value` does."""
        if (groups := self._groups) and len(groups) != self._bound:
            self._bind()
        value = self._run.value
        return [value(binding.parameter, step) for binding in self.bindings]

    def write(self, step: int, values: Sequence[float]) -> None:
        """Write what `look_up` returned for a step; what raises leaves nothing half written."""
        groups = self._groups
        factors = [factor(groups, binding) for binding in self.bindings]
        for slot, value, part in zip(self._slots, values, factors, strict=True):
            slot.write(groups[slot.binding.group], value, part)
        self.step = step
        dtypes: dict[str, SlotType] = dict.fromkeys(self._of, "f64")
        dtypes.update({s.binding.parameter: "f32" for s in self._slots if s.is_single})
        if dtypes != self.dtypes:
            self.dtypes = dtypes

    def read(self) -> tuple[dict[str, float], list[Overwriting]]:
        """
        Return the value of each parameter that stands in its slots now, and what is overwritten.

        It is the run's value if every slot of the parameter holds what was written, else that of
        the first that does not.
        """
        values, overwritten = {}, []
        for parameter, slots in self._of.items():
            values[parameter] = slots[0].value
            for slot in slots:
                if not slot.holds():
                    overwritten.append(self._overwriting(slot))
                    values[parameter] = overwritten[-1].value
                    break
        return values, overwritten

    def _overwriting(self, slot: _Slot) -> Overwriting:
        group = label(self._groups, slot.binding.group)
        value = _unscaled(slot.found, slot.factor)
        return Overwriting(slot.binding, group, slot.written, slot.found, value)


class _Slot:
    """One number of one group, and what was written into it last."""

    __slots__ = (
        "binding",
        "factor",
        "found",
        "group",
        "held",
        "is_single",
        "value",
        "version",
        "written",
    )

    def __init__(self, binding: Binding) -> None:
        self.binding = binding

    def write(self, group: Group, value: float, factor: float) -> None:
        self.group, self.value, self.factor = group, value, factor
        self.written = value if factor == 1 else value * factor
        _write(group, self.binding, self.written)
        self._remember(self._held())

    def holds(self) -> bool:
        """
        Return whether it holds what was written; if not, that is in ``found``.

        A tensor on a device is not read, which would wait for the device, unless somebody has
        written to it since.
        """
        held = self._held()
        if held is self.held and (self.version is None or _version(held) == self.version):
            return True
        self.found = float(held)
        if self.found != _rounded(self.written, held):
            return False
        self._remember(held)  # the same number once more, as after a checkpoint was loaded
        return True

    def _held(self) -> Any:
        key, place = self.binding.slot
        held = self.group[key]
        return held if place is None else held[place]

    def _remember(self, held: Any) -> None:
        self.held, self.version, self.is_single = held, None, False
        if isinstance(held, Tensor):
            self.is_single = held.dtype == torch.float32
            self.version = _ALWAYS if held.device.type == "cpu" else _version(held)


_ALWAYS = -1
"""A version that no tensor has: that of one in the processor's own memory, which is always read."""


def _version(tensor: Tensor) -> int:
    """Return how often a tensor was written to; those made in inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def _rounded(value: float, held: Any) -> float:
    return torch.tensor(value, dtype=held.dtype).item() if isinstance(held, Tensor) else value


def _unscaled(found: float, factor: float) -> float:
    """Divide a factor back; what stands where zero was written is far from any value."""
    if factor == 1:
        return found
    return found / factor if factor else math.copysign(math.inf, found)


def _write(group: Group, binding: Binding, value: float) -> None:
    key, place = binding.slot
    held = group[key]
    if place is not None:
        if isinstance(held[place], Tensor):
            held[place].fill_(value)
        else:
            group[key] = (*held[:place], value, *held[place + 1 :])
    elif isinstance(held, Tensor):
        held.fill_(value)
    else:
        group[key] = value

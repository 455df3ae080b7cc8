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

from rheostat.errors import refusal
from rheostat.saying import log
from rheostat.torch.fields import RATIO, Binding, Fields, Group, bind, factor, label

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
    """What was found, with the slot's factor divided out: what stands for the run's value."""


class Slots:
    """
    What a run sets in the groups of an optimizer.

    With ``relative`` groups that share the learning rate keep the ratios that they began with.

    Attributes:
        bindings: The parameter of each slot.
        step: The step whose values were written last, -1 before that.
        dtypes: What each parameter is rounded to: ``f32`` if a slot is a tensor of float32. It is
            the same dictionary as long as that does not change.

    """

    def __init__(
        self,
        optimizer: Optimizer,
        run: Run,
        fields: Fields | None,
        elsewhere: frozenset[str],
        *,
        relative: bool = False,
    ) -> None:
        self.step = -1
        self.dtypes: dict[str, SlotType] = {}
        self._values: dict[str, float] = {}
        self._is_scaled = False
        self._optimizer, self._run = ref(optimizer), run
        self._fields, self._elsewhere = fields, elsewhere
        if not isinstance(relative, bool):
            raise refusal("relative", "must be True or False", relative, "True or False")
        self._default = optimizer.defaults.get("lr", math.nan) if relative else None
        self._bind()
        self._warn_of_no_decay()
        if relative:
            self._warn_of_ratios()
            this = ref(self)
            optimizer.register_load_state_dict_post_hook(lambda _: _take_ratios(this()))

    @property
    def _groups(self) -> Sequence[Group]:
        """Those that the optimizer has now; it holds what follows it, and not the other way."""
        optimizer = self._optimizer()
        return () if optimizer is None else optimizer.param_groups

    def _bind(self) -> None:
        groups = self._groups
        self.bindings = self._bindings(groups)
        self._bound = len(groups)
        self._slots = [_Slot(binding) for binding in self.bindings]
        self._of: dict[str, list[_Slot]] = {}
        for slot in self._slots:
            self._of.setdefault(slot.binding.parameter, []).append(slot)

    def _warn_of_no_decay(self) -> None:
        """Say that the run's weight decay goes nowhere: the groups have none, and keep that."""
        set_fields = {slot.binding.field for slot in self._slots}
        has_decay = any("weight_decay" in group for group in self._groups)
        is_due = "weight_decay" in self._run.parameters and self._fields is None
        if is_due and has_decay and "weight_decay" not in set_fields:
            log.warning(
                "run %s has weight_decay, and each parameter group begins with a weight decay of 0,"
                " which stays: Optimizer(…, weight_decay=…) says that it is to decay",
                self._run.name,
            )

    def _bindings(self, groups: Sequence[Group]) -> tuple[Binding, ...]:
        """Return what is written where: an adapter whose framework has rules of its own says so."""
        run, elsewhere = self._run, self._elsewhere
        return bind(groups, run.parameters, self._fields, elsewhere, self._default)

    def _warn_of_ratios(self) -> None:
        """Say that no group begins at the default, which may be one that nobody has chosen."""
        ratios = [slot.binding.ratio for slot in self._slots if slot.binding.field == "lr"]
        if ratios and 1 not in ratios:
            log.warning(
                "run %s: the groups begin with %s of the optimizer's default lr, %s, and will have"
                " as much of the run's: if the default is not what they refer to, give it one,"
                " Optimizer(groups, lr=…)",
                self._run.name,
                ", ".join(f"{ratio:.6g}" for ratio in dict.fromkeys(ratios)),
                self._default,
            )

    def warn_of_graph(self) -> None:
        """Say which numbers a CUDA graph that is being captured keeps as they are now."""
        groups = self._groups
        kept = [
            f"{slot.binding.field} of group {label(groups, slot.group)}"
            for slot in self._slots
            if slot.is_plain(groups[slot.group])
        ]
        if kept:
            log.warning(
                "run %s: the CUDA graph that is captured keeps %s as they are at step %s, whatever"
                " the run says: only a number in a tensor changes in it",
                self._run.name,
                ", ".join(kept),
                f"{self.step:,}",
            )

    def take_ratios(self) -> None:
        """Keep the ratios of a checkpoint that the optimizer has loaded, where it has some."""
        groups = self._groups
        for slot in self._slots:
            if slot.binding.field == "lr" and slot.group < len(groups):
                ratio = groups[slot.group].setdefault(RATIO, slot.binding.ratio)
                slot.binding = slot.binding._replace(ratio=float(ratio))
        self._scale(groups)

    @property
    def fields(self) -> list[dict[str, str]]:
        """Which parameter goes into which field, for each group: as ``fields=`` takes it."""
        chosen: list[dict[str, str]] = [{} for _ in self._groups]
        for binding in self.bindings:
            chosen[binding.group][binding.field] = binding.parameter
        return chosen

    def look_up(self, step: int) -> dict[str, float]:
        """Return the value of each bound parameter at a step, waiting as `Run.value` does."""
        if (groups := self._groups) and len(groups) != self._bound:
            self._bind()
        value = self._run.value
        return {parameter: value(parameter, step) for parameter in self._of}

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write what `look_up` returned for a step; what raises leaves nothing half written."""
        groups = self._groups
        for group in groups:
            if "lr_scale" in group or self._is_scaled:
                self._scale(groups)
                break
        has_changed = not self.dtypes
        for parameter, slots in self._of.items():
            value = values[parameter]
            for slot in slots:
                has_changed |= slot.write(groups[slot.group], value)
        self.step, self._values = step, values
        if has_changed:
            singles = {slot.binding.parameter for slot in self._slots if slot.is_single}
            self.dtypes = {name: "f32" if name in singles else "f64" for name in self._of}

    def _scale(self, groups: Sequence[Group]) -> None:
        factors = [factor(groups, slot.binding) for slot in self._slots]
        for slot, part in zip(self._slots, factors, strict=True):
            slot.factor = part
        self._is_scaled = any("lr_scale" in group for group in groups)

    def read(self) -> tuple[dict[str, float], list[Overwriting]]:
        """
        Return the value of each parameter that stands in its slots now, and what is overwritten.

        It is the run's value if every slot of the parameter holds what was written, else that of
        the first that does not.
        """
        groups = self._groups
        overwritten = []
        for slots in self._of.values():
            for slot in slots:
                if not slot.holds(groups[slot.group]):
                    overwritten.append(slot.overwriting(groups))
                    break
        if not overwritten:
            return self._values, overwritten
        return self._values | {o.binding.parameter: o.value for o in overwritten}, overwritten


def _take_ratios(slots: Slots | None) -> None:
    if slots is not None:
        slots.take_ratios()


class _Slot:
    """One number of one group, and what was written into it last."""

    __slots__ = (
        "binding",
        "factor",
        "found",
        "group",
        "held",
        "is_single",
        "key",
        "place",
        "version",
        "written",
    )

    held: Any
    version: int | None

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.group = binding.group
        self.key, self.place = binding.slot
        self.factor = binding.ratio
        self.is_single = False

    def write(self, group: Group, value: float) -> bool:
        """Write a value, times the factor; return whether it is now rounded in another way."""
        self.written = value = value * self.factor
        held = group[self.key]
        if type(held) is float and not self.is_single:
            group[self.key] = self.held = value
            self.version = None
            return False
        before = self.is_single
        _write(group, self.binding, value)
        self._remember(self._held(group))
        return before != self.is_single

    def is_plain(self, group: Group) -> bool:
        """Return whether it is a number of Python, and no tensor."""
        return not isinstance(self._held(group), Tensor)

    def holds(self, group: Group) -> bool:
        """
        Return whether it holds what was written; if not, that is in ``found``.

        A tensor on a device is not read, which would wait for the device, unless somebody has
        written to it since.
        """
        held = group[self.key]
        if self.place is not None:
            held = held[self.place]
        if held is self.held and (self.version is None or _version(held) == self.version):
            return True
        self.found = float(held)
        if self.found != _rounded(self.written, held):
            return False
        self._remember(held)  # the same number once more, as after a checkpoint was loaded
        return True

    def overwriting(self, groups: Sequence[Group]) -> Overwriting:
        """Return what was found, where it does not hold what was written."""
        value = _unscaled(self.found, self.factor)
        return Overwriting(self.binding, label(groups, self.group), self.written, self.found, value)

    def _held(self, group: Group) -> Any:
        held = group[self.key]
        return held if self.place is None else held[self.place]

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

"""Several of MMEngine's schedulers for one field, each in its window and by its clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rheostat.converters.core import Case, Conversion, Nested, refused
from rheostat.converters.kit import of_group, part, scaled, since, table, times, value_at
from rheostat.converters.mmengine import ENDLESS, by_counts, field_of, library, needs_epochs, sets
from rheostat.errors import FieldError
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.sequence import Sequence
from rheostat.schedules.union import AnyDefinition

_MOST_WAVES = 100
"""How often a cosine may rise while others act."""
_NOISE = 1e-12
_LONGEST = 300_000
"""How many steps are tabulated at most, times the schedulers that take turns."""


@dataclass(frozen=True)
class Member:
    """A scheduler and the steps in which it acts."""

    case: Case
    spec: Nested
    path: str
    base: float
    begin: int
    end: int
    epochs: bool
    """Whether it counts epochs: those have their turns after those that count iterations."""
    every: int
    """How many steps it takes to count once."""
    place: int = 0
    """Its place in the list, by which all have their turns when they are made, at step 0."""

    @property
    def floor(self) -> float:
        """What it pulls the value towards; 0 for what multiplies it."""
        return float(self.spec.params.get("eta_min") or 0.0)

    @property
    def restarts(self) -> bool:
        """Whether it sets the value at the start of each of its periods, or of its only one."""
        return self.spec.name.startswith(("CosineRestart", "QuadraticWarmup"))

    @property
    def sets(self) -> bool:
        """Whether it sets the value, whatever it was."""
        return self.restarts or self.spec.name.startswith("OneCycle")

    @property
    def adds(self) -> bool:
        """Whether it adds to the value, from its own at first."""
        return self.spec.name.startswith("QuadraticWarmup")

    @property
    def rest(self) -> int:
        """The step from which it leaves the value alone."""
        if self.spec.name.startswith("MultiStep"):
            last = max(self.spec.params["milestones"], default=0)
            return min(self.end, self.begin + int(last) * self.every)
        return self.end

    def rises(self) -> Iterator[int]:
        """Yield the steps at which a cosine rises from its end, whatever the value was."""
        if not self.spec.name.startswith("CosineAnnealing"):
            return
        half = int(self.spec.params["T_max"])
        step = self.begin + (half + 1) * self.every
        while step < self.end:
            yield step
            step += 2 * half * self.every

    def rises_at(self, step: int) -> bool:
        """Return whether a cosine rises from its end at a step."""
        if not self.spec.name.startswith("CosineAnnealing"):
            return False
        half = int(self.spec.params["T_max"])
        count, off = divmod(step - self.begin, self.every)
        return off == 0 and count > half and (count - 1 - half) % (2 * half) == 0

    def curve(self, start: float) -> AnyDefinition:
        """Return its curve from a value, counted from its begin, without an end."""
        curve = self.case.nested(self.spec, self.path, base_value=start)
        if isinstance(curve, Sequence) and len(curve.parts) == 1:
            curve = curve.parts[0].schedule
        return by_counts(curve, self.every)

    def left(self, step: int) -> float:
        """Return which share of the value above the floor is left at a step; 1 before begin."""
        if step < self.begin:
            return 1.0
        return value_at(self.curve(self.floor + 1), step - self.begin) - self.floor

    def turn(self, step: int, value: float) -> float:
        """Return what its turn at a step makes of a value."""
        if self.rises_at(step):
            return value + (self.base - self.floor) * self.left(step)
        before, now = self.left(step - 1), self.left(step)
        return value if before == now else self.floor + (value - self.floor) * now / before


@library.scheduler("list", hyperparameters=None)
def several(case: Case, *, schedulers: Annotated[list[Nested], Field(min_length=1)]) -> Conversion:
    """
    `sequence` of what the windows leave: a curve, a `product` of overlapping ones, or a constant.

    Those of other fields than the one that is asked for are left out. Where some count epochs and
    others iterations, a step is an iteration, and steps_per_epoch is required; where it is given,
    a step is an iteration in any case. Each scheduler goes on from the value that it finds, but
    for a cosine past its T_max, which rises towards the base value again. Where one that does not
    end at 0, or that sets the value, overlaps with others there is no formula: those steps become
    a `table`. A OneCycleLR changes the base value of those that stand after it, as in MMEngine.

    A ReduceOnPlateau among them is the `plateau` beside what the others become.
    """
    chosen = _chosen(case, schedulers)
    curves = [(i, spec) for i, spec in chosen if not _reacts(spec)]
    members = _members(case, curves) if curves else []
    definition = _laid_out(case, members) if members else None
    plateaus = [(i, spec) for i, spec in chosen if _reacts(spec)]
    if not plateaus:
        return Conversion(definition)
    return replace(_plateau(case, plateaus, members), definition=definition)


def _reacts(spec: Nested) -> bool:
    return spec.name.startswith("ReduceOnPlateau")


def _plateau(case: Case, plateaus: list[tuple[int, Nested]], members: list[Member]) -> Conversion:
    """Return the one plateau, if what the others do to a value is a factor while it acts."""
    (i, spec), *others = plateaus
    if others:
        path = f"schedulers[{others[0][0]}].name"
        message = "is a second plateau: convert each by itself, and arm the run with both"
        raise case.wrong(path, message, spec.name, "one plateau")
    found = case.of(spec, f"schedulers[{i}]")
    start = 0 if found.controller is None else found.controller.start
    for member in members:
        multiplies = member.floor == 0 and not member.sets and not any(member.rises())
        if not multiplies and member.rest > start:
            message = "does not multiply the value, which a plateau changes in the same steps"
            bound = f"to have ended at {start}, where the plateau begins"
            raise case.wrong(f"{member.path}.name", message, member.spec.name, bound)
    return found


def _laid_out(case: Case, members: list[Member]) -> AnyDefinition:
    """Return what the schedulers become together."""
    edges = {edge for member in members for edge in (member.begin, member.end)}
    edges.update(rise for member in members for rise in _rises(member, members))
    steps = [0, *sorted(edge for edge in edges if 0 < edge < ENDLESS)]
    ends = [*steps[1:], None]
    parts, value = [], case.base
    for begin, end in zip(steps, ends, strict=True):
        active = [member for member in members if member.begin <= begin < member.end]
        schedule = _between(case, active, begin, end, value)
        length = None if end is None else end - begin
        parts.append(part(schedule, steps=length))
        value = value_at(schedule, (length or 1) - 1)
    return Sequence(parts=tuple(parts)) if len(parts) > 1 else parts[0].schedule


def _chosen(case: Case, schedulers: list[Nested]) -> list[tuple[int, Nested]]:
    """Return the schedulers that set what is asked for, with their places."""
    chosen: list[tuple[int, Nested]] = []
    for i, spec in enumerate(schedulers):
        if sets(spec.name, spec.params.get("param_name"), case.hyperparameter):
            chosen.append((i, spec))
        else:
            field = field_of(spec.name, spec.params.get("param_name"))
            other = replace(case, hyperparameter=str(field), base_value=1.0)
            other.of(spec, f"schedulers[{i}]")
    if not chosen:
        message = "is set by none of the schedulers"
        raise refused(FieldError("hyperparameter", message, case.hyperparameter, "one that is"))
    return chosen


def _members(case: Case, chosen: list[tuple[int, Nested]]) -> list[Member]:
    """Return the schedulers that were chosen, in the order of their turns."""
    whole = replace(case, context=case.context.model_copy(update={"steps_per_epoch": None}))
    for i, spec in chosen:
        case.nested(spec, f"schedulers[{i}]")
    clocks = {_counts_epochs(spec) for _, spec in chosen}
    length = case.context.steps_per_epoch
    if len(clocks) > 1 and length is None:
        raise needs_epochs("some of the schedulers count epochs, and others iterations")
    members, base, cycle = [], case.base, False
    for i, spec in chosen:
        path = f"schedulers[{i}]"
        if spec.name.startswith("OneCycle"):
            if cycle:
                message = "overwrites the ends of the one before it: there is no formula"
                raise case.wrong(f"{path}.name", message, spec.name, "one cycle alone")
            cycle = True
            base = _base_after(case, spec)
        members.append(replace(_member(whole, spec, path, base, length or 1), place=i))
    return sorted(members, key=lambda member: member.epochs)


def _counts_epochs(spec: Nested) -> bool:
    by_epoch = bool(spec.params.get("by_epoch", True))
    return by_epoch and not spec.params.get("convert_to_iter_based", False)


def _base_after(case: Case, spec: Nested) -> float:
    """Return the base value that a OneCycleLR leaves to those after it."""
    peak = of_group(case, "eta_max", spec.params.get("eta_max", 0.0))
    return float(peak / spec.params.get("div_factor", 25.0))


def _member(case: Case, spec: Nested, path: str, base: float, length: int) -> Member:
    """Return a scheduler, its lengths in its own counts and its floor absolute."""
    epochs = _counts_epochs(spec)
    every = length if epochs else 1
    params: dict[str, Any] = dict(spec.params)
    if params.pop("convert_to_iter_based", False):
        params = {name: _times(name, value, length) for name, value in params.items()}
        params["by_epoch"] = False
    ratio = params.pop("eta_min_ratio", None)
    if ratio is not None:
        params["eta_min"] = base * ratio
    begin, end = int(params.get("begin", 0)), int(params.get("end", ENDLESS))
    if spec.name.startswith("CosineRestart"):
        end = min(end, begin + int(sum(params["periods"])))
    if spec.name.startswith("CosineAnnealing"):
        params["T_max"] = params.get("T_max") or end - begin
    moved = {**params, "begin": 0, "end": end - begin if end < ENDLESS else ENDLESS}
    return Member(
        case,
        Nested(name=spec.name, params=moved),
        path,
        base,
        begin * every,
        end * every if end < ENDLESS else ENDLESS,
        epochs,
        every,
    )


_LENGTHS = ("begin", "end", "T_max", "step_size", "milestones", "periods", "total_steps")


def _times(name: str, value: Any, length: int) -> Any:
    """Return a parameter in iterations, if it counts epochs."""
    if name not in _LENGTHS or value is None or (name == "end" and value >= ENDLESS):
        return value
    return [item * length for item in value] if isinstance(value, list) else value * length


def _rises(member: Member, members: list[Member]) -> list[int]:
    """Return the steps at which a cosine rises, up to the first one at which it is alone."""
    rest = max((other.rest for other in members if other is not member), default=0)
    found: list[int] = []
    for step in member.rises():
        if len(found) == _MOST_WAVES:
            message = f"ends more than {_MOST_WAVES} times while others act: tabulate it"
            value = member.spec.params["T_max"]
            raise member.case.wrong(f"{member.path}.params.T_max", message, value, "longer")
        found.append(step)
        if step - 1 >= rest:
            break
    return found


def _between(
    case: Case, active: list[Member], begin: int, end: int | None, value: float
) -> AnyDefinition:
    """Return what the active schedulers make of a value from one edge to the next."""
    if not active:
        return Constant(value=value)
    last = active[-1]
    clocks = {member.epochs for member in active}
    if last.sets and (len(active) == 1 or (not last.restarts and len(clocks) == 1)):
        curve = last.curve(last.base)
        if not last.restarts or begin == last.begin or _is_undisturbed(last, begin, value):
            return since(begin - last.begin, curve)
        return _table(case, active, begin, end, value)
    if any(member.sets for member in active):
        return _table(case, active, begin, end, value)
    if len(active) == 1:
        return _alone(last, begin, value)
    if any(member.floor for member in active):
        return _table(case, active, begin, end, value)
    return _together(active, begin, value)


def _is_undisturbed(member: Member, step: int, value: float) -> bool:
    """Return whether restarts go on from their own value, and not from what another one left."""
    own = value_at(member.curve(member.base), step - 1 - member.begin)
    return abs(value - own) <= _NOISE * max(abs(value), abs(own))


def _alone(member: Member, begin: int, value: float) -> AnyDefinition:
    """Return what one scheduler makes of a value that it finds."""
    if member.rises_at(begin) and value == member.floor:
        return since(begin - member.begin, member.curve(member.base))
    before = 0.0 if member.rises_at(begin) else member.left(begin - 1)
    if before == 0:
        value, before = member.turn(begin, value), member.left(begin)
    if before == 0:
        return Constant(value=value)
    start = member.floor + (value - member.floor) / before
    return since(begin - member.begin, member.curve(start))


def _together(active: list[Member], begin: int, value: float) -> AnyDefinition:
    """Return the product of schedulers that end at 0, from a value that they find."""
    befores = [member.left(begin - 1) for member in active]
    if any(member.rises_at(begin) for member in active) or 0 in befores:
        for member in active:
            value = member.turn(begin, value)
        befores = [member.left(begin) for member in active]
    whole: AnyDefinition = Constant(value=value)
    for member, before in zip(active, befores, strict=True):
        if before != 0:
            curve = since(begin - member.begin, member.curve(1.0))
            whole = times(whole, scaled(1 / before, curve))
    return whole


def _table(
    case: Case, active: list[Member], begin: int, end: int | None, value: float
) -> AnyDefinition:
    """Return the values of schedulers that take turns, step by step."""
    longest = _LONGEST // len(active)
    if end is None or end - begin > longest:
        message = f"overlap for more than {longest} steps, where there is no formula"
        bound = "eta_min 0, an end, or one that sets the value alone in its steps"
        raise case.wrong("schedulers", message, len(active), bound)
    for member in active:
        if member.adds:
            message = "adds to the value, which others in the same steps change"
            raise case.wrong(f"{member.path}.name", message, member.spec.name, "alone in its steps")
    steps = np.arange(begin, end)
    turns = [(member, *_shares(member, steps), _own(member, steps)) for member in active]
    made = sorted(turns, key=lambda turn: turn[0].place)
    values = []
    for i, step in enumerate(steps):
        for member, before, left, own in turns if step else made:
            if np.isfinite(own[i]):
                value = own[i]
            elif before[i] == 0:
                value += (member.base - member.floor) * left[i]
            else:
                value = member.floor + (value - member.floor) * left[i] / before[i]
        values.append(float(value))
    return table(values)


def _shares(
    member: Member, steps: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which share above the floor is left before and at each step."""
    if member.sets and not member.restarts:
        left = np.ones(len(steps) + 1)
    else:
        places = np.concatenate([steps[:1] - 1, steps]) - member.begin
        left = member.curve(member.floor + 1).values(places) - member.floor
        left[places < 0] = 1.0
    return left[:-1], left[1:]


def _own(member: Member, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a scheduler sets at each step, whatever the value was; NaN where it does not."""
    own = np.full(len(steps), np.nan)
    if member.sets:
        places = steps - member.begin
        counts, off = np.divmod(places, member.every)
        turns = off == 0
        if member.restarts:
            periods = np.cumsum([0, *member.spec.params["periods"]])
            turns &= np.isin(counts, periods)
        own[turns] = member.curve(member.base).values(places[turns])
    return own

"""Presets that go up and down: one cycle, triangular cycles, cosine restarts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import About, Definition
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import (
    Corner,
    Count,
    Duration,
    End,
    Factor,
    Growth,
    Length,
    Proportion,
    Share,
    Start,
    Value,
)
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Product, Sum
from rheostat.schedules.kinds.presets import Preset
from rheostat.schedules.kinds.repeat import Repeat, cycle_start, require_countable
from rheostat.schedules.kinds.timing import Stretch
from rheostat.schedules.lengths import Json, Timeframe, consecutive


class OneCycle(Preset):
    """One cycle: from `start` up to `peak` and down to `end`, in two phases or three."""

    about = About(
        formula="corners (0, start), (up · steps, peak), (steps, end); with three phases also "
        "(2 · up · steps, start) before the last; a corner may lie between two steps",
        after="`end`",
        example={"kind": "one_cycle", "peak": 0.1, "steps": 100, "start": 0.004, "end": 4e-7},
        names={
            "deepspeed": "OneCycle",
            "fastai": "fit_one_cycle",
            "mmengine": "OneCycleParamScheduler",
            "optax": "cosine_onecycle_schedule, linear_onecycle_schedule",
            "paddle": "OneCycleLR",
            "torch": "OneCycleLR (steps = total_steps − 1)",
        },
    )
    lengths = ("steps",)
    culprit = "up"

    kind: Literal["one_cycle"] = "one_cycle"
    peak: Annotated[Value, Field(description="the value at the turn")]
    steps: Annotated[Length, Field(description="the length of the cycle")]
    start: Start
    end: End
    up: Annotated[
        Proportion, Field(description="where the turn lies in the cycle; below ½ for three phases")
    ] = 0.3
    shape: Corner = "cosine"
    three_phase: Annotated[
        bool, Field(description="whether it returns to start as fast as it rose, and then to end")
    ] = False

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Let the turns that are passed stay; what then is no cycle by its fields is piecewise."""
        out, end = consecutive(cls, raw, time, path)
        up, steps = raw.get("up", 0.3), end.whole - time.start.whole
        if time.clock.kept is None and time.clock.noted is None:
            return out
        places = [up * steps, 2 * up * steps] if raw.get("three_phase") else [up * steps]
        turns = [time.corner(turn, f"{path}.up[{number}]") for number, turn in enumerate(places)]
        if turns == places:
            return out
        values = [raw["peak"], raw["start"]]
        inner = [[turn, value] for turn, value in zip(turns, values, strict=False)]
        points = [[0, raw["start"]], *inner, [steps, raw["end"]]]
        shape = raw.get("shape", "cosine")
        return {"kind": "piecewise", "points": points, "interpolation": shape}

    def check(self) -> None:
        """Refuse a way up and back that leaves no room for the third phase."""
        if self.three_phase and self.up >= 0.5:
            raise wrong("up", "must be below a half for three phases", self.up, "< 0.5")

    def expansion(self) -> Definition:
        """Return the piecewise curve through the corners."""
        turn = self.up * self.steps
        points = [(0.0, self.start), (turn, self.peak), (float(self.steps), self.end)]
        if self.three_phase:
            points.insert(2, (2 * turn, self.start))
        return Piecewise(points=tuple(points), interpolation=self.shape)


class Cyclic(Preset):
    """Up and down between two values for ever, with an amplitude that may shrink."""

    about = About(
        formula="low + (high − low) · w(t) · a(t): w rises from 0 to 1 in `up` steps, falls in "
        "`down`; a is 1 (`constant`), 2^−cycle (`halving`) or gamma^t (`exponential`)",
        after="it has no end",
        example={"kind": "cyclic", "low": 0.01, "high": 0.1, "up": 2000, "down": 2000},
        names={
            "fairseq": "triangular",
            "ignite": "LinearCyclicalScheduler",
            "paddle": "CyclicLR",
            "torch": "CyclicLR (triangular, triangular2, exp_range)",
        },
        shown=10000,
    )
    lengths = ("up", "down")
    culprit = "high"
    recurring = True

    kind: Literal["cyclic"] = "cyclic"
    low: Annotated[Value, Field(description="the value at step 0")]
    high: Annotated[Value, Field(description="the value at the first turn")]
    up: Annotated[Length, Field(description="the length of the way from low to high")]
    down: Annotated[Length, Field(description="the length of the way back")]
    shape: Corner = "linear"
    amplitude: Annotated[
        Literal["constant", "halving", "exponential"],
        Field(description="whether high − low stays, halves with each cycle, or falls by gamma^t"),
    ] = "constant"
    gamma: Annotated[
        Share, Field(description="the factor of each step of the exponential amplitude")
    ] = 1.0

    def turn(self, number: int) -> float:
        """Return where a way up or down begins."""
        cycles, half = divmod(number, 2)
        return float(cycles * (self.up + self.down) + half * self.up)

    def check(self) -> None:
        """Refuse cycles that are longer than the axis."""
        if self.up + self.down > MAX_STEP:
            bound = f"up + down ≤ {MAX_STEP}"
            raise wrong("down", "makes the cycle too long", self.down, bound)

    def expansion(self) -> Definition:
        """Return the repeated triangle; a shrinking one stands on a constant."""
        if self.amplitude == "constant":
            return self._triangle(self.low, self.high)
        if self.amplitude == "halving":
            halving = self._triangle(0.0, self.high - self.low, peak_factor=0.5)
            return Sum(of=(Constant(value=self.low), halving))
        shrinking = Exponential(start=1.0, factor=self.gamma)
        wave = Product(of=(self._triangle(0.0, self.high - self.low), shrinking))
        return Sum(of=(Constant(value=self.low), wave))

    def _triangle(self, low: float, high: float, peak_factor: float = 1.0) -> Repeat:
        period = float(self.up + self.down)
        points = ((0.0, low), (float(self.up), high), (period, low))
        triangle = Piecewise(points=points, interpolation=self.shape)
        return Repeat(of=triangle, every=period, peak_factor=peak_factor)


class CosineRestarts(Preset):
    """A cosine that starts again and again, longer or shorter and lower if told so."""

    about = About(
        formula="end + (start · peak_factor^i − end) · (1 + cos(π · x))/2, x how far cycle i is, "
        "which is period · period_factor^i long",
        after="it has no end; after `cycles` cycles, `end`",
        example={
            "kind": "cosine_restarts",
            "start": 0.1,
            "end": 0.001,
            "period": 1000,
            "period_factor": 2,
        },
        names={
            "composer": "CosineAnnealingWarmRestartsScheduler",
            "fairseq": "cosine (t_mult)",
            "ignite": "CosineAnnealingScheduler (cycle_mult)",
            "keras": "CosineDecayRestarts",
            "mmengine": "CosineRestartParamScheduler",
            "optax": "sgdr_schedule",
            "paddle": "CosineAnnealingWarmRestarts",
            "timm": "CosineLRScheduler (cycle_mul, cycle_decay)",
            "torch": "CosineAnnealingWarmRestarts",
            "transformers": "get_cosine_with_hard_restarts_schedule_with_warmup",
        },
        shown=8000,
    )
    lengths = ("period",)
    culprit = "peak_factor"
    recurring = True

    kind: Literal["cosine_restarts"] = "cosine_restarts"
    start: Annotated[Value, Field(description="the value at the start of the first cycle")]
    end: Annotated[Value, Field(description="the value at the end of each cycle")]
    period: Annotated[Duration, Field(description="how long the first cycle takes")]
    period_factor: Annotated[
        Growth, Field(description="how many times as long as the one before it each cycle is")
    ] = 1.0
    peak_factor: Annotated[
        Factor, Field(description="what the start is multiplied by in each cycle")
    ] = 1.0
    cycles: Annotated[
        Count | None,
        Field(description="how many cycles there are; null for no end, unless they grow shorter"),
    ] = None

    def check(self) -> None:
        """Refuse periods that shrink to nothing, or of which too many would fit on the axis."""
        require_countable(self.period, self.period_factor, self.cycles)

    def turn(self, number: int) -> float:
        """Return where a cycle begins."""
        return cycle_start(self.period, self.period_factor, number, self.cycles)

    @property
    def turns(self) -> int | None:
        """The number of cycles."""
        return self.cycles

    def expansion(self) -> Definition:
        """Return the repeated cosine; if only the start shrinks, the sum of start's and end's."""
        if self.peak_factor == 1:
            return self._waves(self.start, self.end)
        falling = self._waves(self.start, 0.0, self.peak_factor)
        return falling if self.end == 0 else Sum(of=(falling, self._waves(0.0, self.end)))

    def _waves(self, start: float, end: float, peak_factor: float = 1.0) -> Repeat:
        if self.period.is_integer():
            wave: Cosine | Stretch = Cosine(start=start, end=end, steps=int(self.period))
        else:
            wave = Stretch(of=Cosine(start=start, end=end, steps=1), ratio=self.period)
        return Repeat(
            of=wave,
            every=self.period,
            period_factor=self.period_factor,
            peak_factor=peak_factor,
            cycles=self.cycles,
        )

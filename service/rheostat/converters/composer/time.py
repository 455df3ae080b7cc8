"""Composer's time strings, as batches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from rheostat.converters.case import STRICT, Case, Steps, refused
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.field_types import MAX_STEP

_TEXT = re.compile(r"\s*(\d[\d_]{0,20}(?:\.\d{0,20})?(?:[eE]\+?\d{1,2})?)\s*(ep|ba|sp|tok|dur)")
_FORMS = '"10ep", "500ba", "1000sp", "2e9tok" or "0.1dur"'
Length = Annotated[Steps, Field(gt=0)]


@dataclass(frozen=True)
class Time:
    """A time in one of Composer's units."""

    value: Fraction
    unit: str


class State(BaseModel):
    """What Composer's trainer knows of the training."""

    model_config = STRICT

    max_duration: str | None = None
    dataloader_len: Length | None = None
    batch_size: Length | None = None
    tokens_per_sample: Length | None = None
    scale_schedule_ratio: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True)
class Clock:
    """The training's own clock, by which its time strings become batches."""

    case: Case
    state: State

    @classmethod
    def of(cls, case: Case) -> Clock:
        """Return the clock of a case's context."""
        given = case.context.context or {}
        try:
            return cls(case, State.model_validate(given))
        except ValidationError as error:
            raise refused(*field_errors(error, given, "context")) from None

    def time(self, parameter: str, text: str, *, scaled: bool = True) -> Time:
        """Return a time in whole batches, samples or tokens, as Composer rounds it: down."""
        read = self._read(f"{self.case.field}.{parameter}", text)
        if read.unit == "dur":
            whole = self._max_duration()
            value = float(read.value) * float(whole.value)
            if whole.unit == "ep":
                whole = Time(whole.value * self._known("dataloader_len"), "ba")
                value = float(read.value) * float(whole.value)
            return Time(Fraction(int(value)), whole.unit)
        if read.unit == "ep":
            read = Time(read.value * self._known("dataloader_len"), "ba")
        if not scaled or self.state.scale_schedule_ratio == 1:
            return read
        return Time(Fraction(int(read.value * self.state.scale_schedule_ratio)), read.unit)

    def batches(self, parameter: str, text: str, *, scaled: bool = True) -> Fraction:
        """Return a time as batches, which need not be whole."""
        return self.in_batches(self.time(parameter, text, scaled=scaled))

    def in_batches(self, time: Time) -> Fraction:
        """Return batches, samples or tokens as batches."""
        value = time.value
        if time.unit == "tok":
            value /= self._known("tokens_per_sample")
        return value if time.unit == "ba" else value / self._known("batch_size")

    def unit(self, parameter: str, text: str) -> str:
        """Return the unit that a time is written in."""
        return self._read(f"{self.case.field}.{parameter}", text).unit

    def unit_of_training(self) -> str:
        """Return the unit that the training's length is written in."""
        return self._max_duration().unit

    def check_covers(self, parameter: str, time: Time) -> None:
        """Refuse a scheduler that ends before the training does, where Composer can tell."""
        whole = self._max_duration()
        if whole.unit == "ep" and self.state.dataloader_len is not None:
            whole = Time(whole.value * self.state.dataloader_len, "ba")
        if time.unit == whole.unit and time.value < whole.value:
            bound = f"≥ {self.state.max_duration}"
            text = f"{time.value}{time.unit}"
            raise self.case.wrong(parameter, "ends before the training does", text, bound)

    def _max_duration(self) -> Time:
        if self.state.max_duration is None:
            raise _missing("max_duration", f"a time: {_FORMS}")
        return self._read("context.max_duration", self.state.max_duration)

    def _known(self, name: str) -> int:
        value: int | None = getattr(self.state, name)
        if value is None:
            raise _missing(name, "≥ 1")
        return value

    def _read(self, field: str, text: str) -> Time:
        match = _TEXT.fullmatch(text)
        if match is None:
            raise refused(FieldError(field, f"must be a time: {_FORMS}", shown(text), _FORMS))
        value, unit = Fraction(match[1].replace("_", "")), match[2]
        if unit != "dur" and (value.denominator != 1 or value > MAX_STEP):
            bound = f"a whole number up to {MAX_STEP}"
            raise refused(FieldError(field, f"must be {bound}", shown(text), bound))
        return Time(value, unit)


def _missing(name: str, bound: str) -> Invalid:
    message = "is required to tell how many batches a time takes"
    return refused(FieldError(f"context.{name}", message, None, bound))

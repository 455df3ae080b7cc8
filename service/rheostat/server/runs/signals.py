"""
Signals: words that reach all ranks of a training at one step.

A signal is a revision that puts nothing in force, or comes with a stop or a pause. It takes effect
as a change does, at a step that was open, so what is said below the settled end never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_PENDING_SIGNALS, WORD
from rheostat.schedules.field_errors import shown
from rheostat.server.runs.spec import RunSpec
from rheostat.server.runs.surface import SignalForm
from rheostat.suggestions import did_you_mean

LONGEST_HEADER = 1_024
"""Bytes of a header that tells signals."""

TOO_MANY = "*"
"""The header that says that there are more signals than a header takes: JSON has them."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A word at a step: all ranks act on it just before the update of step ``at``."""

    at: int
    revision: int
    word: str
    arguments: Mapping[str, Any]
    told: bool = False
    """Whether a worker heard of it where reading ends or holds, so that it is not taken back."""

    def to_json(self) -> wire.Signal:
        """Return the wire form."""
        return {
            "at": self.at,
            "signal": self.word,
            "arguments": dict(self.arguments),
            "revision": self.revision,
        }


def signal_data(
    spec: RunSpec, word: str, arguments: Mapping[str, Any], within: str = ""
) -> dict[str, Any]:
    """
    Return what is stored of a signal: `data` of its revision has these members.

    ``within`` is the path of what the signal is part of, such as ``"signal."`` of a stop.

    Raises:
        Invalid: The run's training understands no such word, or the word takes no such arguments.

    """
    form = spec.signals.get(word)
    if form is None:
        _require_word(spec, word, within)
        form = SignalForm()
    wrong = [*_flaws(word, form, arguments, f"{within}arguments")]
    if wrong:
        raise Invalid("The signal is refused.", errors=wrong)
    return {"signal": word, "arguments": dict(arguments)}


def _require_word(spec: RunSpec, word: str, within: str) -> None:
    if spec.signals:
        bound = f"one of {', '.join(sorted(spec.signals))}"
        message = (
            f"the training does not understand {shown(word)!r}{did_you_mean(word, spec.signals)}"
        )
    elif re.fullmatch(WORD, word):
        return
    else:
        bound = "a word of a-z 0-9 -, a letter first, of at most 32 characters"
        message = f"must be {bound}"
    raise Invalid(message, errors=[FieldError(f"{within}signal", message, shown(word), bound)])


def _flaws(
    word: str, form: SignalForm, arguments: Mapping[str, Any], field: str
) -> Iterable[FieldError]:
    understood = f"one of {', '.join(form.arguments)}" if form.arguments else "no arguments"
    for name in sorted(arguments.keys() - form.arguments.keys())[:20]:
        message = f"{word} has no argument {shown(name)!r}"
        yield FieldError(f"{field}.{shown(name)}", message, shown(arguments[name]), understood)
    for name, argument in form.arguments.items():
        if name in arguments:
            value = arguments[name]
            if (bound := argument.refuses(value)) is not None:
                yield FieldError(f"{field}.{name}", f"must be {bound}", shown(value), bound)
        elif argument.required:
            yield FieldError(f"{field}.{name}", f"{word} needs it", None, "required")


def require_sayable(pending: Sequence[Signal], word: str, step: int, field: str = "signal") -> None:
    """Raise `Invalid` if a word is said at a step already, or too many wait for their steps."""
    for other in pending:
        if (other.word, other.at) == (word, step):
            message = f"revision {other.revision} says {word} at step {step} already"
            raise Invalid(message, errors=[FieldError(field, message, word, "once at a step")])
    if len(pending) >= MAX_PENDING_SIGNALS:
        message = f"{len(pending)} signals wait for their steps, and no more may"
        bound = f"<= {MAX_PENDING_SIGNALS}"
        raise Invalid(message, errors=[FieldError(field, message, len(pending) + 1, bound)])


def header(signals: Iterable[Signal]) -> str:
    """Return the header that tells signals: each step and revision, or `TOO_MANY`."""
    text = ",".join(f"{signal.at}#{signal.revision}" for signal in signals)
    return text if len(text) <= LONGEST_HEADER else TOO_MANY

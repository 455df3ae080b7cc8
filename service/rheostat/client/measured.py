"""What a training measured, as it can be sent, and what the service says of it, told once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rheostat.client import calls
from rheostat.client.outbox import Point
from rheostat.errors import RheostatError
from rheostat.saying import log

METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}", re.ASCII)


class Remarks:
    """What is said in the log, each thing once."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._said: set[tuple[str, ...]] = set()

    def once(self, key: tuple[str, ...], message: str, *values: Any) -> None:
        """Warn, unless this was said."""
        if key not in self._said and len(self._said) < 1000:
            self._said.add(key)
            log.warning(f"run %s: {message}", self._run, *values)

    def left_out(self, metric: Any, why: str) -> None:
        """Say that a metric is not sent."""
        self.once(("left out", f"{metric!s:.200}"), "%r is not reported: %s", metric, why)

    def refused(self, about: str, error: RheostatError) -> None:
        """Say that something was refused, and is not sent again."""
        key = type(error).__name__, about.partition(" of step")[0]
        self.once(key, "%s was refused, and is not sent again: %s", about, error)

    def dropped(self, name: str, many: int) -> None:
        """Say that there was no room, and again at each tenfold."""
        reached = 10 ** (len(str(many)) - 1)
        self.once(
            ("dropped", name, str(reached)), "no room: %d of %s so far were dropped", many, name
        )

    def read(self, answer: Mapping[str, Any]) -> None:
        """Say what is odd about reports that were taken."""
        for item in _objects(answer.get("differs")):
            metric = str(item.get("metric"))
            self.once(
                ("differs", metric),
                "%s of step %s was reported before, as %s; %s does not count. If ranks report"
                " their own shares, each needs a source= of its own",
                *(metric, item.get("step"), *_short(item.get("kept"), item.get("given"))),
            )
        for metric in _texts(answer.get("ignored")):
            self.left_out(metric, "the run has as many metrics as it may have")
        for item in _objects(answer.get("off_gate")):
            controller = str(item.get("controller"))
            self.once(
                ("off_gate", controller),
                "the controller %s has gates, and step %s is none: what it decides there lands"
                " where it can",
                *(controller, item.get("step")),
            )
        for sentence in _texts(answer.get("warnings")):
            self.once(("warning", sentence[:200]), "%s", sentence)
        for item in _objects(answer.get("decisions")):
            log.info("run %s: %s decided at step %s: %s", self._run, *_decision(item))


def points_of(
    generation: int, source: Any, step: Any, metrics: Mapping[Any, Any], remarks: Remarks
) -> tuple[Point, ...]:
    """
    Return what was measured as points; what is no number is left out.

    Raises:
        Invalid: These are no step, no source and no metrics.

    """
    at = calls.coordinate(step)
    if not METRIC.fullmatch(str(source)):
        raise calls.invalid("source", source, "1 to 128 of A-Z a-z 0-9 _ . / -")
    found = []
    for metric, value in calls.mapping(metrics, "metrics").items():
        if not METRIC.fullmatch(str(metric)):
            remarks.left_out(metric, "a name is 1 to 128 of A-Z a-z 0-9 _ . / -")
            continue
        number = _number(value)
        if number is None:
            remarks.left_out(metric, f"a {type(value).__name__} is no number")
        else:
            found.append(Point(generation, str(source), at, str(metric), number))
    return tuple(found)


def watched(answer: Mapping[str, Any]) -> list[str] | None:
    """Return the metrics that controllers read, if the answer to a report says so."""
    listed = answer.get("watched")
    return list(_texts(listed)) if isinstance(listed, list) else None


def _number(value: Any) -> float | str | None:
    """Return a number, by its name if it is not finite; None of what is none."""
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    try:
        if hasattr(value, "detach"):  # PyTorch warns of a loss that has a gradient
            value = value.detach()
        return calls.metric(value)
    except Exception:  # noqa: BLE001 - of a tensor of several numbers, or whatever it may be
        return None


def _short(*values: Any) -> list[str]:
    """Return two numbers as people read them, with as many digits as tell them apart."""
    told = [str(value) for value in values]
    if all(isinstance(value, float) for value in values):
        for digits in (6, 9, 12):
            shown = [f"{value:.{digits}g}" for value in values]
            if len(set(shown)) > 1:
                return shown
    return told


def _decision(item: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return item.get("controller"), item.get("step"), item.get("decision")


def _objects(listed: Any) -> Iterator[Mapping[str, Any]]:
    yield from (
        (item for item in listed if isinstance(item, Mapping)) if isinstance(listed, list) else ()
    )


def _texts(listed: Any) -> Iterator[str]:
    if isinstance(listed, list):
        yield from (item for item in listed if isinstance(item, str))

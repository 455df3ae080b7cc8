"""Checks of what workers said that they applied and saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.observations import Beat

Place = tuple[str, int, int, str]
"""A worker, and the generation, the step and the parameter of which it applied a value."""


def heard(evidence: Evidence) -> Iterator[str]:
    """P12: whoever says what it was given and applied is answered, and not asked any further."""
    for beat in evidence.log.beats:
        if beat.refusal is not None:
            yield f"{_said(beat)} was refused: {beat.refusal}"
        elif beat.answer is not None and beat.answer["compare"]:
            yield f"{_said(beat)} was asked to compare once more"


def named(evidence: Evidence) -> Iterator[str]:
    """P12, P4: who applied another value than it was given is named, with the step and both."""
    kept = {_place(item): item for item in evidence.history.mismatches}
    for beat in evidence.log.beats:
        if beat.other is None or beat.answer is None:
            continue
        place, served, found = _wrong(evidence, beat)
        item = kept.get(place)
        if item is None:
            yield f"{_said(beat)} applied {found} and not {served}: {place} is not named"
        elif float(item["expected"]) != served:
            yield f"{item} says that {item['expected']} was served, and it was {served}"


def no_false_alarm(evidence: Evidence) -> Iterator[str]:
    """P12: nobody is named, but for what it said that it applied, and each place once."""
    wrong: dict[Place, set[float]] = {}
    for beat in evidence.log.beats:
        if beat.other is not None:
            place, _, found = _wrong(evidence, beat)
            wrong.setdefault(place, set()).add(found)
    times = Counter(map(_place, evidence.history.mismatches))
    for item in evidence.history.mismatches:
        if float(item["found"]) not in wrong.get(_place(item), set()):
            yield f"{item} is kept, which nobody has applied"
        if times[_place(item)] > 1:
            yield f"{item} is kept {times[_place(item)]} times"


def saved_once(evidence: Evidence) -> Iterator[str]:
    """P4: what was acknowledged as saved is known, as it was said first."""
    kept = {_saved(item): item for item in evidence.history.checkpoints}
    if len(kept) != len(evidence.history.checkpoints):
        yield "a checkpoint is kept twice"
    said: dict[tuple[Any, ...], set[Any]] = {}
    for save in evidence.log.saves:
        key = _saved(save.request)
        said.setdefault(key, set()).add(save.request["uri"])
        if save.refusal is not None:
            yield f"{save.request} was refused: {save.refusal}"
        elif save.answer is not None and _kept(kept.get(key)) != _kept(save.answer):
            yield f"{save.answer} was acknowledged, and kept is {kept.get(key)}"
    for key, item in kept.items():
        if item["uri"] not in said.get(key, set()) and not _asked_for(evidence, item):
            yield f"{item} is kept, which nobody said"


def resumable(evidence: Evidence) -> Iterator[str]:
    """P6: a checkpoint is said to be resumable if it used no value but the line's."""
    generations = evidence.history.generations
    ends: dict[int, float] = {}
    reach = float("inf")
    for generation in evidence.history.line(max(generations)):
        ends[generation.number] = reach
        reach = min(reach, generation.start)
    for item in evidence.history.checkpoints:
        if item["on_line"] != (item["step"] <= ends.get(item["generation"], -1)):
            yield f"{item} lies {'on' if item['on_line'] else 'off'} the line, it says"


def _wrong(evidence: Evidence, beat: Beat) -> tuple[Place, float, float]:
    """Return where a worker applied another value, the one that it was given, and the other."""
    assert beat.other is not None
    parameter, cell, found = beat.other
    name = evidence.history.parameters[parameter]
    place = (beat.worker, beat.generation, beat.start + cell, name)
    return place, float(beat.values[parameter, cell]), found


def _place(item: Mapping[str, Any]) -> Place:
    return item["worker"], item["generation"], item["step"], item["parameter"]


def _saved(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return item["generation"], item["step"], item["tag"]


def _kept(item: Mapping[str, Any] | None) -> Any:
    return None if item is None else (item["uri"], item["source"], item["at"])


def _asked_for(evidence: Evidence, item: Mapping[str, Any]) -> bool:
    """Whether somebody said that a signal which asks for a checkpoint was done there."""
    return any(
        outcome.request["outcome"] == "done"
        and outcome.request["revision"] == item.get("revision")
        and outcome.request.get("step") == item["step"]
        for outcome in evidence.log.outcomes
    )


def _said(beat: Beat) -> str:
    stop = beat.start + beat.values.shape[1]
    return f"worker {beat.worker}, generation {beat.generation}, {beat.start} to {stop},"

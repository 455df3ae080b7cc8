"""What an operator told a training, in words for people: stops, pauses, signals, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rheostat.cli.views import text
from rheostat.cli.views.arrival import arrives
from rheostat.cli.views.revisions import bounds
from rheostat.cli.views.screen import Screen, left, wide

if TYPE_CHECKING:
    from rheostat import wire

    class Lifted(wire.Rewound):
        """A stop was lifted by a rewind."""

        pause: wire.Halted | None
        """What holds the run again, where that was asked for."""


def stopped(screen: Screen, answer: wire.Halted) -> None:
    """Say where a training ends."""
    step, number = text.count(answer["effective"]), answer["revision"]
    screen.line(f"Revision {number} ends the training at step {step}, the same on every worker.")
    arrives(screen, answer, "is there")


def paused(screen: Screen, answer: wire.Halted, run: str) -> None:
    """Say where a training holds, and how it goes on."""
    step, number = text.count(answer["effective"]), answer["revision"]
    screen.line(f"Revision {number} holds every worker at step {step}.")
    arrives(screen, answer, "is there")
    screen.line(f"  to go on:  rheostat run resume {run}")


def resumed(
    screen: Screen, answer: wire.Resumed, run: str, until: int | None, gone: str = ""
) -> None:
    """Say that waiting workers go on, and up to where; or, by ``gone``, that none is left."""
    goes_on = f"the pause is lifted, but {gone}" if gone else "the workers go on"
    screen.line(f"Revision {answer['revision']}: {goes_on}.")
    if answer["pause"] is not None and until is not None:
        _pauses_again(screen, answer["pause"], until, run)


def _pauses_again(screen: Screen, pause: int, step: int, run: str) -> None:
    screen.line(f"  Revision {pause} holds them again at step {text.count(step)}.")
    screen.line(f"  to go on:  rheostat run resume {run}")


def before_lifting(screen: Screen, run: wire.RunState, rewind: Mapping[str, Any]) -> None:
    """Say what lifting a stop does, to whoever is asked."""
    step = text.count(rewind["to"])
    screen.line(
        f"Run {run['name']} was stopped at step {step}, and workers have ended there. To go on, it"
        f" is rewound to that step, into generation {run['generation'] + 1}: nothing that was"
        " served is lost, changes and signals that wait for later steps are dropped, and workers"
        f" start again from their checkpoints of step {step}."
    )


def lifted(screen: Screen, answer: Lifted, run: str) -> None:
    """Say that a stop was lifted."""
    step, again = text.count(answer["from"]), answer["pause"]
    screen.line(
        f"The stop is lifted: generation {answer['generation']} goes on from step {step}. Start the"
        " workers again, from their checkpoints of that step."
    )
    if again is not None:
        _pauses_again(screen, again["revision"], again["effective"], run)


def taken_back(screen: Screen, answer: wire.Cancelled, step: int, gone: str = "") -> None:
    """Say that a stop was taken back before a worker ended by it; by ``gone``, none is left."""
    stop = f"Revision {answer['cancelled']}, the stop at step {text.count(step)}, is taken back"
    if gone:
        screen.line(f"{stop}: no worker had ended by it. But {gone}.")
    else:
        screen.line(f"{stop}: no worker had ended there, and they go on by themselves.")


def signalled(screen: Screen, answer: wire.Signalled, word: str) -> None:
    """Say where workers are told a word."""
    step, number = text.count(answer["effective"]), answer["revision"]
    screen.line(f"Revision {number} tells every worker `{word}` before the update of step {step}.")
    arrives(screen, answer, "hears it")


def noted(screen: Screen, answer: Mapping[str, Any]) -> None:
    """Say that a note was left."""
    screen.line(
        f"Noted, as revision {answer['revision']}, at step {text.count(answer['effective'])}."
    )


def surface(screen: Screen, answer: wire.Surface) -> None:
    """Draw what a run understands: parameters, signals, metrics and controllers."""
    goal = answer["goal"]
    screen.pairs(
        ("run", answer["name"]),
        *([("about", answer["about"])] if answer["about"] else []),
        *([("goal", _goal(goal))] if goal else []),
        ("metrics", ", ".join(answer["metrics"]) or "none was reported yet"),
        ("controllers", _controllers(answer["controllers"]) or "none is armed"),
    )
    screen.line()
    columns = [left("PARAMETER"), left("VALUE"), left("GUARD"), wide("WHAT IT IS")]
    screen.table(columns, (_parameter(*pair) for pair in sorted(answer["parameters"].items())))
    screen.line()
    if answer["any_signal"]:
        screen.line("The training declares no signals: any word may be sent, without arguments.")
        return
    columns = [left("SIGNAL"), wide("ARGUMENTS"), wide("WHAT IT DOES")]
    screen.table(columns, (_signal(*pair) for pair in sorted(answer["signals"].items())))


def _goal(goal: wire.RunGoal) -> str:
    target = goal.get("target")
    near = "" if target is None else f", to {text.short(target)}"
    return f"{goal['metric']} {goal.get('direction', 'min')}{near}"


def _controllers(found: Mapping[str, wire.SurfaceController]) -> str:
    return ", ".join(
        name if name == each["kind"] else f"{name} ({each['kind']})" for name, each in found.items()
    )


def _parameter(name: str, found: wire.SurfaceParameter) -> tuple[str, ...]:
    guard, about = found["guard"], found["description"]
    kept = ", ".join(f"{key} {text.short(x)}" for key, x in bounds(guard)) if guard else ""
    told = [about.get("text"), _per(about.get("unit")), _each(about.get("takes_effect"))]
    return name, text.exact(found["value"]), kept, ", ".join(filter(None, told))


def _per(unit: str | None) -> str | None:
    return None if unit is None else f"in {unit}"


def _each(place: str | None) -> str | None:
    return None if place is None else f"takes effect at each {place}"


def _signal(name: str, found: wire.SurfaceSignal) -> tuple[str, ...]:
    schema = found["schema"]
    properties = schema.get("properties", {})
    needed = schema.get("required", [])
    words = [f"{key}={_argument(each)}" for key, each in properties.items()]
    shown = [
        word if key in needed else f"[{word}]" for key, word in zip(properties, words, strict=True)
    ]
    return name, " ".join(shown), found["text"]


def _argument(schema: Mapping[str, Any]) -> str:
    """Write what an argument may be."""
    if "enum" in schema:
        return "|".join(map(text.literal, schema["enum"]))
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    said = str(schema.get("type", "value"))
    if low is None and high is None:
        return said
    ends = ["" if end is None else text.literal(end) for end in (low, high)]
    return f"{said}({ends[0]}…{ends[1]})"

"""
The tools of agents: what one sees of runs, suggests and, as far as its token may, does.

They are calls of the client, with answers that are short enough to be read word by word. Nothing
here waits within a training, and nothing settles a value. Names, labels, messages and notes in the
answers are other people's text.

    tools = Tools(Client("http://rheostat:8000", token=…))
    tools.call("brief", {"run": "gpt-7b"})

An annotation says what an argument is for, and the docstring what the tool does: `server` tells
both to the agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, Literal, NamedTuple, ParamSpec

from rheostat.changes import EDITS
from rheostat.client.answers import understood
from rheostat.client.calls import invalid
from rheostat.errors import Forbidden
from rheostat.mcp.bounded import bounded, short, thinned

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client, Control

POINTS: Final = 60
"""Points of a curve, at most."""
CURVES, METRICS = 12, 4
"""Parameters and metrics whose curves are told, where none are named."""
LISTED: Final = 100
"""Runs and revisions that may be asked for at once."""
LONGEST_WAIT: Final = 60.0
"""Seconds that a call may wait: programs that agents run in give up soon after."""

OF_A_RUN: Final = (
    *("name", "id", "state", "axis", "total", "settled_until", "generation", "revision"),
    *("labels", "workers"),
)
OF_A_REVISION: Final = (
    *("revision", "kind", "generation", "effective", "state", "changes", "data", "author"),
    *("message", "cause", "created_at", "forced", "cancelled"),
)
"""What is told of a run in a list, and of a revision in a history."""

Answer = dict[str, Any]
How = ParamSpec("How")
Method = Callable[Concatenate["Tools", How], Answer]

Run = Annotated[str, "Name or id of a run, as list_runs tells it."]
Step = Annotated[int, "A step, in what the run counts (its axis), from 0."]
EDITING = "; ".join(
    f'{{"edit": "{row.name}", "{row.bare}": …}} ({row.usage}): {row.sentence}'
    for row in EDITS.values()
)
Changes = Annotated[
    dict[str, Any],
    'For each parameter an edit, a list of edits, or a number, which stands for a constant: {"lr":'
    f' {{"edit": "scale", "factor": 0.5}}}}. "lr/*" is lr and all of its groups. Edits: {EDITING}.',
]
Why = Annotated[str, "Why, in a sentence: it stands in the run's history."]
Effective = Annotated[
    int | Literal["next"],
    'The step from which it holds, or "next": the first that no worker was given.',
]
Until = Literal["report", "step", "revision", "proposal", "end"]


class Offer(NamedTuple):
    """A tool, and whom it is for."""

    function: Callable[..., Answer]
    may: str | None
    """What a token must be able to do, as `rheostat.wire.Access` says it; None: to look."""
    acts: bool
    """Whether it is offered only where changes are allowed."""


TOOLS: Final[dict[str, Offer]] = {}
"""All that there are, by name, in the order in which they are listed."""


def offered(may: str | None = None, *, acts: bool = False) -> Callable[[Method[How]], Method[How]]:
    """Make a method a tool."""

    def register(function: Method[How]) -> Method[How]:
        @wraps(function)
        def bound(self: Tools, /, *args: How.args, **kwargs: How.kwargs) -> Answer:
            if acts and not self.allow_changes:
                raise Forbidden(f"{function.__name__}: changes are not allowed here")
            return bounded(function(self, *args, **kwargs))

        TOOLS[function.__name__] = Offer(bound, may, acts)
        return bound

    return register


class Tools:
    """
    What an agent does with the runs of a service.

    Each method returns JSON of at most `rheostat.mcp.bounded.MOST` bytes, and raises what the
    client raises: a `RheostatError`.

    Args:
        client: Who asks. Its ``timeout`` bounds each call but those of `wait`.
        allow_changes: Whether there are tools that do more than look, suggest and leave notes.

    """

    def __init__(self, client: Client, *, allow_changes: bool = False) -> None:
        self.client = client
        self.allow_changes = allow_changes

    def names(self) -> list[str]:
        """
        Return the names of the tools that the client's token may use.

        Raises:
            Unauthenticated: There is no token, or none that is known.
            Unreachable: The service does not answer.

        """
        access = self.client.access()
        with understood("who asks"):
            may = {None, *access["may"]}
        return [
            name
            for name, offer in TOOLS.items()
            if offer.may in may and (self.allow_changes or not offer.acts)
        ]

    def call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """Return the answer of the tool of a name; raise `KeyError` if there is none."""
        return TOOLS[name].function(self, **arguments)

    @offered()
    def list_runs(
        self,
        selector: Annotated[str, 'Only runs with such labels: "team=nlp,!frozen".'] = "",
        limit: Annotated[int, "The most runs, 1 to 100."] = 20,
    ) -> Answer:
        """List runs by name: their state, where they are, and how many workers they have."""
        _require_within("limit", limit, LISTED)
        found = self.client.runs(selector=selector or None, limit=limit)
        with understood("the list of runs"):
            return {"runs": [_picked(run, OF_A_RUN) for run in found]}

    @offered()
    def brief(self, run: Run) -> Answer:
        """
        Tell of a run in 4 KB: begin here, and come back here after whatever was done.

        Its goal, the values now and at five steps ahead, the last ten changes with the metric
        before and after each, workers, what you may do and what your limit leaves.
        """
        return dict(self._control(run).brief())

    @offered()
    def curves(
        self,
        run: Run,
        start: Annotated[int | None, "First step; by default that of the run."] = None,
        stop: Annotated[int | None, "Step to end before; by default that of the plan."] = None,
        names: Annotated[
            list[str] | None, "Which parameters and metrics; by default 12 and 4 of them."
        ] = None,
    ) -> Answer:
        """
        Draw the plan and the metrics as numbers: at most 60 points each, of six digits.

        Values before settled_until were given to workers and never change; those after it are
        planned. Metrics are as they were reported: each at its own steps, thinned, the extremes
        kept.
        """
        control = self._control(run)
        plan = control.plan(start, stop, POINTS)
        surface = control.surface()
        with understood("the plan"):
            some = _some([*plan["parameters"]], names, CURVES)
            places = thinned(plan["steps"], POINTS)
            columns = plan["parameters"]
            metrics = _some(_watched(surface), names, METRICS)
            return {
                "axis": plan["axis"],
                "settled_until": plan["settled_until"],
                "steps": [plan["steps"][at] for at in places],
                "parameters": {name: short(columns[name][at] for at in places) for name in some},
                "more_parameters": len(columns) - len(some),
                "metrics": {name: _reports(control, name, start, stop) for name in metrics},
                "more_metrics": len(surface["metrics"]) - len(metrics),
            }

    @offered()
    def explain(self, run: Run, step: Step) -> Answer:
        """Say of each parameter its exact value at a step, and which revision gives it, and why."""
        return dict(self._control(run).explain(step))

    @offered()
    def history(
        self, run: Run, last: Annotated[int, "How many of the newest revisions, 1 to 100."] = 10
    ) -> Answer:
        """Tell what was done to a run, the newest first: changes, stops, notes, by whom and why."""
        _require_within("last", last, LISTED)
        found = self._control(run).history(last=last)
        with understood("the history of the run"):
            return {"revisions": [_picked(each, OF_A_REVISION) for each in reversed(found)]}

    @offered()
    def workers(self, run: Run) -> Answer:
        """Say who trains: where first and last are, steps a second, who is silent or wrong."""
        return {**self._control(run).workers(limit=20), "next": None}

    @offered()
    def preview_change(self, run: Run, changes: Changes, effective: Effective = "next") -> Answer:
        """
        Try a change, and change nothing: both curves, at most 60 points, of what would differ.

        Always do this before you propose or make a change. It is refused just as the change would
        be by the run's guards.
        """
        why = "a preview"  # which is kept nowhere
        tried = self._control(run).change(changes, effective=effective, message=why, dry_run=True)
        with understood("the rehearsal"):
            before, after = tried["before"], tried["after"]
            differing = [name for name in before if before[name] != after[name]]
            some, places = differing[:CURVES], thinned(tried["steps"], POINTS)
            return {
                "effective": tried["effective"],
                "warnings": tried["warnings"],
                "steps": [tried["steps"][at] for at in places],
                "before": {name: short(before[name][at] for at in places) for name in some},
                "after": {name: short(after[name][at] for at in places) for name in some},
                "more_parameters": len(differing) - len(some),
            }

    @offered("propose")
    def propose_change(
        self, run: Run, changes: Changes, why: Why, effective: Effective = "next"
    ) -> Answer:
        """
        Suggest a change. It does nothing until a person accepts it; wait for "proposal" tells.

        The answer has its number, ``proposal``.
        """
        _require_reason(why)
        body = {"changes": changes, "effective": effective, "message": why}
        return dict(self._control(run).propose("change", body))

    @offered("note")
    def note(self, run: Run, text: Annotated[str, "What is to be known."]) -> Answer:
        """Leave a note in the history and the charts of a run, where it is now."""
        return dict(self._control(run).note(text))

    @offered()
    def wait(
        self,
        run: Run,
        until: Annotated[
            Until,
            "What to wait for: the next report of a metric, that the last worker is past a step,"
            " that all workers came to a revision, that a proposal was decided, the run's end.",
        ],
        number: Annotated[
            int | None, "Which step, revision or proposal; of a report, the newest you know."
        ] = None,
        timeout: Annotated[float, "Seconds, 0 to 60."] = 30,
    ) -> Answer:
        """
        Wait for something of a run: held says that it came, over that it cannot any more.

        It is you who waits; the training never waits for you.
        """
        if not 0 <= timeout <= LONGEST_WAIT:
            raise invalid("timeout", timeout, "from 0 to 60 seconds")
        return dict(self._control(run).wait_until(until, number, timeout=timeout))

    @offered("change", acts=True)
    def change(
        self,
        run: Run,
        changes: Changes,
        why: Why,
        effective: Effective = "next",
        expected_revision: Annotated[
            int | None, "Refuse it if the run has moved on from this revision."
        ] = None,
    ) -> Answer:
        """
        Change parameters at one step, the same on every worker. Preview it first.

        If your limit or a guard refuses it, do not split it up: propose it.
        """
        _require_reason(why)
        control = self._control(run)
        expected: Any = {"expected_revision": expected_revision}
        return dict(control.change(changes, effective=effective, message=why, **expected))

    @offered("pause", acts=True)
    def pause(self, run: Run, why: Why, effective: Effective = "next") -> Answer:
        """Hold all workers at one step until a person resumes the run: it costs time alone."""
        _require_reason(why)
        return dict(self._control(run).pause(effective=effective, message=why))

    @offered("stop", acts=True)
    def stop(self, run: Run, why: Why, effective: Effective = "next") -> Answer:
        """End the training at one step, the same on every worker. Rather pause, if in doubt."""
        _require_reason(why)
        return dict(self._control(run).stop(effective=effective, message=why))

    @offered("signal", acts=True)
    def signal(
        self,
        run: Run,
        signal: Annotated[str, 'A word that the training understands, such as "checkpoint".'],
        why: Why,
        arguments: Annotated[dict[str, Any] | None, "What the word is told with."] = None,
        effective: Effective = "next",
    ) -> Answer:
        """Tell all workers a word at one step, such as to save a checkpoint."""
        _require_reason(why)
        control = self._control(run)
        told = control.signal(signal, effective=effective, message=why, arguments=arguments)
        return dict(told)

    def _control(self, run: str) -> Control:
        return self.client.control(run)


def _require_reason(why: str) -> None:
    if not why.strip():
        raise invalid("why", why, "a sentence that says why")


def _require_within(field: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise invalid(field, value, f"from 1 to {most}")


def _some(known: Sequence[str], names: Sequence[str] | None, most: int) -> list[str]:
    """Return those of the known names that are asked for, or the first ones."""
    return [*known[:most]] if names is None else [name for name in known if name in names]


def _watched(surface: wire.Surface) -> list[str]:
    """Return the metrics of a run: its goal's, those that controllers read, then the others."""
    goal = surface["goal"]
    first = [goal["metric"]] if goal else []
    first += [each["metric"] for each in surface["controllers"].values()]
    reported = surface["metrics"]
    return [*dict.fromkeys([*(each for each in first if each in reported), *reported])]


def _reports(control: Control, metric: str, start: int | None, stop: int | None) -> Answer:
    found = control.reports(metric, start=start, stop=stop, points=POINTS)
    places = thinned(found["steps"], POINTS)
    values = found["values"]
    return {
        "steps": [found["steps"][at] for at in places],
        "values": [
            value if isinstance(value, str) else float(f"{value:.6g}")
            for value in (values[at] for at in places)
        ],
    }


def _picked(found: Mapping[str, object], fields: Sequence[str]) -> Answer:
    return {field: found[field] for field in fields}

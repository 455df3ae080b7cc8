"""`rheostat run …`: make runs, look at them, and watch what happens to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from rheostat.cli import options, whole_runs, words
from rheostat.cli.results import Given, Result, asking, changing, pictured
from rheostat.cli.views import revisions, runs
from rheostat.limits import MAX_PICTURE_POINTS, USUAL_BLOCK
from rheostat.suggestions import did_you_mean

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client import Client

Status = Literal["live", "paused", "stuck", "ended", "stopped", "finished"]
"""`rheostat.wire.RunStatus` once more, since loading that takes a command twenty milliseconds."""
STATES = get_args(Status)
Sort = Literal["name", "created", "finished", "author"]
"""`rheostat.wire.RunSort`, likewise."""
SORTS = get_args(Sort)
LISTED = 100
"""Runs that are listed for people, unless they want more."""


def _status(text: str) -> str:
    return _one_of(STATES, "state of a run", text)


def _sort(text: str) -> str:
    return _one_of(SORTS, "order of runs", text)


def _one_of(words: tuple[str, ...], what: str, text: str) -> str:
    if text not in words:
        message = f"{text!r} is no {what}{did_you_mean(text, words)}: {', '.join(words)}"
        raise typer.BadParameter(message)
    return text


ParameterWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARAMETER DEFINITION",
        help="Such as `lr cosine start=1e-3 …`, commas between several; or lr=@FILE, lr=0.1; or"
        " @FILE alone, with what `rheostat convert --config` prints.",
        show_default=False,
    ),
]


@changing
def create(
    client: Client,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new run.")],
    parameters: ParameterWords = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A configuration file of another project, whose run is created.",
        ),
    ] = None,
    library: Annotated[
        str | None,
        typer.Option(
            metavar="LIBRARY",
            help="The project whose file it is.",
            show_default="told by its fields",
        ),
    ] = None,
    total: options.Total = None,
    axis: Annotated[
        str | None,
        typer.Option(metavar="AXIS", help="What a run counts.", show_default="step"),
    ] = None,
    resolution: Annotated[
        int | None,
        options.steps("Width of a cell of the grid.", metavar="STEPS", default="1"),
    ] = None,
    steps_per_epoch: options.StepsPerEpoch = None,
    max_block: Annotated[
        int | None,
        options.count(
            "Longest read of a worker.", metavar="CELLS", least=1, default=f"{USUAL_BLOCK:,}"
        ),
    ] = None,
    max_jump: Annotated[
        int | None,
        options.count(
            "Furthest read past what is settled.",
            metavar="CELLS",
            least=1,
            default=f"{USUAL_BLOCK:,}",
        ),
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARAMETER.BOUND=VALUE",
            help="A guard, such as lr.max=0.01 or lr.max_ratio=3; may be repeated. What lr and"
            " weight_decay must not fall below is 0, unless it says lr.min=null.",
        ),
    ] = None,
    label: options.Labels = None,
    paused: Annotated[
        bool, typer.Option("--paused", help="Have it wait at its first step until it is resumed.")
    ] = False,
    describe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARAMETER.WHAT=TEXT",
            help="A parameter's text, unit or takes_effect, such as lr.text='peak of AdamW'; may be"
            " repeated.",
        ),
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNAL.WHAT=VALUE",
            help="A signal that the training understands, such as checkpoint.text='save all ranks'"
            " or checkpoint.arguments.tag.type=string; may be repeated.",
        ),
    ] = None,
    controller: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME.WHAT=VALUE",
            help="A controller that is armed from the start, such as p.kind=plateau and"
            " p.metric=val_loss; may be repeated.",
        ),
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=VALUE",
            help="What the training is after: metric, direction (min or max) and target, such as"
            " metric=val_loss; may be repeated.",
        ),
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the run is about, for people.")
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="except=LIST",
            help="That what an operator does waits for another one's yes, except some acts, such as"
            " except=stop,pause,signal, or except=[] for none.",
        ),
    ] = None,
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="Succeed if the very same run exists already.")
    ] = False,
) -> Result:
    """
    Create a run: its parameters, each with its definition.

    \b
    rheostat run create gpt lr cosine start=3e-4 end=3e-5 steps=10000 , weight_decay 0.1
    rheostat run create gpt lr=@lr.json weight_decay=0.1 --total 10000 --guard lr.max=0.01
    rheostat run create gpt --config train.yaml --steps-per-epoch 1000

    What a file says holds: an option that contradicts it is refused.
    """
    given = {
        "axis": axis,
        "resolution": resolution,
        "total": total,
        "steps_per_epoch": steps_per_epoch,
        "max_block": max_block,
        "max_jump": max_jump,
        "guards": words.assignments(guard or ()) or None,
        "labels": words.labels(label or ()) or None,
        "paused": paused or None,
        "describe": words.descriptions(describe or ()) or None,
        "signals": words.assignments(signal or ()) or None,
        "controllers": words.assignments(controller or ()) or None,
        "goal": words.assignments(goal or ()) or None,
        "about": about,
        "protect": words.assignments(protect or ()) or None,
    }
    said: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    spec = _described(parameters or [], said, config, library)
    made = client.create_run(name, spec.pop("parameters"), exist_ok=exist_ok, **spec)
    return Result(made, runs.created)


def _described(
    phrases: list[str], said: dict[str, Any], config: Path | None, library: str | None
) -> dict[str, Any]:
    """Return the run that the words and options say, and maybe a file beside them."""
    if library is not None and config is None:
        raise typer.BadParameter("--library says whose file it is, and there is no --config")
    if config is None and len(phrases) == 1 and (phrases[0] == "-" or phrases[0].startswith("@")):
        return whole_runs.together(whole_runs.printed(phrases[0]), said, phrases[0])
    if phrases:
        said["parameters"] = words.parameters(phrases)
    if config is None:
        if not phrases:
            raise typer.BadParameter("say its parameters: NAME DEFINITION, @FILE, or --config FILE")
        return said
    lengths = said.get("total"), said.get("steps_per_epoch")
    run = whole_runs.converted(str(config), library, *lengths)
    return whole_runs.together(run, said, str(config))


@asking
def list_runs(
    client: Client,
    prefix: Annotated[
        str | None,
        typer.Argument(
            metavar="PREFIX",
            help="Only those whose names begin with this.",
            show_default="all",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar=f"<{'|'.join(STATES)}>",
            parser=_status,
            help="Only those in this state; may be repeated.",
            show_default="all",
        ),
    ] = None,
    selector: options.Selector = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only those with this in their names, in whatever case."),
    ] = None,
    created_by: Annotated[
        str | None,
        typer.Option("--author", metavar="NAME", help="Only those that this one created."),
    ] = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(
            metavar="TIME", parser=words.age, help="Only those created longer ago: 90d, 12h, 30m."
        ),
    ] = None,
    newer_than: Annotated[
        timedelta | None,
        typer.Option(metavar="TIME", parser=words.age, help="Only those created since then."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(metavar=f"<{'|'.join(SORTS)}>", parser=_sort, help="What they are sorted by."),
    ] = "name",
    descending: Annotated[
        bool, typer.Option("--desc", help="The last first: of those sorted by time, the newest.")
    ] = False,
    stuck: Annotated[bool, typer.Option("--stuck", help="The same as --state stuck.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="The most runs.",
            show_default=f"{LISTED} for people, all with --json",
        ),
    ] = None,
) -> Given:
    """
    List the runs, by name or as they are to be sorted.

    \b
    rheostat run list
    rheostat run list --state live --state stuck
    rheostat run list gpt- -l 'team=vision,stage in (pretrain,mid),!frozen'
    rheostat run list --state finished --older-than 90d --sort finished

    \b
    live      it goes on, or nobody has begun with it
    paused    it waits at a pause until it is resumed
    stuck     it had workers, all are gone, and none came to its total
    ended     it is settled up to its total, and nobody trains it any more
    stopped   it came to a stop
    finished  somebody closed it
    """
    states = [*(state or ()), *(["stuck"] if stuck else [])]
    wanted = {
        "selector": selector,
        "state": states,
        "prefix": prefix,
        "name": name,
        "author": created_by,
        "created_before": _ago(older_than),
        "created_after": _ago(newer_than),
    }
    order = {"sort": sort, "descending": descending}
    return _Listed(client, wanted, order, limit)


def _ago(age: timedelta | None) -> str | None:
    return None if age is None else (datetime.now(UTC) - age).isoformat()


class _Listed:
    """Runs, as many as somebody looks at, or all of them for a program."""

    def __init__(
        self, client: Client, wanted: dict[str, Any], order: dict[str, Any], limit: int | None
    ) -> None:
        self._client, self._wanted, self._limit = client, wanted, limit
        self._asked = {**wanted, **order}

    def give(self, *, as_json: bool) -> None:
        """Print them."""
        if as_json:
            Result(self._client.runs(**self._asked, limit=self._limit), runs.runs).give(
                as_json=True
            )
            return
        most = self._limit or LISTED
        found = self._client.runs(**self._asked, limit=most + 1)
        chosen = any(self._wanted.values())
        Result(found, runs.runs, most=most, chosen=chosen).give(as_json=False)


@asking
def show(client: Client, run: options.Run) -> Result:
    """
    Show a run: where it is, its values there, what is pending.

    \b
    rheostat run show gpt
    """
    state = client.control(run).show()
    return Result(state, runs.run, origin=_origin(client, state))


@asking
def plan(
    client: Client,
    run: options.Run,
    start: options.Start = 0,
    stop: options.Stop = None,
    points: Annotated[
        int, options.count("The most points.", metavar="N", least=2, most=MAX_PICTURE_POINTS)
    ] = 1000,
    height: options.Height = 10,
    log: options.Log = False,
    output: options.Picture = None,
) -> Result:
    """
    Draw the curves of a run, past and future, with its revisions.

    \b
    rheostat run plan gpt --start 5000 --stop 20000 -o plan.svg
    """
    found = client.control(run).plan(start, stop, points)
    if output is not None:
        return _picture(output, found, run, log=log)
    return Result(found, runs.plan, height=height, log=log)


@asking
def history(
    client: Client,
    run: options.Run,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Only revisions of this kind, such as change, stop, signal, control or note; may"
            " be repeated.",
            show_default="all",
        ),
    ] = None,
) -> Result:
    """
    List the revisions of a run, the oldest first: who changed what, where, when and why.

    \b
    rheostat run history gpt
    rheostat run history gpt --kind note

    The state says what became of each: in force on the way to the current generation, pending,
    cancelled, or dropped by a rewind. A forced one is shown with the guards of what it changed.
    """
    _require_kinds(kind or ())
    control = client.control(run)
    found = control.history()
    state = control.show()  # asked last, it knows the generation of every revision
    shown = [item for item in found if not kind or item["kind"] in kind]
    return Result(shown, revisions.history, found, run=state, origin=_origin(client, state))


def _require_kinds(said: Iterable[str]) -> None:
    from rheostat.wire import RevisionKind

    kinds = get_args(RevisionKind)
    for kind in said:
        if kind not in kinds:
            raise typer.BadParameter(f"{kind!r} is no kind of revision: one of {', '.join(kinds)}")


@asking
def explain(
    client: Client,
    run: options.Run,
    step: Annotated[
        int | None,
        typer.Argument(
            metavar="STEP",
            help="Where.",
            parser=words.steps,
            show_default="the next open step, or the last of a finished run",
        ),
    ] = None,
) -> Result:
    """
    Say why each parameter has its value at a step: revision, author, message, definition.

    \b
    rheostat run explain gpt 12000
    """
    control = client.control(run)
    state = control.show()
    at = _next_or_last(state) if step is None else step
    return Result(control.explain(at), runs.explanation, end=state["end"])


def _next_or_last(state: wire.RunState) -> int:
    settled, end = state["settled_until"], state["end"]
    return settled if end is None else max(0, min(settled, end - state["resolution"]))


def _origin(client: Client, state: wire.RunState) -> str | None:
    """Return the name of the run that this one was forked from, if it was."""
    parent = state["generations"][0].get("parent_run")
    return client.control(parent).show()["name"] if parent else None


def _picture(output: Path, plan: wire.Plan, title: str, *, log: bool) -> Result:
    import numpy as np

    from rheostat.curve_files import Annotations, LeftCurves, Mark, mark_label

    later = [item for item in plan["revisions"] if item["revision"] > 1]
    marks = tuple(Mark(item["from"], mark_label(item)) for item in later)
    left = tuple(
        LeftCurves(
            each["generation"],
            np.array(each["steps"], dtype=np.int64),
            {name: np.array(values) for name, values in each["parameters"].items()},
        )
        for each in plan["left"]
    )
    notes = Annotations(
        title=title, marks=marks, settled_until=plan["settled_until"], log=log, left=left
    )
    columns = {name: np.array(values) for name, values in sorted(plan["parameters"].items())}
    return pictured(output, plan["steps"], columns, notes)

"""
A run in the tracker that a training logs to: its values, and where each revision came into force.

TensorBoard, Weights & Biases and MLflow, and what Lightning has in front of them. None is imported
here: what is handed over is asked what it can do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from inspect import ismodule
from typing import TYPE_CHECKING, Any, Protocol

from rheostat.adapters import require_run
from rheostat.errors import Finished, refusal
from rheostat.saying import log as log_of_rheostat
from rheostat.saying import sentence

if TYPE_CHECKING:
    from rheostat.client import Revision, Run

TAG = "rheostat"
NUMBER = "rheostat/revision"
MESSAGE = "rheostat/message"
KNOWN = (
    "a SummaryWriter of TensorBoard, wandb.init(), the module mlflow or mlflow.start_run(),"
    " a logger of Lightning, or a list of these"
)


def log(run: Run, writer: Any, *, every: int = 1) -> Log:
    """
    Have a tracker show a run: a sentence, and the number, where a revision comes into force.

    Nothing more has to be called for that, and ``run.on_change`` is called as before. For the
    curves of the run's parameters call `Log.write` at each step, as the loop logs its loss. Call
    this in the one process that logs. The adapters for Lightning and for transformers do all of it.

    Nothing here ends a training: what a tracker refuses is said in the log of ``rheostat``, once.

    >>> import rheostat
    >>> class Writer:
    ...     def add_scalar(self, tag, value, step): print(step, tag, value)
    ...     def add_text(self, tag, text, step): print(step, tag, text)
    >>> run = rheostat.Client("http://rheostat:8000").run("gpt-7b")
    >>> board = rheostat.log(run, Writer(), every=100)
    0 rheostat run gpt-7b...
    >>> for step in range(0, 200): board.write(step)
    0 rheostat/lr 0.0004
    0 rheostat/revision 1
    100 rheostat/lr 0.0004
    100 rheostat/revision 1

    Args:
        run: A run that was joined.
        writer: A ``SummaryWriter`` of TensorBoard, what ``wandb.init()`` returned, the module
            ``mlflow`` (its active run) or what ``mlflow.start_run()`` returned, a logger of
            Lightning, or a list of these.
        every: The steps between two points of the curves; a revision has its own.

    Raises:
        Invalid: This is no run, or no tracker that is known.

    """
    require_run(run)
    return Log(run, writer, every=every)


class Log:
    """
    A run that is logged, as `log` returns it.

    Args:
        run: The run.
        writer: As `log` takes it.
        every: The steps between two points of the curves.

    """

    def __init__(self, run: Run, writer: Any, *, every: int = 1) -> None:
        if every < 1:
            raise refusal("every", "must be at least 1", every, "≥ 1")
        writers = writer if isinstance(writer, list | tuple) else [writer]
        self._trackers = [tracker_of(each) for each in writers]
        self._run, self._every = run, every
        self._last: tuple[int, dict[str, float]] | None = None
        """The step that was asked for last, if it is not written: the one before a revision."""
        self._written = -1
        self._failed: set[str] = set()
        self._theirs: Callable[[Revision], object] | None = run.on_change
        run.on_change = self._came
        self._each(lambda tracker: tracker.begin(run))

    def write(self, step: int) -> None:
        """
        Write the values of a step that was read, if its turn has come: a look-up.

        Call it at each step: then the point before a revision is there as well, and the curve falls
        where the rate falls.
        """
        try:
            values, number = self._run.values(step), self._run.in_force(step)
        except Finished:
            return
        self._last = step, _named(values, number)
        if step % self._every == 0:
            self._write_last()

    def close(self) -> None:
        """Log no more: ``run.on_change`` is what it was."""
        if self._run.on_change == self._came:
            self._run.on_change = self._theirs

    def _came(self, revision: Revision) -> None:
        """Mark where a revision came into force, with the values on both sides of it."""
        step = revision.effective
        if self._last is not None and self._last[0] < step:
            self._write_last()
        self._each(lambda tracker: tracker.mark(revision.number, sentence(revision), step))
        self.write(step)
        self._write_last()
        if self._theirs is not None:
            self._theirs(revision)

    def _write_last(self) -> None:
        if self._last is None or self._last[0] == self._written:
            return
        step, numbers = self._last
        self._written = step
        self._each(lambda tracker: tracker.numbers(numbers, step))

    def _each(self, tell: Callable[[Tracker], object]) -> None:
        """Tell all trackers; what one refuses is said once, and is no end of a training."""
        for tracker in self._trackers:
            name = type(tracker).__name__
            try:
                tell(tracker)
            except Exception as error:  # noqa: BLE001 - other people's programs, and servers
                if name not in self._failed:
                    self._failed.add(name)
                    log_of_rheostat.warning("run %s: %s: %r", self._run.name, name, error)


def _named(values: Mapping[str, float], number: int | None) -> dict[str, float]:
    numbers = {f"{TAG}/{name}": value for name, value in values.items()}
    return numbers if number is None else {**numbers, NUMBER: number}


class Tracker(Protocol):
    """What shows a run: one for each program."""

    def begin(self, run: Run) -> None:
        """Say which run it is."""

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Write points of curves."""

    def mark(self, number: int, text: str, step: int) -> None:
        """Write what a revision is."""


class TensorBoard:
    """A ``SummaryWriter``: texts beside the curves."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def begin(self, run: Run) -> None:
        """Say which run it is."""
        self._writer.add_text(TAG, f"run {run.name} ({run.id})", 0)

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Write points of curves."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def mark(self, number: int, text: str, step: int) -> None:
        """Write what a revision is."""
        del number
        self._writer.add_text(TAG, text, step)


class WeightsAndBiases:
    """A run of Weights & Biases, at steps of the training."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def begin(self, run: Run) -> None:
        """Say which run it is."""
        self._run.config.update({TAG: run.id, f"{TAG}_run": run.name}, allow_val_change=True)

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Write points of curves."""
        self._run.log(dict(numbers), step=step)

    def mark(self, number: int, text: str, step: int) -> None:
        """Write what a revision is."""
        self._run.log({NUMBER: number, MESSAGE: text}, step=step)


class MLflow:
    """A run of MLflow: tags for what holds now, and its description for all revisions."""

    def __init__(self, client: Any, run_id: str) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415 - it is there, as its client is

        self._client, self._id, self._metric = client, run_id, Metric
        self._lines: list[str] | None = None
        """The description, unless the run has one of somebody else's."""

    def begin(self, run: Run) -> None:
        """Say which run it is."""
        tags = self._client.get_run(self._id).data.tags
        told = tags.get(DESCRIPTION, "")
        head = f"Rheostat run `{run.name}`"
        if not told or told.startswith(head):
            self._lines = told.splitlines() or [head, ""]
        self._client.set_tag(self._id, "rheostat.run", run.name)
        self._client.set_tag(self._id, "rheostat.id", run.id)

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Write points of curves."""
        now = int(1000 * time.time())
        metrics = [self._metric(name, value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def mark(self, number: int, text: str, step: int) -> None:
        """Write what a revision is."""
        del step
        self._client.set_tag(self._id, "rheostat.revision", str(number))
        if self._lines is not None:
            self._lines = [*self._lines[:2], *self._lines[2:][-MOST_LINES:], f"* {text}"]
            self._client.set_tag(self._id, DESCRIPTION, "\n".join(self._lines))


DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow shows as a run's description."""
MOST_LINES = 40
"""Revisions that a description has; a tag holds 5,000 characters."""


class Lightning:
    """A logger of Lightning: numbers go its way, and sentences to what is behind it."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._behind = _behind(logger)

    def begin(self, run: Run) -> None:
        """Say which run it is."""
        if self._behind is not None:
            self._behind.begin(run)

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Write points of curves."""
        self._logger.log_metrics(dict(numbers), step=step)

    def mark(self, number: int, text: str, step: int) -> None:
        """Write what a revision is."""
        if isinstance(self._behind, WeightsAndBiases):  # its rows have an axis of Lightning's
            self._logger.experiment.log({MESSAGE: text, "trainer/global_step": step})
        elif self._behind is not None:
            self._behind.mark(number, text, step)


def tracker_of(writer: Any) -> Tracker:
    """Return what shows a run in this; raise `Invalid` if it is nothing that is known."""
    if hasattr(writer, "log_metrics") and hasattr(writer, "experiment"):
        return Lightning(writer)
    found = _program(writer)
    if found is None:
        raise refusal("writer", f"must be {KNOWN}, and is {writer!r:.100}", f"{writer!r:.100}")
    return found


def _program(writer: Any) -> Tracker | None:
    if hasattr(writer, "add_scalar") and hasattr(writer, "add_text"):
        return TensorBoard(writer)
    package = (writer.__name__ if ismodule(writer) else type(writer).__module__).partition(".")[0]
    if package == "wandb":
        return WeightsAndBiases(_begun(writer.run, "wandb.init()") if ismodule(writer) else writer)
    if package == "mlflow":
        return _mlflow(writer)
    return None


def _mlflow(writer: Any) -> MLflow:
    """Return the tracker of a run of MLflow; of the module, the run that is active."""
    import mlflow  # noqa: PLC0415 - it is there, since something of it was handed over

    run = writer
    if ismodule(writer):
        run = _begun(mlflow.active_run(), "mlflow.start_run()")
    return MLflow(mlflow.MlflowClient(), run.info.run_id)


def _begun(run: Any, how: str) -> Any:
    if run is None:
        raise refusal("writer", f"has no run that is active: {how} comes first")
    return run


def _behind(logger: Any) -> Tracker | None:
    """Return what a logger of Lightning writes to, if it is one of those that are known."""
    experiment = logger.experiment
    if type(experiment).__name__ == "MlflowClient":
        return MLflow(experiment, logger.run_id)
    return _program(experiment)

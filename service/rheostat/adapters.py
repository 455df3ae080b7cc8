"""
One session under the adapters of all frameworks: what each of them does with its run.

It needs the client and no framework. An adapter knows its framework's counter, hooks and
checkpoints; which run that is, how it ends, what is reported and what a checkpoint holds is here.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.errors import Finished, StaleCheckpoint, refusal
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.client import Client, Run, Signal
    from rheostat.client.calls import OtherTotal
    from rheostat.wire import SlotType

STATE = ("run", "id", "generation", "step")
"""What a checkpoint must hold."""
CHECKPOINT = "checkpoint"
"""The signal that asks for one."""
PROVEN: Mapping[str, SlotType] = {"float32": "f32", "float64": "f64"}
"""The types of numbers that can be proven: what is rounded otherwise is not listed."""


class Position(NamedTuple):
    """What must be equal on all ranks: the run, its generation and the step."""

    run: str
    id: str
    generation: int
    step: int

    def __str__(self) -> str:
        return f"generation {self.generation} of run {self.run} ({self.id}) at step {self.step}"


class Session:
    """
    A training that follows a run: where it is, whether it has ended, and what it tells.

    Not for a loop of one's own, which asks the run itself (`Run.value`, `Run.steps`).

    Args:
        run: A run's name, ``"gpt"``: of the service at ``RHEOSTAT_URL`` or, where that is not set,
            of this machine's own server (`rheostat.local`). Or its address and name,
            ``"http://rheostat:8000/gpt"``, or a run that was joined.
        counts: What the adapter counts, in the words that a run's axis may be.
        total: How many of these the trainer is going to do, if it knows.
        ends: Where the trainer ends, if elsewhere, since it repeats what was trained.
        create: The body to create the run with, where ``run`` is no run yet. Its ``"total"`` may be
            ``"trainer"``.
        other_total: What to do where the run is there, with another total: see `Client.run`.

    Attributes:
        run: The run.

    Raises:
        Invalid: An argument cannot be meant, or the run counts something else than the trainer.
        RheostatError: As `Client.run` raises.

    """

    def __init__(
        self,
        run: Run | str,
        *,
        counts: str = "step",
        total: int | None = None,
        ends: int | None = None,
        create: Mapping[str, Any] | None = None,
        other_total: OtherTotal = "refuse",
    ) -> None:
        self.run = joined(run, total=total, create=create, other_total=other_total)
        self._owns = isinstance(run, str)
        self._ended = False
        self._last: dict[str, float] = {}
        require_axis(self.run, counts)
        warn_of_total(self.run, total if ends is None else ends)

    def begin(self, step: int) -> None:
        """Say at which step the training begins, if it has no checkpoint of this run."""
        if step > 0:
            self.run.begin(step)
        self.run.listen(step)

    def at(self, step: int) -> dict[str, float]:
        """Return the values of a step, waiting for them; past an end, those that came last."""
        try:
            self._last = self.run.values(step)
            self._ended = False
        except Finished:
            self._ended = True
        return self._last

    def ended(self, step: int, *, waits: bool = False) -> bool:
        """
        Return whether the training ends before a step: its run was stopped, or finished.

        At a gate that may depend on a report that is still to be made, of the model as it is now:
        then the answer is False, on all ranks, unless one ``waits`` for it.
        """
        try:
            if waits:
                self.run.value(self.run.parameters[0], step)
            else:
                self.run.left_open(step)
            self._ended = False
        except Finished:
            self._ended = True
        return self._ended

    @property
    def is_past_end(self) -> bool:
        """Whether the step that was asked for last lies past the run's end."""
        return self._ended

    def signals(self, step: int) -> tuple[Signal, ...]:
        """Return the words that all ranks are told at a step, each once."""
        return self.run.signals(step)

    def report(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Report those metrics that are numbers; what a framework logs beside them is left out."""
        numbers = {name: number(value) for name, value in metrics.items()}
        found = {name: value for name, value in numbers.items() if value is not None}
        if found:
            self.run.report(step, found)

    def state(self, step: int) -> dict[str, Any]:
        """Return what a checkpoint must hold, to be resumed at a step."""
        return saved(self.run, step)

    def resume(self, state: Mapping[str, Any], saved_by: str = "an adapter of Rheostat") -> int:
        """
        Join the generation of a checkpoint, and return its step.

        Raises:
            StaleCheckpoint: The run was rewound to before it, or is another one.
            Invalid: It is none.

        """
        step = rejoin(self.run, state, saved_by)
        self.run.listen(step)
        self._ended = False
        return step

    def close(self) -> None:
        """Send what is left to be told, and close the client that was made here."""
        self.run.flush()
        if self._owns:
            self.run.client.close()


def joined(
    run: Run | str,
    *,
    total: int | None = None,
    create: Mapping[str, Any] | None = None,
    other_total: OtherTotal = "refuse",
) -> Run:
    """
    Return the run itself, or join the one of this name, or of this address and name.

    A name alone is a run of the service at ``RHEOSTAT_URL``; where that is not set, of this
    machine's own server, as `rheostat.local` starts it. So one script serves both.

    Raises:
        Invalid: It is none of these, or what to create it with is none.
        RheostatError: As `Client.run` and `rheostat.local` raise.

    """
    if not isinstance(run, str):
        require_given(run, create)
        return run
    address, _, name = run.rpartition("/")
    body = None if create is None else with_total(create, total)
    client = client_of(address)
    try:
        return client.run(name, create=body, other_total=other_total)
    except BaseException:
        client.close()
        raise


def client_of(address: str) -> Client:
    """Return a client of the service there; without an address, of the one that is meant here."""
    if address:
        from rheostat.client import Client  # noqa: PLC0415 - a run that was joined has loaded it

        return Client(address)
    from rheostat.local_server import local  # noqa: PLC0415 - for whoever gives a name alone

    return local()


def with_total(create: Mapping[str, Any], total: int | None) -> dict[str, Any]:
    """Return a body to create a run with, whose total may be the trainer's."""
    from rheostat.client.calls import TRAINER  # noqa: PLC0415 - as `client_of` does, or has done

    if create.get("total") != TRAINER:
        return dict(create)
    if total is None:
        raise refusal("create.total", "is the trainer's, which does not know it", TRAINER)
    return {**create, "total": total}


def require_run(run: Any) -> None:
    """Refuse what is no run that was joined."""
    if not hasattr(run, "rejoin"):
        raise refusal("run", 'must be a run that was joined: rheostat.local().run("name")', run)


def require_given(run: Any, create: Any) -> None:
    """Refuse what is no run that was joined, and a body to create one that is."""
    require_run(run)
    if create is not None:
        raise refusal("create", "is for a run that is given by its name, and not joined yet")


def require_axis(run: Run, counts: str) -> None:
    """Refuse a run that counts something else than the trainer does."""
    if run.axis != counts:
        message = f"is on the axis {run.axis}, and this trainer counts in {counts}"
        raise refusal("run", message, run.axis, counts)


def warn_of_total(run: Run, total: int | None) -> None:
    """Say that the run ends elsewhere than the trainer is going to."""
    if total is not None and run.total is not None and run.total != total:
        log.warning(
            "run %s is planned for %s, and the trainer goes to %s: `rheostat run extend %s"
            " --total %s` makes both one",
            run.name,
            f"{run.total:,}",
            f"{total:,}",
            run.name,
            total,
        )


def position(run: Run, step: int) -> Position:
    """Return what must be equal on all ranks."""
    return Position(run.name, run.id, run.generation, step)


def saved(run: Run, step: int) -> dict[str, Any]:
    """Return the run's name and id, the generation and the step: what a resume must match."""
    return {"run": run.name, **run.checkpoint(step)}


def rejoin(run: Run, state: Any, saved_by: str) -> int:
    """
    Join the generation of a checkpoint, and return its step.

    Raises:
        StaleCheckpoint: The run was rewound to before it, or is another one.
        Invalid: It is none.

    """
    if not isinstance(state, Mapping):
        raise refusal("state_dict", f"must be a dictionary, and is {state!r:.100}", state)
    missing = [key for key in STATE if key not in state]
    if missing:
        message = f"has no {', '.join(missing)}: it was not saved by {saved_by}"
        raise refusal("state_dict", message, sorted(state))
    try:
        run.rejoin({key: state[key] for key in ("id", "generation", "step")})
    except StaleCheckpoint as error:
        if state["run"] == run.name:
            raise
        message = f"the state was saved with the run {state['run']!r}: {error.detail}"
        raise StaleCheckpoint(message, **error.members) from error
    return int(state["step"])


def needed(module: str, install: str) -> Any:
    """
    Import a framework, when an adapter of it is first used.

    Raises:
        ModuleNotFoundError: It is not installed; the error says what to install.

    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something of its own
        message = f"{module} is not installed, and this adapter is for it: {install}"
        raise ModuleNotFoundError(message, name=module) from None


def number(value: Any) -> float | None:
    """Return a metric as a number, whichever array of one it is; None for what is none."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # of an array of many, or of no number
        return None


def whole(value: Any, field: str) -> int:
    """Return an integer of any type; raise `Invalid` for other numbers, whole ones included."""
    try:
        return operator.index(value)
    except TypeError:
        raise refusal(field, f"must be an integer, and is {value!r}", value) from None

"""The numbers of a run for the state of an optax optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rheostat.adapters import PROVEN, Session, needed, whole
from rheostat.client.calls import coordinate
from rheostat.errors import AwaitingReport, Finished, Paused, refusal
from rheostat.optax.processes import join_together
from rheostat.optax.states import Place, dtype_of, named, places, replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from rheostat.client import Run, Signal
    from rheostat.client.calls import OtherTotal
    from rheostat.wire import SlotType


class Hyperparams:
    """
    The numbers of a run, for the state of an optimizer that was made with `inject_hyperparams`.

    Nothing of it is traced: the values go into the state as float32 scalars from outside of the
    jitted update, which therefore is compiled once. The counter is the training's own: ``step`` is
    the number of updates done.

    Where JAX has several processes, each makes one, and calls it alike: making it and `resume` are
    collective calls, so that all go on in one generation at one step, or all raise.

    Args:
        run: A run's name, of the service at ``RHEOSTAT_URL`` or else of this machine's own server
            (`rheostat.local`); its address and name, ``"http://rheostat:8000/gpt"``; or a run that
            was joined.
        fields: Which injected number each parameter is, ``{"lr": "learning_rate"}``; one that only
            a part of the state has, ``{"lr/head": "head/learning_rate"}`` for the label ``head`` of
            `optax.partition`.
        start: The step of the first update, if it is not resumed from a checkpoint of this.
        create: The body to create the run with, where ``run`` is no run that was joined.
        other_total: What to do where the run is there and has another total than ``create``, as
            when one trains longer: ``"refuse"``, ``"keep"``, or ``"extend"``, which takes an
            operator's token: see `Client.run`.
        total: How many updates the training does, if it knows: for ``"total": "trainer"`` in
            ``create``, and to warn where the run is planned for another number.

    Attributes:
        run: The run.

    Raises:
        Invalid: An argument cannot be meant, or the run has no such parameter.
        StepJump: The run was trained already, and not to ``start``.
        Conflict: The processes do not agree on run, generation and step, or one of them failed.
        RheostatError: As `Client.run` raises.

    """

    def __init__(
        self,
        run: Run | str,
        fields: Mapping[str, str],
        *,
        start: int = 0,
        create: Mapping[str, Any] | None = None,
        other_total: OtherTotal = "refuse",
        total: int | None = None,
    ) -> None:
        jax = needed("jax", "pip install optax")

        def attempt() -> tuple[Session, int]:
            first = coordinate(whole(start, "start"), "start")
            session = Session(run, total=total, create=create, other_total=other_total)
            _require_fields(fields, session.run)
            session.begin(first)
            return session, first

        self._session = join_together(attempt)
        self._fields = dict(fields)
        self._reports = jax.process_index() == 0
        self._places: list[Place] = []

    @property
    def run(self) -> Run:
        """The run."""
        return self._session.run

    def put(self, opt_state: Any, step: int) -> Any:
        """
        Return the state with the values of a step, to be handed to the jitted update.

        The rest of the state is shared with the one that was given, which stays what it is. It is
        a look-up, but where the service has to be waited for; past an end the last values stay.
        What was put is told to the service, which compares it with what it served.

        Args:
            opt_state: A state that `inject_hyperparams` made, anywhere within chains, partitions,
                `optax.MultiSteps` and other wrappers.
            step: The number of updates done: accumulated gradients and skipped updates do not
                count.

        Raises:
            Invalid: The state lacks one of the numbers, or has a schedule of its own there.
            RheostatError: As `Run.value` raises, but for `Finished`.

        """
        step = coordinate(whole(step, "step"), "step")
        values = self._session.at(step)
        if not values:
            raise refusal("step", f"lies past the end of run {self.run.name}", step)
        placed = {field: values[parameter] for parameter, field in self._fields.items()}
        opt_state = self.set(opt_state, placed)
        if not self._session.is_past_end:
            used = {parameter: values[parameter] for parameter in self._kinds}
            self.run.applied(step, used, dtypes=self._kinds)
        return opt_state

    def set(self, opt_state: Any, values: Mapping[str, Any]) -> Any:
        """
        Return the state with these numbers, by field; also within `jax.lax.scan`, of a row.

        Raises:
            Invalid: The state lacks one of them, or has a schedule of its own there.

        """
        for place in self._found(opt_state):
            given = {name: values[field] for name, field in place.fields.items() if field in values}
            opt_state = replaced(opt_state, place.path, given)
        return opt_state

    def block(self, step: int, n: int) -> dict[str, np.ndarray]:
        """
        Return the values of ``n`` steps by field, each a float32 array, for `jax.lax.scan`.

        They are of fewer steps where the run ends, or holds, before the last of them: ask
        `ended` then. All of them are settled by this, so that no change can touch them any more.

        Args:
            step: The first step.
            n: How many, at most as many as the run's ``max_block``.

        Raises:
            Invalid: These are no step and no number of steps.
            RheostatError: As `Run.block` raises, but for `Finished`.

        """
        import numpy as np  # noqa: PLC0415 - JAX has it

        step = coordinate(whole(step, "step"), "step")
        self._session.at(step)
        columns = {} if self._session.is_past_end else self._columns(step, whole(n, "n"))
        rows: dict[str, np.ndarray] = {
            field: np.asarray(columns.get(parameter, ()), np.float32)
            for parameter, field in self._fields.items()
        }
        kinds = dict.fromkeys(self._fields, PROVEN["float32"])
        for at, row in enumerate(zip(*(columns.get(name, ()) for name in kinds), strict=True)):
            self.run.applied(step + at, dict(zip(kinds, row, strict=True)), dtypes=kinds)
        return rows

    def _columns(self, step: int, n: int) -> dict[str, Iterable[float]]:
        """Return the values of the steps up to ``n`` of which the first is there."""
        width = self.run.resolution
        first = step - step % width
        cells = (step - first + n - 1) // width + 1
        while True:
            try:
                found = self.run.block(first, cells)
            except (Finished, Paused, AwaitingReport) as held:
                end = held.members.get("gate", held.members.get("end"))
                if not isinstance(end, int) or not step < end < first + cells * width:
                    raise
                cells, n = (end - first) // width, end - step
                continue
            places = [(each - first) // width for each in range(step, step + n)]
            return {name: [column[at] for at in places] for name, column in found.items()}

    def ended(self, step: int) -> bool:
        """
        Return whether the training ends before a step: its run was stopped, or finished.

        Ask before the update, and after the model was evaluated: at a pause or a gate this waits.
        """
        return self._session.ended(step, waits=True)

    def signals(self, step: int) -> tuple[Signal, ...]:
        """Return the words that all ranks are told at a step, each once: ask before its update."""
        return self._session.signals(step)

    def report(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Report what was measured after ``step`` updates, from the first process."""
        if self._reports:
            self._session.report(step, metrics)

    def state(self, step: int) -> dict[str, Any]:
        """Return what a checkpoint must hold, to be resumed at a step: words and integers."""
        return self._session.state(step)

    def resume(self, state: Mapping[str, Any]) -> int:
        """
        Join the generation of a checkpoint, and return its step: a collective call.

        Raises:
            StaleCheckpoint: The run was rewound to before it, or is another one.
            Invalid: This was saved by something else.
            Conflict: The processes have different checkpoints, or one of them failed.

        """

        def attempt() -> tuple[Session, int]:
            return self._session, self._session.resume(state, "rheostat.optax.Hyperparams")

        join_together(attempt)
        return int(state["step"])

    def close(self) -> None:
        """Send what is left to be told, and close the client that was made here, if one was."""
        self._session.close()

    def _found(self, opt_state: Any) -> list[Place]:
        """Return where the numbers are: looked for once, as states of one optimizer are alike."""
        if not self._places or any(named(opt_state, place) is None for place in self._places):
            self._places = places(opt_state, self._fields.values())
            self._kinds = self._proven(opt_state)
        return self._places

    def _proven(self, opt_state: Any) -> dict[str, SlotType]:
        """Return the types in which parameters are applied, of those that can be compared."""
        held: dict[str, set[str]] = {}
        for place in self._places:
            numbers = named(opt_state, place) or {}
            for name, field in place.fields.items():
                held.setdefault(field, set()).add(str(dtype_of(numbers[name])))
        return {
            parameter: PROVEN[kind]
            for parameter, field in self._fields.items()
            for kind in held[field]
            if len(held[field]) == 1 and kind in PROVEN
        }


def _require_fields(fields: Any, run: Run) -> None:
    """Refuse what is no mapping of the run's parameters."""
    if not hasattr(fields, "items") or not fields:
        raise refusal("fields", 'must say what each parameter is: {"lr": "learning_rate"}', fields)
    for parameter, field in fields.items():
        if parameter not in run.parameters:
            message = f"names {parameter!r}, and run {run.name} has {', '.join(run.parameters)}"
            raise refusal("fields", message, parameter)
        if not isinstance(field, str) or not field:
            raise refusal("fields", f"of {parameter} must be a name, and is {field!r}", field)
    if len(set(fields.values())) < len(fields):
        raise refusal("fields", "names one number for two parameters", dict(fields))

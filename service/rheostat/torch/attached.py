"""A run in a plain training loop: one line, and nothing to call afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from rheostat.adapters import Position, position, rejoin, saved, whole
from rheostat.client.calls import coordinate
from rheostat.errors import Finished, refusal
from rheostat.torch.hooks import LastHook, is_captured, makes_state, outside_of_graphs
from rheostat.torch.joining import checked, meet
from rheostat.torch.proof import OnMismatch, Proof
from rheostat.torch.ranks import on_all_ranks, require_one
from rheostat.torch.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torch.optim import Optimizer

    from rheostat.client import Run, Signal
    from rheostat.torch.fields import Fields

COUNTS = ("step", "samples", "tokens")
"""What an update is one of, or a fixed number of."""


def attach(  # noqa: PLR0913 - options, by their names alone
    optimizer: Optimizer,
    run: Run,
    *,
    fields: Fields | None = None,
    relative: bool = False,
    start: int = 0,
    by: int | None = None,
    process_group: Any = None,
    on_mismatch: OnMismatch = "warn",
) -> Attached:
    """
    Have each ``optimizer.step()`` use the run's values of its step, and count it.

    That is all of it: there is no ``scheduler.step()`` to forget, or to call twice. The values are
    written when the update is about to use them, whatever wrote into the groups before, and what it
    then uses is told to the service, which compares it with what it served. An update that
    `GradScaler` skips is not counted: its step comes again. Pauses and gates are waited for in
    ``optimizer.step()``, or where the loop asks `Attached.ended` or `Attached.signals` before.

    >>> import rheostat.torch
    >>> from rheostat import Client
    >>> handle = rheostat.torch.attach(optimizer, Client("http://rheostat:8000").run("gpt-7b"))
    >>> optimizer.step()
    >>> handle.step, optimizer.param_groups[0]["lr"]
    (1, 0.0004)

    Args:
        optimizer: Its groups are written to, and must fit the run's parameters (`Invalid`). What
            wraps an optimizer, such as Accelerate's, is taken for the one inside.
        run: A run that was joined: ``rheostat.local().run(name)``, or of any `Client`.
        fields: Which parameter goes into which field, as `RheostatLR` takes it.
        relative: Whether groups that share the learning rate keep the ratios that they began with,
            as `RheostatLR` does it.
        start: The step of the first update, which the run is told as the beginning of the training.
        by: How far each update goes on, where the run counts samples or tokens.
        process_group: The ranks that train together; the default group if it is initialised.
            Attaching and `Attached.load_state_dict` are collective calls in it, as for
            `RheostatLR`.
        on_mismatch: What happens if something else writes to the groups after that, such as a hook
            before the update: see `RheostatLR`.

    Raises:
        Invalid: An argument cannot be meant, or the groups do not fit the run's parameters.
        StepJump: The run was trained already, and not to ``start``.
        Conflict: The ranks do not agree on run, generation and step, or one of them failed.
        Unreachable: The service did not answer until the client's deadline.

    """
    handle = Attached(run, start, process_group)
    handle._begin(optimizer, by, fields, on_mismatch, relative=relative)  # noqa: SLF001 - made here
    return handle


class Attached:
    """
    An optimizer that follows a run, as `attach` returns it.

    Attributes:
        run: The run.

    """

    def __init__(self, run: Run, start: int, process_group: Any) -> None:
        self.run = run
        self._step, self._by = start, 1
        self._process_group = process_group
        self._ended, self._is_update = False, True
        self._skipped: Tensor | None = None
        """Whether the last update was skipped, where that is known to its own device alone."""

    def _begin(
        self,
        optimizer: Any,
        by: int | None,
        fields: Fields | None,
        on_mismatch: OnMismatch,
        *,
        relative: bool,
    ) -> None:
        def check() -> Optimizer:
            found = checked(optimizer, self.run)
            self._check(by)
            self._proof = Proof(self.run, on_mismatch)
            return found

        def begin() -> Position:
            if self._step > 0:
                self.run.begin(self._step)
            self._slots = Slots(inner, self.run, fields, elsewhere, relative=relative)
            return self._joined()

        elsewhere = meet(self.run, check, self._process_group)
        inner = checked(optimizer, self.run)
        require_one(on_all_ranks(begin, self._process_group))
        self.run.listen(self._step)
        self._writing = inner.register_step_pre_hook(outside_of_graphs(self._write))
        self._reading = ref(LastHook(inner, self._prove))
        self._counting = inner.register_step_post_hook(outside_of_graphs(self._count))

    def _check(self, by: int | None) -> None:
        axis = self.run.axis
        self._step = coordinate(whole(self._step, "start"), "start")
        if axis not in COUNTS:
            message = f"is on the axis {axis}, and updates are counted: take RheostatLR"
            raise refusal("run", message, axis, " or ".join(COUNTS))
        if by is not None:
            self._by = whole(by, "by")
        elif axis != "step":
            raise refusal("by", f"is needed, since the run counts {axis}: those of one update")
        if self._by < 1:
            raise refusal("by", "must be at least 1", by, "≥ 1")

    def _joined(self) -> Position:
        """See that there are values where the training goes on, but for a gate, or an end."""
        try:
            self.run.left_open(self._step)
        except Finished:
            self._ended = True
        return position(self.run, self._step)

    @property
    def step(self) -> int:
        """The step whose values the next update uses: updates done, where the run counts those."""
        if self._skipped is not None:
            skipped, self._skipped = self._skipped, None
            self._step -= self._by if skipped.item() else 0
        return self._step

    @property
    def ended(self) -> bool:
        """
        Whether the run has no value for the next update, since it was stopped or finished.

        Ask before the update, and after the model was evaluated: at a pause or a gate this waits.
        A loop that does not ask trains on with the last values; nothing is raised at an end.
        """
        self._values()
        return self._ended

    @property
    def ends_at(self) -> int | None:
        """The step at which the training ends, if that is known; until then it may change."""
        return self.run.ends_at

    def signals(self) -> tuple[Signal, ...]:
        """Return the words that all ranks are told at the next update, each once: ask before it."""
        return self.run.signals(self.step)

    @property
    def fields(self) -> list[dict[str, str]]:
        """Which parameter goes into which field, for each group: as ``fields=`` takes it."""
        return self._slots.fields

    def detach(self) -> None:
        """Follow the run no more; the groups keep their values."""
        for hook in (self._writing, self._reading(), self._counting):
            if hook is not None:
                hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """Return the run's name and id, the generation and the step: what a resume must match."""
        return saved(self.run, self.step)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """
        Resume at a checkpoint, also at one of `RheostatLR`: join its generation, at its step.

        A collective call in the process group; the optimizer is loaded before it or afterwards.

        Args:
            state_dict: What `state_dict` returned.

        Raises:
            StaleCheckpoint: The run was rewound to before the checkpoint, was deleted and made
                again, or is another one.
            Invalid: The state was saved by something else.
            Conflict: The ranks loaded different checkpoints, or one of them failed.
            Unreachable: The service did not answer until the client's deadline.

        """

        def load() -> Position:
            step = rejoin(self.run, state_dict, "rheostat.torch")
            self._step, self._skipped, self._ended = step, None, False
            return self._joined()

        require_one(on_all_ranks(load, self._process_group))
        self.run.listen(self._step)

    def _values(self) -> dict[str, float] | None:
        """Return the values of the next update, waiting for them; None past an end."""
        if self._ended:
            return None
        try:
            return self._slots.look_up(self.step)
        except Finished:
            self._ended = True
            return None

    def _write(self, optimizer: Optimizer, *_: Any) -> None:
        self._is_update = not makes_state(optimizer)
        if not self._is_update:
            return
        if is_captured():
            message = "is captured in a CUDA graph, whose replays count nothing: take RheostatLR"
            raise refusal("optimizer", message)
        values = self._values()
        if values is not None:
            self._slots.write(self._step, values)

    def _prove(self) -> None:
        if not self._ended:
            self._proof.take(self._slots)

    def _count(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._is_update:
            return
        # `GradScaler` leaves it to a fused optimizer to skip an update, and to count it as one.
        self._skipped = getattr(optimizer, "found_inf", None)
        self._step += self._by

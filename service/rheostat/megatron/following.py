"""One scheduler of Megatron-core that follows a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rheostat.adapters import Position, position, whole
from rheostat.errors import Finished, refusal
from rheostat.megatron.groups import Groups, uses_lr_mult
from rheostat.torch.proof import Proof
from rheostat.torch.ranks import on_all_ranks, require_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rheostat.megatron.installed import Installed

STATE = "rheostat"
"""Where the scheduler's checkpoint has the run's."""
COUNTERS = ("num_steps", "num_iters")
"""Where it has the samples that were trained on; the second in checkpoints of old."""
SKIPPED = False, None, None
"""What an optimizer of Megatron returns that did no update, as after an overflow."""


class Following:
    """
    What a scheduler does in place of its own methods.

    Attributes:
        ended: Whether the run has no value for the next update.

    """

    def __init__(self, scheduler: Any, installed: Installed) -> None:
        self.ended = self.is_open = False
        self._scheduler, self._installed = scheduler, installed
        self._session = installed.session
        self._held: Any = None
        self._process_group = installed.process_group
        require_one(on_all_ranks(self._begin, self._process_group))
        self.arrive()

    def _begin(self) -> Position:
        run = self._session.run
        own_step = self._installed.own("step")
        self._groups = Groups(self._scheduler, run, uses_lr_mult(own_step))
        self._proof = Proof(run, self._installed.on_mismatch)
        self._session.begin(self.step)
        return position(run, self.step)

    @property
    def step(self) -> int:
        """The samples that were trained on: the scheduler's own counter."""
        return int(self._scheduler.num_steps)

    def count(self, increment: int) -> None:
        """
        Take in that an update was done, of so many samples, and set the values of the next one.

        What stands in the groups now is what the update has used.
        """
        increment = whole(increment, "increment")
        if increment and self._groups.step == self.step and not (self.ended or self.is_open):
            self._proof.take(self._groups)
        self._scheduler.num_steps += increment
        self.arrive()

    def arrive(self, *, waits: bool = False) -> bool:
        """
        Set the values of the step that comes next; return whether there are some.

        At a gate, where they depend on a report of the model as it is now, the next update waits
        for it, and not this. Past the end no update is done.
        """
        run = self._session.run
        self._installed.go_on()
        self.ended = self.is_open = False
        try:
            if not waits and run.left_open(self.step) is not None:
                self.is_open = True
                self._hold()
                return False
            values = self._groups.look_up(self.step)
        except Finished:
            self.ended = True
            self._hold()
            self._listen()
            self._installed.end()
            return False
        self._installed.own("step")(self._scheduler, 0)  # for what the run has no parameter of
        self._groups.write(self.step, values)
        self._listen()
        return True

    def _listen(self) -> None:
        for signal in self._session.signals(self.step):
            self._installed.told(signal, self.step)

    def _hold(self) -> None:
        """
        Have the optimizer ask, before its next update, whether there is one to be done.

        Its ``step`` is on all ranks what follows the evaluation, outside of any collective call.
        """
        optimizer = self._scheduler.optimizer
        if self._held is not None and vars(optimizer).get("step") is self._held:
            return
        is_own, step = "step" in vars(optimizer), optimizer.step

        def held(*args: Any, **options: Any) -> Any:
            if vars(optimizer).get("step") is held:  # else something else has wrapped it since
                self.release()
            if (self.ended or self.is_open) and not self.arrive(waits=True):
                return SKIPPED
            return step(*args, **options)

        self._restored = (lambda: setattr(optimizer, "step", step)) if is_own else None
        self._held = optimizer.step = held

    def release(self) -> None:
        """Have the optimizer ask no more."""
        optimizer = self._scheduler.optimizer
        if self._held is None or vars(optimizer).get("step") is not self._held:
            return
        if self._restored is None:
            del optimizer.step
        else:
            self._restored()

    def state_dict(self) -> dict[str, Any]:
        """Return what Megatron's own returns, and the run's."""
        state = self._installed.own("state_dict")(self._scheduler)
        return {**state, STATE: self._session.state(self.step)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """
        Go on at the samples of a checkpoint, in its generation of the run.

        A checkpoint from before the run was followed has none: its training begins there.

        Raises:
            Invalid: The scheduler and the run were saved at two steps.
            Conflict: Ranks load different ones.
            StaleCheckpoint: The run was rewound to before it, or is another one.

        """
        require_one(on_all_ranks(lambda: self._load(state), self._process_group))
        self.arrive()

    def _load(self, state: Mapping[str, Any]) -> Position:
        step = next(int(state[name]) for name in COUNTERS if name in state)
        if STATE in state:
            own = self._session.resume(state[STATE], "rheostat.megatron")
            if own != step:
                message = f"the scheduler's counter is at {step}, and the run's step is {own}"
                raise refusal("state_dict", message, {"num_steps": step, "step": own})
        else:
            self._session.begin(step)
        self._scheduler.num_steps = step
        return position(self._session.run, step)

"""What becomes of what was read back before an update: it is listed, and what differs is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rheostat.errors import Overwritten, refusal
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.client import Run
    from rheostat.torch.slots import Overwriting, Slots

OnMismatch = Literal["warn", "raise"] | None
ON_MISMATCH = ("warn", "raise", None)


class Proof:
    """
    Lists what updates applied, for the service to compare it with what it served.

    Args:
        run: Whose values they are.
        on_mismatch: What comes of a slot that holds another number than was written into it.

    Raises:
        Invalid: ``on_mismatch`` is none of the three.

    """

    def __init__(self, run: Run, on_mismatch: OnMismatch) -> None:
        if on_mismatch not in ON_MISMATCH:
            bound = ", ".join(map(repr, ON_MISMATCH))
            raise refusal("on_mismatch", f"must be one of {bound}", on_mismatch, bound)
        self._run, self._on_mismatch = run, on_mismatch
        self._said: set[tuple[str, str]] = set()
        self._wrong: set[str] = set()

    def take(self, slots: Slots) -> None:
        """
        Read the slots just before an update, and list what they hold.

        Raises:
            Overwritten: One holds another number than was written (with ``"raise"``).

        """
        values, overwritten = slots.read()
        if self._on_mismatch is not None and (overwritten or self._wrong):
            self._look(slots, overwritten)
        self._run.applied(slots.step, values, dtypes=slots.dtypes)

    def _look(self, slots: Slots, overwritten: list[Overwriting]) -> None:
        """Tell at once which parameters cease to be right."""
        for each in overwritten:
            parameter = each.binding.parameter
            if parameter not in self._wrong:
                self._run.mismatch(slots.step, parameter, each.value, slots.dtypes[parameter])
        self._wrong = {each.binding.parameter for each in overwritten}
        for each in overwritten:
            error = _error(slots.step, each)
            if self._on_mismatch == "raise":
                raise error
            key = (each.binding.parameter, each.group)
            if key not in self._said:
                self._said.add(key)
                log.warning("run %s: %s", self._run.name, error)


def _error(step: int, overwritten: Overwriting) -> Overwritten:
    binding, group, written, found, _ = overwritten
    return Overwritten(binding.parameter, binding.field, group, step, written, found)

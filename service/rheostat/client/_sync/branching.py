# Made from _async/branching.py by unasync.py: edit that one, and run this.

"""Going back: what was saved, rewinds to it, and forks from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, overload

from rheostat.client import calls
from rheostat.client._sync.handle import Handle

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client.calls import Changes


class Branching(Handle):
    """The calls about the past of a run, and what branches from it."""

    def checkpoints(
        self, *, tag: str | None = None, generation: int | None = None
    ) -> list[wire.Checkpoint]:
        """
        Return what workers said that they saved: the newest generation first, and its last step.

        Args:
            tag: Only those that are called so.
            generation: Whose past ``on_line`` is about; by default the current one's.

        Raises:
            UnknownGeneration: The run has no such generation.

        """
        call = calls.get(self._path("checkpoints"), tag=tag, generation=generation)
        return self._session.ask_all(call)

    @overload
    def rewind(
        self,
        to: int,
        changes: Changes | None = None,
        *,
        from_generation: int | None = None,
        expected_generation: int | None = None,
        message: str = "",
        force: bool = False,
        dry_run: Literal[False] = False,
    ) -> wire.Rewound: ...

    @overload
    def rewind(
        self,
        to: int,
        changes: Changes | None = None,
        *,
        from_generation: int | None = None,
        expected_generation: int | None = None,
        message: str = "",
        force: bool = False,
        dry_run: Literal[True],
    ) -> wire.RewindRehearsal: ...

    @overload
    def rewind(
        self,
        to: int,
        changes: Changes | None = None,
        *,
        from_generation: int | None = None,
        expected_generation: int | None = None,
        message: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.Rewound | wire.RewindRehearsal: ...

    def rewind(
        self,
        to: int,
        changes: Changes | None = None,
        *,
        from_generation: int | None = None,
        expected_generation: int | None = None,
        message: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.Rewound | wire.RewindRehearsal:
        """
        Start a new generation at an earlier step; workers of the old one are fenced off.

        Args:
            to: The first step that is open again: that of the checkpoint which is resumed.
            changes: What to change at that step.
            from_generation: The generation to branch from; by default the current one.
            expected_generation: Refuse with `GenerationMismatch` if this is not the current one:
                of two watchdogs, one rewinds.
            message: Why, for the history.
            force: Break the guards of the run; the history records it.
            dry_run: Return what it would drop, and change nothing.

        Returns:
            The new generation, and where the old one ended; also ``checkpoint``, the last one that
            can be resumed there, and ``warnings``, if it is not one of this very step.

        Raises:
            GenerationMismatch: The run was rewound since ``expected_generation``.
            UnknownGeneration: There is none to branch from.
            GuardViolated: A parameter would jump, or leave its bounds.
            Invalid: The step is not settled, or a change is none.

        """
        body = {
            "to": to,
            "from_generation": from_generation,
            "expected_generation": expected_generation,
            "changes": changes,
            "message": message,
            "force": force,
        }
        call = calls.post(self._path("rewind"), body, dry_run=True if dry_run else None)
        return self._session.ask(call)

    @overload
    def fork(
        self,
        name: str,
        changes: Changes | None = None,
        *,
        step: int | None = None,
        generation: int | None = None,
        labels: Mapping[str, str] | None = None,
        message: str = "",
        force: bool = False,
        dry_run: Literal[False] = False,
    ) -> wire.Forked: ...

    @overload
    def fork(
        self,
        name: str,
        changes: Changes | None = None,
        *,
        step: int | None = None,
        generation: int | None = None,
        labels: Mapping[str, str] | None = None,
        message: str = "",
        force: bool = False,
        dry_run: Literal[True],
    ) -> wire.ForkRehearsal: ...

    @overload
    def fork(
        self,
        name: str,
        changes: Changes | None = None,
        *,
        step: int | None = None,
        generation: int | None = None,
        labels: Mapping[str, str] | None = None,
        message: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.Forked | wire.ForkRehearsal: ...

    def fork(  # noqa: PLR0913 - as the endpoint has
        self,
        name: str,
        changes: Changes | None = None,
        *,
        step: int | None = None,
        generation: int | None = None,
        labels: Mapping[str, str] | None = None,
        message: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> wire.Forked | wire.ForkRehearsal:
        """
        Make a new run that has this one's past, and return it. This one goes on undisturbed.

        Args:
            name: The name of the new run.
            changes: What to change where it leaves this one.
            step: Where it does; by default where the generation is settled to.
            generation: Whose past it has; by default the current one's.
            labels: The new run's labels.
            message: Why, for the new run's history.
            force: Break the guards; the history records it.
            dry_run: Return what it would not have of this one, and make nothing.

        Returns:
            The new run; also ``checkpoint``, the last one that can be resumed there, and
            ``warnings``, if it is not one of this very step.

        Raises:
            NameTaken: There is another run of this name.
            UnknownGeneration: This run has no such generation.
            GuardViolated: A parameter would jump, or leave its bounds.

        """
        body = {
            "name": name,
            "from": {"run": self._key, "generation": generation, "step": step},
            "changes": changes,
            "labels": labels,
            "message": message,
            "force": force,
        }
        call = calls.post(calls.path("runs"), body, dry_run=True if dry_run else None)
        return self._session.ask(call)

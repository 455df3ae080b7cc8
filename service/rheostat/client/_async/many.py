"""One change of many runs: rehearsed, looked at, and done."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

from rheostat.client import answers, calls
from rheostat.client.answers import understood

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client._async.session import AsyncSession
    from rheostat.client.calls import Call, Changes

HELD = 60.0
"""Seconds that the service may take for a thousand runs, each in a transaction of its own."""


class AsyncMany:
    """What an operator does to many runs at once; a client is one."""

    session: AsyncSession

    @overload
    async def change_runs(
        self,
        selector: str,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        force: bool = False,
        plan: str | None = None,
        dry_run: Literal[False] = False,
    ) -> wire.BulkChanged: ...

    @overload
    async def change_runs(
        self,
        selector: str,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        force: bool = False,
        plan: str | None = None,
        dry_run: Literal[True],
    ) -> wire.BulkRehearsal: ...

    async def change_runs(
        self,
        selector: str,
        changes: Changes,
        *,
        effective: int | Literal["next"] = "next",
        message: str = "",
        force: bool = False,
        plan: str | None = None,
        dry_run: bool = False,
    ) -> wire.BulkChanged | wire.BulkRehearsal:
        """
        Change all runs with some labels that are not finished, at most 1,000, each by itself.

        It is atomic for each run, and not for all of them: ``items`` says what became of each. A
        run that is protected gets a proposal.

        Args:
            selector: Which runs: ``"team=nlp,stage in (pretrain,mid),!frozen"``.
            changes: What to do to which parameter, as for `change` of one run.
            effective: The step, or ``"next"``: of each run the first that no worker was given.
            message: Why, for the histories.
            force: Break the guards of the runs; the histories record it.
            plan: That of a rehearsal: exactly its runs are changed, unless they have moved on. By
                default they are those that have the labels now. The same call once more changes no
                run twice, and says again what became of each.
            dry_run: Return what would become of each run, and the plan; and change nothing.

        Raises:
            Invalid: The selector or a change is none, or there are more runs; or the plan is not
                known, or not any more.
            Unavailable: Some runs could not be asked until the client's ``deadline``: the same call
                with the same plan goes on.

        """
        body: dict[str, Any] = {
            "selector": selector,
            "changes": changes,
            "effective": effective,
            "message": message,
            "force": force,
        }
        where = calls.path("revisions")
        if dry_run or plan is None:
            call = replace(calls.post(where, body, dry_run=True), holds=HELD)
            tried: wire.BulkRehearsal = await self._ask(call)
            if dry_run:
                return tried
            with understood("the plan"):
                plan = tried["plan"]
        done = calls.post(where, {**body, "plan": plan})
        key = hashlib.sha256(done.content or b"").hexdigest()  # the same again is the same request
        headers = {**done.headers, "Idempotency-Key": f"change {key}"}
        changed: wire.BulkChanged = await self._ask(replace(done, headers=headers, holds=HELD))
        return changed

    async def _ask(self, call: Call) -> Any:
        patience = self.session.settings.for_many(call)
        return await self.session.exchange(call, patience, answers.document)

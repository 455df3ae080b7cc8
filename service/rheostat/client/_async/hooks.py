"""Webhooks: who is told of events of runs, by a client of an admin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rheostat.client import calls
from rheostat.client._async.session import AsyncSession

if TYPE_CHECKING:
    from rheostat import wire


class AsyncHooks:
    """Webhooks: each has a name, a URL, and events of the runs that its selector means."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def set(
        self,
        name: str,
        url: str,
        events: Sequence[wire.HookEvent],
        *,
        selector: str = "",
        format: wire.HookFormat = "standard",  # noqa: A002 - as the service calls it
        secret: str | None = None,
        renew: bool = False,
    ) -> wire.SetHook:
        """
        Have somebody told of events of runs from now on, and return the hook.

        Args:
            name: What it is called; one that is there is set anew, and keeps its secret.
            url: Where messages go.
            events: Such as ``["stopped", "mismatch", "silent"]``.
            selector: Of which runs, such as ``"team=nlp,!frozen"``; by default of all.
            format: ``"standard"``, signed as Standard Webhooks 1.0 says, or ``"slack"``.
            secret: What messages are signed with; one is made by default, which the answer alone
                has, as ``secret``.
            renew: Make another secret; for a day messages are signed with the one before, too.

        Raises:
            Invalid: The URL, or another field, cannot be meant; ``errors`` names it.

        """
        body: dict[str, Any] = {"url": url, "events": [*events], "selector": selector}
        body |= {"format": format, "secret": secret, "renew": renew}
        return await self._session.ask(calls.put(calls.path("hooks", name), body))

    async def get(self, name: str) -> wire.Hook:
        """
        Return a hook, and how it does, without its secret.

        Raises:
            UnknownHook: There is none of this name.

        """
        return await self._session.ask(calls.get(calls.path("hooks", name)))

    async def remove(self, name: str) -> None:
        """
        Remove a hook, and all messages to it.

        Raises:
            UnknownHook: There is none of this name.

        """
        await self._session.tell(calls.delete(calls.path("hooks", name)))

    async def test(self, name: str) -> wire.HookTrial:
        """
        Send a hook a message for a trial, and return what came of it.

        Raises:
            UnknownHook: There is none of this name.

        """
        return await self._session.ask(calls.post(calls.path("hooks", name, "test"), {}))

    async def deliveries(
        self, name: str, *, state: wire.DeliveryState | None = None, limit: int | None = 100
    ) -> list[wire.Delivery]:
        """
        Return messages to a hook, the newest first.

        Args:
            name: The hook.
            state: Only those that are ``waiting``, ``delivered``, ``failed`` or ``dropped``.
            limit: The most of them; None for all that are kept.

        Raises:
            UnknownHook: There is none of this name.

        """
        call = calls.get(calls.path("hooks", name, "deliveries"), state=state)
        return await self._session.ask_all(call, most=limit)

    async def retry(self, name: str, number: int) -> wire.Delivery:
        """
        Send a message again, at once, and return it.

        Raises:
            UnknownHook, UnknownDelivery: There is no such hook, or no such message of it.
            Conflict: The hook is disabled.

        """
        where = calls.path("hooks", name, "deliveries", number, "retry")
        return await self._session.ask(calls.post(where, {}))

    # last, since its name stands for the type in what comes before
    async def list(self) -> list[wire.Hook]:
        """Return the hooks, by name, and how each does."""
        return await self._session.ask_all(calls.get(calls.path("hooks")))

"""Hooks: who is told of which events of which runs, as they are asked for and as they are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_URI
from rheostat.server.docstrings import Documented
from rheostat.server.hooks import signing, targets
from rheostat.server.hooks.targets import Networks, Target
from rheostat.server.runs.selector import MAX_SELECTOR, Selector

OVERLAP = 24 * 3600.0
"""Seconds for which messages are signed with the secret before, too, once there is a new one."""


class NewHook(Documented):
    """A hook as it is asked for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    # refused beyond these bounds by what reads them: a refusal that shows them would show secrets
    url: Annotated[str, Field(json_schema_extra={"maxLength": MAX_URI})]
    """Where messages go: `https://…`; `http://` to this machine alone."""

    events: Annotated[
        list[wire.HookEvent], Field(min_length=1, json_schema_extra={"uniqueItems": True})
    ]
    """What it is told of."""

    selector: Annotated[str, Field(max_length=MAX_SELECTOR)] = ""
    """Of which runs, by their labels, such as `team=nlp,!frozen`; by default of all."""

    format: wire.HookFormat = "standard"
    """How it is told."""

    secret: Annotated[str, Field(json_schema_extra={"maxLength": 128})] | None = None
    """What messages are signed with: `whsec_` and base64 of 24 to 64 bytes. By default that which
    it has, or else one is made, which the answer has once. Not of the format `slack`."""

    renew: bool = False
    """Make a new secret. For a day, messages are signed with the one before, too."""

    def checked(self, networks: Networks) -> NewHook:
        """Return it as it is kept; raise `Invalid` if it makes no sense."""
        targets.require_reachable(target := targets.parse(self.url), networks)
        if len({*self.events}) < len(self.events):
            raise _invalid("events", "has an event twice", self.events, "each once")
        secretive = "secret" if self.secret is not None else "renew"
        if self.format == "slack" and (self.secret is not None or self.renew):
            raise _invalid(secretive, "is of no use to Slack: nothing is signed", None, "standard")
        if self.secret is not None:
            signing.key_of(self.secret)
            if self.renew:
                raise _invalid("renew", "asks for a secret, and secret is one", True, "one of them")
        selector = str(Selector.parse(self.selector))
        return self.model_copy(update={"url": target.url, "selector": selector})


NEW_HOOK = TypeAdapter(NewHook)


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as it is kept."""

    name: str
    url: str
    events: Collection[wire.HookEvent]
    selector: Selector
    format: wire.HookFormat
    secrets: tuple[str, ...]
    """What messages are signed with: its secret, and maybe the one before; nothing for Slack."""
    created_at: str
    disabled_at: str | None

    def wants(self, event: wire.HookEvent, at: str, labels: Mapping[str, str]) -> bool:
        """Whether it is told of an event, which happened at a time to a run with these labels."""
        return (
            self.disabled_at is None
            and event in self.events
            and at >= self.created_at
            and self.selector.matches(labels)
        )

    @property
    def target(self) -> Target:
        """Where its messages go."""
        return targets.parse(self.url)


def shown_url(url: str, form: wire.HookFormat) -> str:
    """Return a URL as it is shown: the path of one of Slack's is all that one needs to write."""
    if form != "slack":
        return url
    target = targets.parse(url)
    return f"{target.scheme}://{target.authority}/…"


def _invalid(field: str, why: str, value: object, bound: str) -> Invalid:
    wrong = [FieldError(field, f"{field} {why}", value, bound)]
    return Invalid("The hook is refused.", errors=wrong)

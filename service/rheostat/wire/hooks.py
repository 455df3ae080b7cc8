"""Webhooks: who is told of events of runs, what they are told, and what came of it."""

from typing import Any, Literal, TypedDict

from rheostat.wire.common import Page

HookEvent = Literal[
    "created",
    "begun",
    "advanced",
    "revised",
    "cancelled",
    "rewound",
    "extended",
    "stopped",
    "paused",
    "resumed",
    "signalled",
    "armed",
    "decided",
    "noted",
    "proposed",
    "settled-proposal",
    "outcome",
    "mismatch",
    "silent",
    "finished",
    "deleted",
]
"""
What a hook can be told of: the events of a run, but for settles, which come every second or two;
and that it was created or deleted, or that workers of it have fallen silent.
"""

HookFormat = Literal["standard", "slack"]
"""How a hook is told: by Standard Webhooks 1.0, or as Slack and what understands it takes it."""

DeliveryState = Literal["waiting", "delivered", "failed", "dropped"]
"""
What became of a message: it has failed once it was tried ten times more in vain, and is dropped if
there are too many, or its hook is disabled.
"""


class Hook(TypedDict):
    """Who is told of events, without the secret."""

    name: str
    url: str
    """Where messages go; of the format `slack` without its path, which is a secret."""
    events: list[HookEvent]
    selector: str
    """Of which runs, by their labels; empty: of all."""
    format: HookFormat
    secret_set: bool
    """Whether messages are signed."""
    created_at: str
    created_by: str | None
    disabled_at: str | None
    """Since when nothing is sent, until the hook is set again."""
    disabled_why: str | None
    delivered_at: str | None
    """When a message was delivered last."""
    failing_since: str | None
    """Since when none could be."""
    failures: int
    """How many attempts in a row have failed."""
    waiting: int
    """How many messages wait."""
    dropped: int
    """How many were dropped since there were too many."""


HookPage = Page[Hook]


class SetHook(Hook):
    """A hook that was set just now."""

    secret: str | None
    """The secret that was made for it, which nobody can be told again; null: none was made."""


class HookRun(TypedDict):
    """The run that a message is about."""

    id: str
    name: str
    labels: dict[str, str]


class HookData(TypedDict):
    """What happened to a run."""

    event: HookEvent
    number: int | None
    """Number of the event in the run; null if it has none."""
    run: HookRun
    generation: int | None
    revision: int | None
    """Revision that did it, if one did."""
    effective: int | None
    """First step for which it holds."""
    author: str | None
    message: str
    """Why, as its author says: at most 1,000 characters of it."""
    details: dict[str, Any]
    """What else the event of this kind says, in short."""
    link: str | None
    """The run's page; null unless the service knows the address of its page."""


class HookMessage(TypedDict):
    """The body of a message in the format `standard`."""

    type: str
    """`run.` and the event, with `_` for `-`; `hook.test` of a trial."""
    timestamp: str
    """When it happened."""
    data: HookData


class Delivery(TypedDict):
    """A message to a hook, and what became of it."""

    number: int
    id: str
    """The `webhook-id`, by which a receiver knows it again."""
    run: str
    """Id of the run."""
    event: HookEvent
    state: DeliveryState
    attempts: int
    created_at: str
    next_at: str | None
    """When it is tried next, if it waits."""
    ended_at: str | None
    """Since when it does not wait any more."""
    status: int | None
    """HTTP status of the last answer."""
    error: str | None
    """Why the last attempt failed."""
    body: HookMessage


DeliveryPage = Page[Delivery]


class HookTrial(TypedDict):
    """What came of a message that was sent for a trial."""

    delivered: bool
    status: int | None
    seconds: float
    error: str | None

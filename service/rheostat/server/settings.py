"""
Settings of the server: one class, each field with its default and one sentence.

Every field is also an environment variable, ``RHEOSTAT_`` and the field's name in capitals; of
`database`, ``RHEOSTAT_DATABASE_FILE`` may name a file instead, so that its password is in no
environment.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from rheostat.errors import Invalid
from rheostat.limits import (
    MAX_BINARY_VALUES,
    MAX_BLOCK,
    MAX_LABELS,
    MAX_MESSAGE,
    MAX_PARAMETERS,
    MAX_PENDING,
    MAX_PICTURE_POINTS,
    MAX_TEXT_VALUES,
)
from rheostat.server.docstrings import Documented
from rheostat.server.environment import from_environment
from rheostat.server.hooks.targets import Networks
from rheostat.server.runs.selector import Selector
from rheostat.server.runs.validation import Limits
from rheostat.server.store.addresses import without_secrets
from rheostat.server.store.caches import CacheSizes

Count = Annotated[int, Field(ge=1)]
MIB = 1024 * 1024


class Settings(Documented):
    """Everything that a server can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on; one beyond loopback requires tokens, unless `no_auth` is set."""

    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one, which the ready line names."""

    database: str = "sqlite:///rheostat.db"
    """Where runs and schedules are kept: `sqlite:///path` or `postgresql://…`."""

    workers: int = Field(1, ge=1, le=256)
    """Processes that serve, all on this machine and on one database."""

    auth: bool = False
    """Require tokens on loopback, too."""

    no_auth: bool = False
    """Require no tokens beyond loopback either: serve everybody who can reach the address."""

    allowed_hosts: tuple[str, ...] = ()
    """Names besides the loopback ones that a `Host` header may carry, separated by commas. Without
    any, an address beyond loopback allows every name if tokens are required, and else those that no
    public site can have: addresses, names without a dot, and those in `.local`, `.internal` and
    `.svc`. `service.namespace` of Kubernetes is none of these, since `namespace` may be a public
    domain: list it here. Addresses beyond loopback are allowed with any list."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged. Each request is one line of severity info, or debug for what
    workers do all the time, if it works: reading blocks, and saying where they are."""

    log_format: Literal["text", "json"] = "text"
    """How lines of the log are written, those of requests too: one line each, for people or as an
    object of JSON for programs."""

    log_sample: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1
    """Share of the lines about requests that were answered and changed nothing, such as reads,
    that are written; refusals and changes are always."""

    metrics_runs: str = ""
    """Runs that have metrics of their own, as a selector of labels such as `team=nlp` or `watched`;
    the 100 that were made last, at most. Without it there are none."""

    rate_limit: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """Requests per second that each process answers to one address, ten seconds' worth of them at
    once; 0 is no limit."""

    docs: bool = True
    """Serve the interactive documentation under `/docs`."""

    max_body_bytes: Count = 8 * MIB
    """Longest request body, in bytes."""

    max_connections: Count = 16_384
    """Most connections that are open at a time, per process; fewer if fewer files may be open."""

    max_receiving_bytes: Count = 256 * MIB
    """Memory for bodies of over 64 KiB while they come and are worked on, in bytes per process."""

    max_sending_bytes: Count = 256 * MIB
    """Memory for answers of over 64 KiB until they have left, in bytes per process."""

    max_stored_bytes: Count = 64 * MIB
    """Most bytes of the definitions of all runs that were created with one worker's token, or with
    one that is for some runs alone."""

    max_live_runs: Count = 50_000
    """Most of these runs that are not finished."""

    max_binary_values: Count = MAX_BINARY_VALUES
    """Most values of one curve in a binary answer or behind a picture."""

    max_text_values: Count = MAX_TEXT_VALUES
    """Most values of one curve in an answer of text, such as JSON."""

    max_picture_points: Annotated[int, Field(ge=1000)] = MAX_PICTURE_POINTS
    """Most points drawn in one picture; longer curves are thinned so that extremes stay."""

    max_block: int = Field(MAX_BLOCK, ge=1, le=MAX_BLOCK)
    """Most cells in one block that a run may ask for; a run's own default is 4,096."""

    max_jump: int = Field(MAX_BLOCK, ge=1, le=MAX_BLOCK)
    """Most cells past the settled end that a run may let a read reach; its own default is 4,096."""

    max_parameters: Count = MAX_PARAMETERS
    """Most parameters of one run."""

    max_pending: Count = MAX_PENDING
    """Most revisions of one run that may be pending at a time."""

    max_labels: Annotated[int, Field(ge=0)] = MAX_LABELS
    """Most labels of one run."""

    max_message_characters: Count = MAX_MESSAGE
    """Longest message of a revision, in characters."""

    max_event_streams: Count = 1_000
    """Most event streams that are open at a time, per process."""

    max_event_streams_per_caller: Count = 200
    """Most of them that one token has, or one address where tokens are not required."""

    max_held_reads: Count = 20_000
    """Most reads that wait at a time for a pause or a gate to open, per process."""

    chunk_cache_bytes: Annotated[int, Field(ge=0)] = 256 * MIB
    """Memory for computed pieces of curves, in bytes per process."""

    answer_cache_bytes: Annotated[int, Field(ge=0)] = 64 * MIB
    """Memory for settled blocks that are served without the database, in bytes per process."""

    public_url: str = ""
    """Address under which people reach the page, such as `https://rheostat.example.com`, for links
    in messages to hooks; without it they have none."""

    hook_networks: tuple[str, ...] = ()
    """Networks that hooks may reach beside public addresses, separated by commas, such as
    `10.1.2.0/24` or `127.0.0.1`: whoever can set a hook has the service send requests there."""

    timeline_cache_bytes: Annotated[int, Field(ge=0)] = 64 * MIB
    """Memory for what revisions come to, in bytes per process."""

    state_cache_bytes: Annotated[int, Field(ge=0)] = 64 * MIB
    """Memory for what else is known of runs (which revisions are in force, signals, generations
    that were left, curves of lists: a quarter for each), in bytes per process."""

    digest_cache_bytes: Annotated[int, Field(ge=0)] = 16 * MIB
    """Memory for digests of what was served, in bytes per process."""

    recent_answers_bytes: Annotated[int, Field(ge=0)] = 32 * MIB
    """Memory for answers that are given to all who ask the same within a second, in bytes per
    process; one may take an eighth of it."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: dict[str, Any]) -> dict[str, Any]:
        return from_environment(cls.model_fields.keys() - given.keys()) | given

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[!-~]+", value):
            raise ValueError("it must begin with http:// or https://, in ASCII")
        return value.rstrip("/")

    @field_validator("hook_networks")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Networks.parse(value)
        return value

    @field_validator("allowed_hosts", "hook_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator("no_auth")
    @classmethod
    def _decide(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's
        if value and info.data.get("auth"):
            raise ValueError("no_auth and auth contradict each other")
        return value

    @property
    def tokens_required(self) -> bool:
        """Whether requests need a token."""
        return self.auth or not (self.loopback or self.no_auth)

    @field_validator("metrics_runs")
    @classmethod
    def _require_selector(cls, value: str) -> str:
        try:
            return str(Selector.parse(value, "metrics_runs"))
        except Invalid as error:
            raise ValueError(str(error)) from None

    @property
    def caches(self) -> CacheSizes:
        """What the caches of the store may hold."""
        return CacheSizes(
            self.timeline_cache_bytes, self.state_cache_bytes, self.digest_cache_bytes
        )

    @property
    def networks(self) -> Networks:
        """The networks that hooks may reach beside public addresses."""
        return Networks.parse(self.hook_networks)

    @property
    def limits(self) -> Limits:
        """What one run may ask for."""
        return Limits(
            block=self.max_block,
            jump=self.max_jump,
            parameters=self.max_parameters,
            labels=self.max_labels,
            pending=self.max_pending,
            message=self.max_message_characters,
        )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def safe_database(self) -> str:
        """The database's address without its password."""
        return without_secrets(self.database)

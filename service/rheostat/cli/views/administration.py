"""Tokens, and runs after a recovery, drawn for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from rheostat.cli.views import text
from rheostat.cli.views.screen import Screen, left

if TYPE_CHECKING:
    from rheostat import wire


class Revoked(TypedDict):
    """The name of the token that was revoked."""

    revoked: str


def made(screen: Screen, item: wire.IssuedToken) -> None:
    """Show a token, this once."""
    screen.pairs(
        ("token", item["token"]),
        ("name", item["name"]),
        ("role", item["role"]),
        ("runs", item["runs"] or "all"),
        *((("limit", item["limit"]),) if item["limit"] else ()),
        ("expires", item["expires_at"] or "never"),
    )
    screen.line("Keep it now: only a hash of it is stored, and it is not shown again.")


def tokens(screen: Screen, items: Sequence[wire.Token]) -> None:
    """List the tokens."""
    if not items:
        screen.line("No tokens. Make one:  rheostat token create NAME --role admin")
        return
    columns = [left(name) for name in ("NAME", "ROLE", "RUNS", "LIMIT", "BY", "CREATED", "STATE")]
    rows = (
        (
            item["name"],
            item["role"],
            item["runs"] or "all",
            item["limit"] or "",
            item["created_by"] or "",
            text.when(item["created_at"]),
            _state(item),
        )
        for item in items
    )
    screen.table(columns, rows)


def _state(item: wire.Token) -> str:
    if item["revoked_at"]:
        return f"revoked {text.when(item['revoked_at'])}"
    if not item["expires_at"]:
        return "in use"
    expiry = datetime.fromisoformat(item["expires_at"])
    verb = "expired" if expiry <= datetime.now(UTC) else "expires"
    return f"{verb} {expiry:%Y-%m-%d %H:%M} UTC"


def revoked(screen: Screen, answer: Revoked) -> None:
    """Say whose token does not work any more."""
    screen.line(f"The token {answer['revoked']} is revoked.")


def recovered(screen: Screen, renewed: Sequence[Mapping[str, str]]) -> None:
    """List the runs with their old and their new ids."""
    if not renewed:
        screen.line("No runs: nothing to do.")
        return
    columns = [left(name) for name in ("RUN", "OLD ID", "NEW ID")]
    screen.table(columns, ((each["name"], each["old"], each["new"]) for each in renewed))
    screen.line(
        "Restart the trainings; checkpoints that name an old id are refused when they join."
    )

"""Tokens in the database: made, listed and revoked by admins, and found by their secret's hash."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter
from sqlalchemy import insert, select, update

from rheostat import wire
from rheostat.errors import FieldError, Invalid, NameTaken, UnknownToken
from rheostat.limits import MAX_LIMIT, NAME
from rheostat.server.docstrings import Documented
from rheostat.server.runs.selector import MAX_SELECTOR, Selector
from rheostat.server.runs.token_limit import TokenLimit
from rheostat.server.store import clock
from rheostat.server.store.records import Records, now
from rheostat.server.store.tables import tokens
from rheostat.server.tokens import Role, Token, hash_of, new_secret

FUTURE = "an ISO 8601 time with its offset from UTC, in the future"

FIELDS = tuple(tokens.c[name] for name in Token.__dataclass_fields__)


class NewToken(Documented):
    """A token as it is asked for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Who will use it: the author of the changes that are made with it."""

    role: wire.Role
    """What it may do."""

    expires_at: Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})] | (
        None
    ) = None
    """When it ceases to work, in ISO 8601 with the offset from UTC; by default never."""

    runs: Annotated[str, Field(max_length=MAX_SELECTOR)] | None = None
    """Selector of the runs that it knows of, such as `team=nlp`; by default it knows of all."""

    limit: Annotated[str, Field(max_length=MAX_LIMIT)] | None = None
    """What it may do to each run, such as `changes=20/day, gap=500`; by default all of its role."""

    def limited(self) -> TokenLimit | None:
        """Return what it may do to a run; raise `Invalid` if that makes no sense."""
        if self.limit is None:
            return None
        if Role(self.role) is not Role.OPERATOR:
            message = f"a limit is for operators, and a {self.role} "
            more = "makes no changes" if self.role != "admin" else "makes tokens without one"
            raise _refuse("limit", message + more, self.limit, "none, or the role operator")
        return TokenLimit.parse(self.limit)

    def selector(self) -> str | None:
        """Return which runs it knows of, as it is stored; raise `Invalid` if that is none."""
        if self.runs is None:
            return None
        if Role(self.role) is Role.ADMIN:
            message = "an admin knows of all runs: a token with a selector has another role"
            raise _refuse("runs", message, self.runs, "no selector")
        selector = Selector.parse(self.runs, "runs")
        if not selector.requirements:
            message = "runs asks for nothing: leave it out for a token that knows of all runs"
            raise _refuse("runs", message, self.runs, "such as team=nlp")
        return str(selector)

    def expiry(self) -> str | None:
        """Return when it ceases to work, as it is stored; raise `Invalid` unless in the future."""
        if self.expires_at is None:
            return None
        try:
            if (expiry := clock.written(self.expires_at)) > now():
                return expiry
        except (ValueError, OverflowError):
            pass
        raise _refuse("expires_at", f"expires_at must be {FUTURE}", self.expires_at, FUTURE)


def _refuse(field: str, message: str, value: str, bound: str) -> Invalid:
    wrong = [FieldError(field, message, value, bound)]
    return Invalid("The token is refused.", errors=wrong)


NEW_TOKEN = TypeAdapter(NewToken)


def create(records: Records, new: NewToken, created_by: str | None) -> wire.IssuedToken:
    """Make a token, and return it with its secret, which nobody can be told again."""
    secret = new_secret()
    limit = new.limited()
    token = Token(
        name=new.name,
        role=Role(new.role),
        created_at=now(),
        created_by=created_by,
        expires_at=new.expiry(),
        revoked_at=None,
        runs=new.selector(),
        limit=limit,
    )
    if _held(records, new.name):
        raise NameTaken(f"there is a token {new.name!r} already: revoke it, or take another name")
    row = {**asdict(token), "hash": hash_of(secret)}
    if limit is not None:  # a release that knows of no limits lets it do what is left without one
        row |= {"limit": str(limit), "role": Role.PROPOSER}
    records.write()
    records.connection.execute(insert(tokens).values(**row))
    return {**token.to_json(), "token": secret}


def revoke(records: Records, name: str) -> None:
    """Make a token useless for good, and its name free; the list keeps it."""
    if not _held(records, name):
        raise UnknownToken(f"there is no token {name!r} that could be revoked")
    records.write()
    held = (tokens.c.name == name, tokens.c.revoked_at.is_(None))
    records.connection.execute(update(tokens).where(*held).values(revoked_at=now()))


def page(records: Records, after: int, limit: int) -> tuple[Sequence[Token], int | None]:
    """Return the tokens past number ``after``, oldest first, and where to go on."""
    query = select(tokens.c.number, *FIELDS).where(tokens.c.number > after)
    rows = records.connection.execute(query.order_by(tokens.c.number).limit(limit + 1)).all()
    following = rows[limit - 1].number if len(rows) > limit else None
    return [_token(*row[1:]) for row in rows[:limit]], following


def find(records: Records, hashes: Collection[str]) -> dict[str, Token]:
    """Return the tokens whose secrets have these hashes, be they of use or not, by their hash."""
    # How long the index takes says something of the hash of a guess, and nothing of a secret.
    query = select(tokens.c.hash, *FIELDS).where(tokens.c.hash.in_(hashes))
    return {row.hash: _token(*row[1:]) for row in records.connection.execute(query)}


def lack(records: Records) -> str | None:
    """Say why nobody has a token that can be used now, None if somebody has one."""
    moment = now()
    made = [_token(*row) for row in records.connection.execute(select(*FIELDS))]
    if not made:
        return "its database has none yet"
    if any(token.flaw(moment) is None for token in made):
        return None
    return f"each of the {len(made)} in its database has expired or was revoked"


def _held(records: Records, name: str) -> bool:
    query = select(tokens.c.number).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
    return records.connection.execute(query).first() is not None


def limited(records: Records) -> list[Token]:
    """Return the tokens with a limit that can be used now, by name."""
    query = select(*FIELDS).where(tokens.c.limit.is_not(None), tokens.c.revoked_at.is_(None))
    rows = records.connection.execute(query.order_by(tokens.c.name))
    moment = now()
    return [token for token in (_token(*row) for row in rows) if token.flaw(moment) is None]


def _token(name: str, role: str, *rest: Any) -> Token:
    *more, limit = rest
    token = Token(name, Role(role), *more)
    return token if limit is None else replace(token, role=Role.OPERATOR, limit=_limit(limit))


@lru_cache(maxsize=256)
def _limit(text: str) -> TokenLimit:
    try:
        return TokenLimit.parse(text)
    except Invalid:  # a newer release wrote it: what is not understood lets nothing through
        return TokenLimit.of_newer(text)

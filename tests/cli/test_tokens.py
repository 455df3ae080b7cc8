"""`rheostat token …` on a database, and against a real server that requires tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command, Ran

SECRET = re.compile(r"rheo_[0-9a-f]{40}")


@pytest.fixture
def local(rheostat: Command, tmp_path: Path) -> Callable[[str], Ran]:
    """Return the command on a database of its own, named on the command line."""
    return lambda line: rheostat(f"{line} --database sqlite:///{tmp_path / 'x.db'}")


@pytest.fixture
def admin(rheostat: Command, guarded: Any) -> Callable[[str], Ran]:
    """Return the command of an admin of the shared server that requires tokens."""
    variables = {"RHEOSTAT_URL": guarded.url, "RHEOSTAT_TOKEN": guarded.secrets["admin"]}
    return lambda line: rheostat(line, **variables)


def test_the_first_token_needs_no_server(local: Callable[[str], Ran]) -> None:
    """Whoever can open the database makes the first admin; the list tells what became of it."""
    assert "No tokens" in local("token list").out
    made = local("token create ann --role admin")
    assert made.code == 0
    assert SECRET.search(made.out)
    assert re.search(r"^ann +admin +all +\S+@\S+ .* in use$", local("token list").out, re.MULTILINE)
    assert local("token revoke ann --yes").code == 0
    assert re.search(r"^ann .* revoked \w", local("token list").out, re.MULTILINE)


def test_a_limit_is_made_and_shown(local: Callable[[str], Ran]) -> None:
    """Whoever makes a token with a limit sees what it bounds, and in the list, too."""
    made = local("token create tuner --role operator --limit 'ratio=2, gap=1k'")
    assert made.code == 0, made.err
    assert re.search(r"^limit +gap=1000, ratio=2$", made.out, re.MULTILINE)
    listed = local("token list").out
    assert re.search(r"^tuner +operator +all +gap=1000, ratio=2 ", listed, re.MULTILINE)
    refused = local("token create other --role operator --limit gap=0")
    assert (refused.code, "gap must be a number of steps" in refused.err) == (1, True)
    refused = local("token create other --role worker --limit gap=5")
    assert (refused.code, "a limit is for operators" in refused.err) == (1, True)


def test_the_database_may_come_from_the_environment(rheostat: Command, tmp_path: Path) -> None:
    """Where no server is asked, `RHEOSTAT_DATABASE` says which database it is."""
    variables = {"RHEOSTAT_DATABASE": f"sqlite:///{tmp_path / 'x.db'}", "RHEOSTAT_URL": ""}
    assert rheostat("token create ann --role admin", **variables).code == 0
    (item,) = rheostat("token list --json", **variables).json
    assert (item["name"], item["role"]) == ("ann", "admin")


def test_an_admin_makes_tokens_by_a_server(
    admin: Callable[[str], Ran], rheostat: Command, guarded: Any, new_name: Callable[[], str]
) -> None:
    """A token that a server made works there, in the role and for the time that was said."""
    name = new_name()
    made = admin(f"token create {name} --role worker --days 3 --json").json
    assert (made["created_by"], made["role"]) == ("admin", "worker")
    assert re.search(rf"^{name} .* expires \d{{4}}-", admin("token list").out, re.MULTILINE)
    variables = {"RHEOSTAT_URL": guarded.url, "RHEOSTAT_TOKEN": made["token"]}
    assert rheostat("run list", **variables).code == 0
    refused = rheostat("token list", **variables)
    assert (refused.code, "[403 forbidden]" in refused.err) == (1, True)
    assert admin(f"token revoke {name} --yes").out == f"The token {name} is revoked.\n"
    assert "unknown-token" in admin(f"token revoke {name} --yes").err


def test_a_server_without_a_token_is_not_believed(rheostat: Command, guarded: Any) -> None:
    """Without a token the answer is a refusal, with exit code 1."""
    refused = rheostat("token list", RHEOSTAT_URL=guarded.url, RHEOSTAT_TOKEN="")
    assert (refused.code, "unauthenticated" in refused.err) == (1, True)
    assert "--token TOKEN, or RHEOSTAT_TOKEN" in refused.err


def test_the_author_is_the_token(admin: Callable[[str], Ran], new_name: Callable[[], str]) -> None:
    """What is changed with a token is signed with its name."""
    name = new_name()
    assert admin(f"run create {name} lr=0.1 --author mallory").code == 0
    assert admin(f"run change {name} lr scale 0.5 --author mallory").code == 0
    authors = {item["author"] for item in admin(f"run history {name} --json").json}
    assert authors == {"admin"}


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("token create ann", 2, "--role"),
        ("token create ann --role root", 2, "'viewer', 'proposer', 'worker', 'operator', 'admin'"),
        ("token create ann --role admin --days 0", 2, "--days"),
        ("token create 'a b' --role admin", 1, "name: must match"),
        ("token revoke ann", 2, "--yes"),
        ("token revoke ann --yes", 1, "there is no token 'ann'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    local: Callable[[str], Ran], line: str, code: int, said: str
) -> None:
    """P10: a token without a role, or with a wrong name, role or time, is not made."""
    ran = local(line)
    assert ran.code == code
    assert said in ran.err


def test_a_database_that_is_not_there_is_one_sentence(rheostat: Command) -> None:
    """A wrong database is named, without its password."""
    ran = rheostat("token list --database postgresql://ann:secret@127.0.0.1:9/x")
    assert ran.code == 1
    assert "cannot open the database postgresql://ann:***@127.0.0.1:9/x" in ran.err

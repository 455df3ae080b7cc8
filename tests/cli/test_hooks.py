"""`rheostat hook …` on a database, and against a real server: set, tried out, and looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Command, Ran
from tests.server.hooks.receiver import Receiver, receiving

URL = "https://hooks.example.com/services/T0/hidden"


@pytest.fixture
def local(rheostat: Command, tmp_path: Path) -> Callable[[str], Ran]:
    """Return the command on a database of its own, from which hooks reach this machine."""
    database = f"--database sqlite:///{tmp_path / 'x.db'}"
    return lambda line: rheostat(f"{line} {database}", RHEOSTAT_HOOK_NETWORKS="127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return somebody who is told."""
    with receiving() as receiver:
        yield receiver


def test_a_hook_is_set_tried_and_removed(local: Callable[[str], Ran], receiver: Receiver) -> None:
    """Whoever can open the database sets a hook, is told its secret once, and tries it out."""
    assert "No hooks" in local("hook list").out
    made = local(f"hook set alerts {receiver.url} -e stopped -e silent -l team=nlp --json").json
    assert made["secret"].startswith("whsec_")
    shown = local("hook show alerts").out
    assert "stopped, silent" in shown
    assert "team=nlp" in shown
    assert made["secret"] not in shown + local("hook list").out
    tried = local("hook test alerts")
    assert (tried.code, "answered 204" in tried.out) == (0, True)
    assert receiver.received[0].json["type"] == "hook.test"
    assert "No messages" in local("hook deliveries alerts").out
    assert local("hook remove alerts --yes").code == 0
    assert local("hook show alerts").code == 1


def test_a_trial_that_fails_has_a_code(local: Callable[[str], Ran], receiver: Receiver) -> None:
    """A script sees by the exit code that a hook was not told, and a person reads why."""
    local(f"hook set alerts {receiver.url} -e stopped")
    receiver.answers.append(503)
    tried = local("hook test alerts")
    assert (tried.code, "answered 503" in tried.out) == (1, True)


def test_a_hook_for_slack_shows_no_path(local: Callable[[str], Ran]) -> None:
    """P10: the path of one of Slack's is a secret, which is typed once."""
    ran = local(f"hook set chat {URL} -e mismatch --format slack")
    assert ran.code == 0
    assert "hidden" not in ran.out + local("hook list").out + local("hook show chat --json").out
    assert "https://hooks.example.com/…" in ran.out


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("hook set a http://example.com/x -e stopped", "url must be https://"),
        ("hook set a https://10.0.0.1/x -e stopped", "RHEOSTAT_HOOK_NETWORKS"),
        ("hook set a https://example.com/x -e dropped", "events[0]"),
        ("hook set a https://example.com/x -e stopped -e stopped", "events"),
        ("hook set a https://example.com/x -e stopped -l team=(x", "selector"),
        ("hook set a https://example.com/x -e stopped --secret hunter2", "secret must be whsec_"),
        ("hook set -a https://example.com/x -e stopped", ""),
        ("hook set .a https://example.com/x -e stopped", "name"),
        ("hook retry a 1", "there is no hook 'a'"),
    ],
)
def test_what_makes_no_sense_is_named(
    line: str, named: str, rheostat: Command, tmp_path: Path
) -> None:
    """P10: a hook that cannot be meant is refused, by the field, and no secret is repeated."""
    ran = rheostat(f"{line} --database sqlite:///{tmp_path / 'x.db'}")
    assert ran.code in {1, 2}
    assert named in ran.err
    assert "hunter2" not in ran.err


def test_an_admin_sees_what_became_of_messages(guarded: object, rheostat: Command) -> None:
    """By a service, an admin lists messages, and has one sent again; others are refused."""
    url, secrets = guarded.url, guarded.secrets  # type: ignore[attr-defined]
    admin = {"RHEOSTAT_URL": url, "RHEOSTAT_TOKEN": secrets["admin"]}
    assert rheostat("hook set cli https://nobody.invalid/x -e deleted", **admin).code == 0
    assert rheostat("run create told lr=1", **admin).code == 0
    assert rheostat("run delete told --yes", **admin).code == 0
    (item,) = rheostat("hook deliveries cli --json", **admin).json
    assert (item["event"], item["body"]["data"]["author"]) == ("deleted", "admin")
    listed = rheostat("hook deliveries cli", **admin).out
    assert "told" in listed
    assert "deleted" in listed
    again = rheostat(f"hook retry cli {item['number']}", **admin)
    assert (again.code, "is sent again" in again.out) == (0, True)
    viewer = {"RHEOSTAT_URL": url, "RHEOSTAT_TOKEN": secrets["operator"]}
    for line in ("hook list", "hook deliveries cli", "hook test cli", "hook remove cli --yes"):
        assert "forbidden" in rheostat(line, **viewer).err
    assert rheostat("hook remove cli --yes", **admin).code == 0

"""Whatever answers a command, it ends with an exit code and a sentence."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.running import command_tree, invoke
from tests.client.hostile import Hostile, hostile, page, says
from tests.client.test_random_answers import bodies
from tests.conftest import RunningServer

from rheostat import hold, scale
from rheostat.cli import connecting
from rheostat.client import Client

ARGUMENTS = {
    "run create": "gpt lr=0.1",
    "run plan": "gpt",
    "run explain": "gpt 3",
    "run change": "gpt lr 0.5",
    "run cancel": "gpt 2",
    "run advance": "gpt 200",
    "run extend": "gpt --total 2000",
    "run rewind": "gpt 3",
    "run fork": "gpt other",
    "run finish": "gpt",
    "run stop": "gpt --wait --timeout 0",
    "run signal": "gpt checkpoint --wait=done --timeout 0",
    "run note": "gpt hello",
    "run arm": "gpt plateau --metric loss",
    "run disarm": "gpt plateau",
    "run reset": "gpt plateau",
    "run propose": "gpt change lr 0.5",
    "run accept": "gpt 1 --yes",
    "run decline": "gpt 2",
    "run delete": "gpt --yes",
    "run wait": "gpt end --timeout 0",
    "run watch": "gpt",
    "run export": "gpt nowhere/gpt.json",
    "run import": f"{Path(__file__).parents[2] / 'docs/openapi.json'}",
    "local list": "",
    "local stop": "",
    "run list": "",
    "schedule list": "",
    "schedule put": "s 0.1",
    "schedule delete": "s --yes",
    "token create": "ann --role viewer",
    "token list": "",
    "token revoke": "ann --yes",
    "hook set": "alerts https://example.com/x -e stopped",
    "hook list": "",
    "hook remove": "alerts --yes",
    "hook retry": "alerts 1",
}
"""Of commands that are not satisfied with one name."""
OF_MANY = {"change": "-l team=nlp lr 0.5 --yes"}
"""Of commands that belong to no group."""
LOCAL = {
    *("serve", "mcp", "evaluate", "plot", "kinds", "convert", "simulate", "recover", "demo"),
    *("audit", "purge", "backup", "restore"),
    "local",
}


def commands() -> list[str]:
    """Return a line for every command that asks a service."""
    root = command_tree()
    lines = [
        f"{group} {name}"
        for group, found in root.commands.items()
        for name in getattr(found, "commands", ())
        if group not in LOCAL
    ]
    assert set(root.commands) - {line.split()[0] for line in lines} == LOCAL | OF_MANY.keys()
    many = [f"{name} {words}" for name, words in OF_MANY.items()]
    return [*(f"{line} {ARGUMENTS.get(line, 'gpt')}" for line in lines), *many]


Answers = dict[tuple[str, str], httpx.Response]
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}


def test_every_command_has_its_arguments() -> None:
    """A command that needs other arguments than one name has them in `ARGUMENTS`."""
    root = command_tree()
    taken = {
        f"{group} {name}": [each.required for each in command.params].count(True)
        for group, found in root.commands.items()
        for name, command in getattr(found, "commands", {}).items()
    }
    assert not {*ARGUMENTS}.difference(taken)
    missing = [name for name, count in taken.items() if count != 1 and name not in ARGUMENTS]
    assert not missing, f"ARGUMENTS of {__name__} lacks {missing}"


@pytest.fixture
def stranger() -> Iterator[Hostile]:
    """Yield a server that does what it is told."""
    with hostile() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server for these tests alone, which delete what they made."""
    running = RunningServer(tmp_path_factory.mktemp("server"), {})
    yield running.url
    running.close()


@pytest.mark.parametrize("line", commands())
@given(answer=bodies(), as_json=st.booleans())
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
def test_random_answers(line: str, answer: tuple[int, bytes, str], *, as_json: bool) -> None:
    """P10: no command ends with a traceback, whatever JSON or page it is answered."""
    status, body, kind = answer
    kind = "text/event-stream" if "watch" in line and status == 200 else kind
    ran(
        line,
        lambda _: httpx.Response(status, headers={"Content-Type": kind}, content=body),
        as_json,
    )


@pytest.fixture(scope="module")
def known(server: str) -> Answers:
    """Return what the real service answers to every command, on a run that has had a life."""
    found: Answers = {}
    there = httpx.Client()

    def ask(request: httpx.Request) -> httpx.Response:
        answer = there.send(request)
        found.setdefault((request.method, request.url.path), answer)
        return answer

    with Client(server, author="ann") as client:
        client.create_run("gpt", {"lr": LINE, "wd": {"kind": "constant", "value": 1}}, total=1000)
        client.run("gpt").block(0, 100)
        control = client.control("gpt")
        control.change({"lr": scale(0.5)}, message="spike")
        control.rewind(50, message="back")
        control.change({"lr": [hold(10), scale(2)]}, effective=500)
    for line in sorted(commands(), key=_late):
        ran(line, ask, url=server)
    there.close()
    return found


def _late(line: str) -> int:
    """Return when a command has its turn: a watch ends when its run has, deleting comes last."""
    turns = {"finish": 1, "watch": 2, "delete": 3}
    return max((turn for word, turn in turns.items() if word in line), default=0)


@pytest.mark.parametrize("line", commands())
@given(chance=st.randoms(use_true_random=False), as_json=st.booleans())
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_almost_right_answers(
    line: str, chance: random.Random, known: Answers, *, as_json: bool
) -> None:
    """P10: nor does it if one member of the service's own answers is missing, or another."""

    def answer(request: httpx.Request) -> httpx.Response:
        real = known.get((request.method, request.url.path))
        if real is None:
            return httpx.Response(404, text="not recorded")
        kind = real.headers.get("Content-Type", "")
        if "event-stream" in kind:
            events = [json.loads(part) for part in re.findall(r"data: (.*)", real.text)]
            spoil(events, chance)
            body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
        elif real.content:
            document = json.loads(real.content)
            spoil(document, chance)
            body = json.dumps(document).encode()
        else:
            body = b""
        return httpx.Response(real.status_code, headers={"Content-Type": kind}, content=body)

    ran(line, answer, as_json)


def spoil(document: Any, chance: random.Random) -> None:
    """Take one member away, or put something else in its place."""
    places: list[tuple[Any, Any]] = []
    left = [document]
    while left:
        whole = left.pop()
        keys = whole if isinstance(whole, dict) else range(len(whole))
        places += [(whole, key) for key in keys]
        left += [whole[key] for key in keys if isinstance(whole[key], dict | list)]
    if not places:
        return
    whole, key = chance.choice(places)
    if chance.random() < 0.3:
        del whole[key]
    else:
        whole[key] = chance.choice(
            [None, "", "x", "\ud800", "\x1b[2J", -1, 10**30, 1e308, True, [], {}, [[]], {"a": None}]
        )


def ran(
    line: str,
    answer: Callable[[httpx.Request], httpx.Response],
    as_json: bool = False,  # noqa: FBT001, FBT002
    url: str = "http://test",
) -> None:
    """Run a command whose requests are answered so; it may refuse, but with a sentence."""

    def connect(server: str, _token: str | None, _author: str | None = None) -> Client:
        return Client(server, retries=0, deadline=0.02, transport=httpx.MockTransport(answer))

    there = ["--server", url] if line.startswith(("token", "hook")) else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "connect", connect)
        patch.setenv("RHEOSTAT_URL", url)
        words = [*line.split(), *(["--json"] if as_json else []), *there]
        done = invoke(words)

    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in {0, 1, 3, 4}, done.stderr
    assert done.exit_code == 0 or done.stderr


@pytest.mark.parametrize("line", ["run list", "run show gpt", "run change gpt lr 0.5"])
@pytest.mark.parametrize(
    "status", ["404 Not Found", "500 Oh", "522 Timed Out", "403 Forbidden", "200 OK"]
)
def test_who_answered_is_said_soon(
    line: str, status: str, operator: Any, stranger: Hostile
) -> None:
    """A command does not wait for what is not the service's word, and says what answered."""
    for end in ("/gpt", "/runs", "/revisions"):
        stranger.acts[end] = [says(page(status))]

    ran = operator(line, RHEOSTAT_URL=stranger.url)

    assert ran.code == 3
    for said in (status[:3], "text/html", "not here", "proxy/1"):
        assert said in ran.err


def test_redirects_are_shown(operator: Any, stranger: Hostile) -> None:
    """A command shows where it is sent to, and does not go there."""
    stranger.acts["/runs"] = [says(page("301 Moved", Location="https://there.example/v1/runs"))]

    ran = operator("run list", RHEOSTAT_URL=stranger.url)

    assert ran.code == 3
    assert "https://there.example/v1/runs" in ran.err


def test_no_file_is_printed(rheostat: Any, tmp_path: Path) -> None:
    """P10: a file that is no definition is named, and what is in it stays there."""
    (tmp_path / "file").write_text("s3cret: 1")

    for line in (f"evaluate @{tmp_path / 'file'} 0", f"run create gpt lr=@{tmp_path / 'file'}"):
        ran = rheostat(line)
        assert ran.code == 2
        assert f"{tmp_path / 'file'} is not JSON" in ran.err.replace("\n", "")
        assert "s3cret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"RHEOSTAT_URL": "http://ann:s3cret@127.0.0.1:9"}, "--server"),
        ({"RHEOSTAT_URL": "http://127.0.0.1:9?token=s3cret"}, "--server"),
        ({"HTTP_PROXY": "http://ann:s3cret@127.0.0.1:9"}, "HTTP_PROXY"),
        ({"HTTP_PROXY": "socks://ann:s3cret@127.0.0.1:9"}, "HTTP_PROXY"),
    ],
)
def test_no_secret_is_printed(
    variables: dict[str, str], named: str, rheostat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: names and passwords in addresses are refused, or left out of what is said."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    ran = rheostat("run list --json", **variables)

    assert ran.code in {1, 3}
    assert named in ran.err
    assert "s3cret" not in ran.out + ran.err
    json.loads(ran.out)

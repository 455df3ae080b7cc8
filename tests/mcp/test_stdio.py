"""`rheostat mcp` as the programs of agents start it: a process, and its standard streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import anyio
import pytest
from mcp import Client as Program
from mcp import StdioServerParameters
from tests.cli.running import invoke
from tests.mcp.conftest import Service, told
from tests.mcp.test_tools import HALVE, LOOKS

COMMAND = [sys.executable, "-m", "rheostat.cli", "mcp"]


def started(service: Service, secret: str, *words: str) -> StdioServerParameters:
    """Return how a program starts the server."""
    environment = {"RHEOSTAT_URL": service.guarded.url, "RHEOSTAT_TOKEN": secret}
    return StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], *words], env={**os.environ, **environment}
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_program_starts_it_and_talks(mode: str, service: Service) -> None:
    """The SDK's own client, over the streams of a process: tools, answers, refusals."""
    run = service.run()
    made = service.admin.tokens.create(f"tuner-{mode}", "operator", limit="changes=1/day")

    async def conversation() -> list[Any]:
        server = started(service, made["token"], "--allow-changes")
        async with Program(server, mode=mode) as program:
            names = {tool.name for tool in (await program.list_tools()).tools}
            brief = told(await program.call_tool("brief", {"run": run}))
            asked = {"run": run, "changes": HALVE, "why": "flat"}
            changed = told(await program.call_tool("change", asked))
            again = told(await program.call_tool("change", asked))
            return [names, brief, changed, again]

    names, (brief, _), (changed, failed), (again, refused) = anyio.run(conversation)
    assert names >= {*LOOKS, "change", "stop"}
    assert brief["allowance"]["left"] == 1
    assert (changed["effective"], failed) == (100, False)
    assert (again["error"], again["left"]["left"], refused) == ("limit-reached", 0, True)
    [mine] = [each for each in service.admin.control(run).history() if each["revision"] == 2]
    assert (mine["author"], mine["message"]) == (f"tuner-{mode}", "flat")


def test_standard_output_has_the_protocol_alone(service: Service) -> None:
    """Each line is a message of it, also when what is sent is none; the log is elsewhere."""
    lines = [
        (
            '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion":'
            ' "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}'
        ),
        '{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        "this is no message",
        '{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}',
        (
            '{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "brief",'
            ' "arguments": {"run": "nobody\\u001b[2J"}}}'
        ),
    ]
    environment = {
        **os.environ,
        "RHEOSTAT_URL": service.guarded.url,
        "RHEOSTAT_TOKEN": service.guarded.secrets["viewer"],
    }
    with subprocess.Popen(
        COMMAND, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers: dict[int, Any] = {}
        while 3 not in answers or 2 not in answers:
            message = json.loads(process.stdout.readline())
            assert message["jsonrpc"] == "2.0"
            if "id" in message:
                answers[message["id"]] = message
        process.stdin.close()
        assert all(json.loads(line) for line in process.stdout)
        assert process.wait(timeout=60) == 0
    assert {tool["name"] for tool in answers[2]["result"]["tools"]} == LOOKS
    assert answers[3]["result"]["isError"] is True


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"RHEOSTAT_URL": "http://127.0.0.1:1"}, 3, "no answer from http://127.0.0.1:1"),
        ({"RHEOSTAT_TOKEN": "rheo_" + "0" * 40}, 1, "unauthenticated"),
        ({"RHEOSTAT_TOKEN": "x\ny"}, 1, "token"),
    ],
)
def test_it_does_not_begin_where_it_cannot_go_on(
    variables: dict[str, str],
    code: int,
    said: str,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that is gone, a token that is none: a sentence on standard error, and a code."""
    monkeypatch.setattr("rheostat.cli.connecting.PAUSE", 0.0)
    done = invoke(["mcp"], env={"RHEOSTAT_URL": service.guarded.url, **variables})
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr


def test_without_the_sdk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has installed the command line alone reads which extra is missing."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = invoke(["mcp"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'pip install "rheostat[mcp]"' in done.stderr

"""Agents of every kind of token, each in a program that is the SDK's own client, in memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import pytest
from mcp import Client as Program
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from tests.conftest import Guarded, guarding

from rheostat import Client
from rheostat.mcp.bounded import MOST
from rheostat.mcp.server import served
from rheostat.mcp.tools import Tools

Result = TypeVar("Result")
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
"""1 - step / 1000."""


@dataclass
class Agent:
    """What an agent has: tools, by the protocol of today or that of before."""

    tools: Tools
    mode: str = "auto"

    def talk(self, use: Callable[[Program], Awaitable[Result]]) -> Result:
        """Return what comes of a conversation."""
        server = served(self.tools)

        async def conversation() -> Result | MCPError:
            async with Program(server, mode=self.mode) as program:
                try:
                    return await use(program)
                except MCPError as error:  # raised in here it would come out in a group
                    return error

        found = anyio.run(conversation)
        if isinstance(found, MCPError):
            raise found
        return found

    def names(self) -> set[str]:
        """Return the names of the tools that it is offered."""
        return {tool.name for tool in self.talk(lambda program: program.list_tools()).tools}

    def call(self, name: str, **arguments: Any) -> tuple[dict[str, Any], bool]:
        """Return what a tool answers, and whether that is an error."""
        return told(self.talk(lambda program: program.call_tool(name, arguments)))

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return what a tool answers, which is no error."""
        answer, failed = self.call(name, **arguments)
        assert not failed, answer
        return answer

    def refused(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return the error that a tool answers."""
        answer, failed = self.call(name, **arguments)
        assert failed, answer
        return answer


def told(result: CallToolResult) -> tuple[dict[str, Any], bool]:
    """Return an answer, which is the same as text and as JSON, and short; and whether it failed."""
    [content] = result.content
    assert content.type == "text"
    answer = json.loads(content.text)
    assert answer == result.structured_content
    assert len(content.text.encode()) <= MOST
    return answer, result.is_error


@dataclass
class Service:
    """A service that requires tokens, and its admin."""

    guarded: Guarded
    admin: Client
    stack: ExitStack

    def client(self, role: str, **options: Any) -> Client:
        """Return a client with a new token of a role."""
        name = f"{role}-{uuid.uuid4().hex[:8]}"
        made = self.admin.tokens.create(name, role, **options)  # type: ignore[arg-type]
        client = Client(self.guarded.url, token=made["token"], retries=0)
        return self.stack.enter_context(client)

    def agent(
        self, role: str, *, changes: bool = False, mode: str = "auto", **options: Any
    ) -> Agent:
        """Return an agent with a new token."""
        return Agent(Tools(self.client(role, **options), allow_changes=changes), mode)

    def run(self, **more: Any) -> str:
        """Return the name of a run whose lr is 1 - step / 1000, settled up to 100, with a loss."""
        name = f"run-{uuid.uuid4().hex[:12]}"
        body: Any = {"total": 1000, "guards": {"lr": {"max": 1.0}}, **more}
        self.admin.create_run(name, {"lr": LINE}, **body)
        with Client(self.guarded.url, token=self.guarded.secrets["worker"], beats=False) as worker:
            run = worker.run(name)
            run.block(0, 100)
            run.report(50, {"loss": 3.0}, wait=True)
        return name


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service for agents."""
    with ExitStack() as stack:
        guarded = stack.enter_context(guarding(tmp_path_factory.mktemp("server")))
        admin = stack.enter_context(Client(guarded.url, token=guarded.secrets["admin"]))
        yield Service(guarded, admin, stack)

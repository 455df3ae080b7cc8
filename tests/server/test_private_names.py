"""
What the server uses of other packages' inside, which may change with any of their releases.

Whoever raises a version here runs these tests first, and then reads what has changed around the
names that are listed.
"""

from __future__ import annotations

import ast
import asyncio
import logging
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram
from uvicorn import Config, Server
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "service/rheostat/server"
ON_THE_SOCKET = ("http/incoming.py", "http/protocol.py", "fastlane.py")

PROTOCOL = {
    "_start_asgi_task",
    "_unsupported_upgrade_warning",
    "app_state",
    "config",
    "connection_lost",
    "connection_made",
    "cycle",
    "data_received",
    "flow",
    "headers",
    "loop",
    "on_body",
    "on_message_complete",
    "on_response_complete",
    "parser",
    "pause_writing",
    "pipeline",
    "resume_writing",
    "scope",
    "server_state",
    "shutdown",
    "transport",
}
REQUEST = {
    "body",
    "disconnected",
    "keep_alive",
    "message_event",
    "more_body",
    "response_complete",
    "response_started",
    "scope",
    "waiting_for_100_continue",
}
FLOW = {"pause_reading", "read_paused", "resume_reading", "resume_writing", "write_paused"}


async def _application(_scope: Any, _receive: Any, _send: Any) -> None:
    pass


def things() -> dict[str, tuple[Any, set[str]]]:
    """Return something of each class that is relied on, with the names that are."""
    loop = asyncio.new_event_loop()
    config = Config(_application, log_config=None)
    protocol = HttpToolsProtocol(config, ServerState(), {}, loop)
    flow = FlowControl(asyncio.Transport())
    request = RequestResponseCycle(
        scope={},  # type: ignore[typeddict-item]
        transport=asyncio.Transport(),
        flow=flow,
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )
    histogram = Histogram("x", "x", registry=CollectorRegistry())
    loop.close()
    return {
        "uvicorn's connection": (protocol, PROTOCOL),
        "uvicorn's request": (request, REQUEST),
        "uvicorn's flow": (flow, FLOW),
        "uvicorn's state": (ServerState(), {"default_headers", "total_requests"}),
        "uvicorn's server": (Server(config), {"on_tick", "startup"}),
        "prometheus-client's histogram": (histogram, {"_buckets", "_sum"}),
    }


NAMES = [(thing, name) for thing, (_, names) in things().items() for name in sorted(names)]


@pytest.mark.parametrize(("thing", "name"), NAMES)
def test_every_name_that_is_relied_on_is_there(thing: str, name: str) -> None:
    """A release that renames one of them fails here, and not on the socket."""
    assert hasattr(things()[thing][0], name)


@pytest.mark.parametrize(
    ("thing", "owners"),
    [
        ("uvicorn's connection", {"self"}),
        ("uvicorn's request", {"cycle", "_served"}),
        ("uvicorn's flow", {"flow"}),
    ],
)
def test_every_name_that_is_used_is_listed(thing: str, owners: set[str]) -> None:
    """Whoever leans on one more private name says so above, and nobody leans on fewer."""
    found, names = things()[thing]
    used = set[str]()
    for file in ON_THE_SOCKET:
        for node in ast.walk(ast.parse((SERVER / file).read_text())):
            if isinstance(node, ast.Attribute) and _name(node.value) in owners:
                used.add(node.attr)
            elif isinstance(node, ast.ClassDef) and "self" in owners:
                used |= {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    inherited = {name for name in used if hasattr(found, name) and not hasattr(object, name)}
    assert inherited == names


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


@pytest.mark.parametrize("package", ["httptools", "prometheus-client", "uvicorn"])
def test_packages_are_pinned_to_a_minor(package: str) -> None:
    """Nobody gets a release of which nobody has read what it changes inside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pin,) = (each for each in project["optional-dependencies"]["server"] if package in each)
    major, minor = map(int, version(package).split(".")[:2])
    assert re.fullmatch(rf"{package}>={major}\.{minor}(\.\d+)?,<{major}\.{minor + 1}", pin)

"""The agent of `rheostat demo --page --agent`: a script that looks on, and proposes."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from rheostat.cli.commands.demo_page import AWAY, GPT, VALIDATED_EVERY
from rheostat.errors import Closed, RheostatError, UnknownRun, Unreachable

if TYPE_CHECKING:
    from rheostat.mcp.agent import Called

NAME = "agent"
"""The author of what it proposes: this server requires no tokens."""
REST = 12 * VALIDATED_EVERY
"""Steps for which it waits for the effect of what it has brought about."""


def watch(url: str, say: Callable[[str], None]) -> Thread:
    """Have an agent look after the largest run, in a thread, until run or server are gone."""
    thread = Thread(target=_look_after, args=(url, say), daemon=True, name=NAME)
    thread.start()
    return thread


def _look_after(url: str, say: Callable[[str], None]) -> None:
    """Look on, and propose: these tools are told that no changes are allowed."""
    from rheostat import Client  # httpx loads slowly
    from rheostat.mcp.agent import Agent, ScriptedPolicy
    from rheostat.mcp.tools import Tools

    def tell(called: Called) -> None:
        say(f"the agent calls {called} ({called.call.arguments['why']})")

    with Client(url, author=NAME) as client:
        agent = Agent(Tools(client, allow_changes=False), GPT, ScriptedPolicy(rest=REST), tell)
        while True:
            try:
                agent.follow()
            except Closed:  # by Ctrl-C
                return
            except (UnknownRun, Unreachable) as error:
                say(f"the agent ends: {error}")
                return
            except RheostatError as error:
                say(f"the agent is told: {error}")
            time.sleep(AWAY)  # a run that has ended may be rewound, and goes on then

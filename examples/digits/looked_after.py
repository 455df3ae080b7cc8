"""What an agent and an operator do in `ddp_agent` while the ranks train."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import NamedTuple

from digits.processes import Training, say
from digits.service import Service
from rheostat import Client, revert
from rheostat.errors import Refused
from rheostat.mcp.agent import Agent, Call, Called, ScriptedPolicy, Shown
from rheostat.mcp.tools import Tools

RUN, STEPS, EVERY = "digits", 200, 20  # its steps, and those from one report to the next
AGENTS = ("scout", "tuner")
"""The tokens of the agent: one that proposes, and one that changes within `LIMIT`."""
LIMIT = "changes=2/day, gap=40, parameters=lr/*, edits=scale, ratio=2"


class Timing(NamedTuple):
    """What differs between two trainings."""

    kill_at: int
    """When the service is killed: at a report while the agent thinks, else while ranks train."""
    rest: float
    """Seconds that a rank rests in each step, times its number."""
    think: float
    """Seconds that the agent thinks before each call."""


class Act(NamedTuple):
    """Something that the agent called: at which report, and what came of it."""

    step: int
    tool: str
    came: str

    @classmethod
    def of(cls, step: int, called: Called) -> Act:
        """Return what came of a call, without what differs from day to day."""
        if isinstance(called.refusal, Refused):
            fields = ", ".join(error.field for error in called.refusal.errors)
            return cls(step, called.call.tool, f"refused: {fields or called.refusal.code}")
        answer = called.answer or {}
        came = f"from {answer['effective']}" if "effective" in answer else "proposed"
        return cls(step, called.call.tool, came)


class Thinking(ScriptedPolicy):
    """The script, but that it takes its time, as a model does."""

    meanwhile: Callable[[Shown], None]
    """What happens before each decision."""

    def decide(self, shown: Shown) -> Call | None:
        """Let that happen, and decide."""
        self.meanwhile(shown)
        return super().decide(shown)


class Day:
    """
    Holds the run at each report, has the agent look, answers it, and lets the run go on.

    The operator accepts the first proposal, and lets the agent change the run by itself from then
    on. At the next one the operator has found out what was wrong.
    """

    def __init__(
        self, timing: Timing, service: Service, training: Training, clients: Mapping[str, Client]
    ) -> None:
        self.timing, self.service, self.training = timing, service, training
        self.admin, self.operator = clients["admin"], clients["ann"].control(RUN)
        policy = Thinking(rest=EVERY)
        policy.meanwhile = self.meanwhile
        proposing, changing = (clients[name] for name in AGENTS)
        self.proposing = Agent(Tools(proposing), RUN, policy)
        self.changing = Agent(Tools(changing, allow_changes=True), RUN, policy)
        self.agent: Agent | None = self.proposing
        self.acts: list[Act] = []
        self.refused = 0
        """How often the service says that it has refused the agent something."""

    def go(self) -> None:
        """Have the agent look at each report, for as long as there is one."""
        reports = 0
        for step in range(EVERY, STEPS, EVERY):
            reports = self.newer_than(reports)
            if self.agent is not None:
                self.look(self.agent, step)
            if self.agent is None:
                break
            self.operator.resume(until=step + EVERY, message="to the next report")
            if step < self.timing.kill_at < step + EVERY:
                self.training.reach(self.timing.kill_at)
                self.kill().join()
        self.operator.resume(message="to the end")

    def newer_than(self, newest: int) -> int:
        """Wait for a report newer than one, and return its number; fail as soon as a rank does."""
        while True:
            self.training.ranks.join(timeout=0.01)
            waited = self.proposing.tools.wait(RUN, "report", newest, 1)
            if waited["reports"] > newest:
                return int(waited["reports"])

    def look(self, agent: Agent, step: int) -> None:
        """Have the agent look at a report, and answer what it proposes."""
        for called in agent.look():
            self.acts.append(Act.of(step, called))
            self.say(f"agent calls {called}\n{'':13}since {called.call.arguments['why']}")
        for proposal in self.operator.proposals(state="open"):
            if agent is self.proposing:
                self.accept(proposal["proposal"])
            else:
                self.undo(proposal["proposal"])

    def accept(self, proposal: int) -> None:
        """Accept what the agent proposes, and hand it the token with a limit."""
        done = self.operator.accept(proposal, message="go on by yourself, within your limit")
        self.say(f"operator accepts, from step {done['effective']}, and allows {LIMIT}")
        self.agent = self.changing

    def undo(self, proposal: int) -> None:
        """Decline what the agent proposes, take back all that it did, and do without it."""
        self.refused = self.told_refused()
        self.operator.decline(proposal, message="a shard was broken, and is mended")
        before = 0
        for each in self.operator.history():
            if each["author"] in AGENTS:
                break
            if each["changes"]:
                before = each["revision"]
        change = {"lr/*": revert(before)}
        done = self.operator.change(change, message="a shard was broken, not the rates")
        self.admin.tokens.revoke(AGENTS[-1])
        self.say(f"operator declines, and takes all back from step {done['effective']}")
        self.agent = None

    def told_refused(self) -> int:
        """Return how often the service says that the agent was refused: it does within seconds."""
        wanted = sum(act.came.startswith("refused") for act in self.acts)
        told = 0
        for _ in range(100):
            allowance = self.changing.tools.brief(RUN)["allowance"]
            told = int(allowance["refused"])
            if told >= wanted:
                break
            time.sleep(0.1)
        return told

    def meanwhile(self, shown: Shown) -> None:
        """Let the agent think; and die, if it is the service's time."""
        time.sleep(self.timing.think)
        if shown.brief["settled_until"] == self.timing.kill_at and not shown.called:
            self.kill()

    def kill(self) -> Thread:
        """Kill the service, and return what starts it again."""
        self.service.kill()
        self.say("server killed with -9")
        starting = Thread(target=self.start)
        starting.start()
        return starting

    def start(self) -> None:
        """Start the service again."""
        self.service.start()
        self.say("server started again")

    def say(self, what: str) -> None:
        """Print what happens, and at which step."""
        say(self.training.progress, what)

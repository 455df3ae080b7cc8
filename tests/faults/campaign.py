"""One fault test from beginning to end: who takes part, what goes wrong, and how it is judged."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from random import Random
from typing import get_args

import numpy as np
from tests.faults import plan
from tests.faults.agents import NAME, Agent
from tests.faults.caller import Caller
from tests.faults.conductors import Conductor
from tests.faults.faults import Faults, upon, upon_database, upon_disk
from tests.faults.fleet import Fleet
from tests.faults.history import History, read_history
from tests.faults.judging import violations
from tests.faults.killing import Killed
from tests.faults.observations import Kind, Log, Report
from tests.faults.operators import Operator, Watchdogs
from tests.faults.proxy import Network
from tests.faults.reporters import Reporter
from tests.faults.threads import Threads
from tests.faults.workers import Reader, Trainer


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much happens: it ends when all of this has, however long that takes."""

    runs: int
    faults: Faults
    least: Mapping[str, int]
    """Of some figures, the number that is to be reached."""
    read: float
    """Mean seconds that a worker trains between two blocks."""
    change: float
    """Mean seconds between two changes of an operator."""
    rewind: int
    """Mean number of changes and rewinds, of all runs, between two rewinds of one."""
    report: float
    """Mean seconds between two requests with reports."""
    conduct: float
    """Mean seconds between two stops, pauses, signals, proposals or answers to one."""
    act: float
    """Mean seconds between two acts of an agent."""

    def shared(self, share: float) -> Scale:
        """Return a share of it, done as fast."""
        least = {what: math.ceil(number * share) for what, number in self.least.items()}
        return replace(self, least=least, faults=self.faults.shared(share))


@dataclass(frozen=True)
class Figures:
    """What has happened so far."""

    log: Log
    faults: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, fault: str) -> None:
        """Count a fault."""
        with self.lock:
            self.faults[fault] += 1

    def done(self) -> int:
        """Return how many changes, of whatever kind, were answered."""
        return len(self.log.writes)

    def all(self) -> Mapping[str, int]:
        """Return what was observed, and the faults that there were."""
        reads, writes = list(self.log.reads), list(self.log.writes)
        values = sum(read.values.size for read in reads if read.values is not None)
        values += sum(look.values.size for look in list(self.log.looks))
        done = Counter(f"{write.kind}s" for write in writes if write.answer is not None)
        repeated = sum(write.attempts > 1 for write in writes)
        refused = sum(write.refusal is not None for write in writes)
        return {
            "values": values,
            "answers": sum(read.answered is not None for read in reads),
            "unanswered": sum(read.answered is None for read in reads),
            **{f"{kind}s": done[f"{kind}s"] for kind in get_args(Kind)},
            "halts": done["stops"] + done["pauses"] + done["signals"],
            "reports": sum(_kept(report) for report in list(self.log.reports)),
            "again": sum(_repeated(report) for report in list(self.log.reports)),
            "decisions": len(_decisions(self.log)),
            "outcomes": len(self.log.outcomes),
            "beats": len(self.log.beats),
            "wrong": sum(beat.other is not None for beat in list(self.log.beats)),
            "saves": len(self.log.saves),
            "refused": refused,
            "beyond": sum(write.refusal == "limit-reached" for write in writes),
            "repeated": repeated,
            "joins": len(self.log.joins),
            **self.faults,
        }


@dataclass(frozen=True)
class Verdict:
    """What was done to a service, and what it broke."""

    seed: int
    figures: Mapping[str, int]
    seconds: float
    violations: Sequence[str]

    def followed_by(self, other: Verdict) -> Verdict:
        """Return what came of both, one after the other."""
        figures = Counter(self.figures) + Counter(other.figures)
        violations = [*self.violations, *other.violations]
        return Verdict(self.seed, figures, self.seconds + other.seconds, violations)

    def joined(self, killed: Killed) -> Verdict:
        """Return it with what came of kills between reports and their answers."""
        figures = {**self.figures, "killed": killed.kills, "decided": killed.decisions}
        return Verdict(self.seed, figures, self.seconds, [*self.violations, *killed.violations])


def run_campaign(
    fleet: Fleet, scale: Scale, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Verdict:
    """Let everybody work on a fleet through all faults, then judge what they saw."""
    begun, log = time.monotonic(), Log()
    figures = Figures(log)
    direct = [replica.url for replica in fleet.replicas]
    with ExitStack() as stack:
        secrets = fleet.secrets
        caller = stack.enter_context(Caller(direct, log, "", secrets["people"]))
        network = stack.enter_context(Network(f"{seed}-network", figures.count))
        urls = [network.to(url) for url in direct]
        team = _Team(urls, log, stack.enter_context(ExitStack()), secrets)
        faults, people = stack.enter_context(Threads()), stack.enter_context(Threads())
        runs = [_create(caller, f"{seed}-{index}") for index in range(scale.runs)]
        for index, run in enumerate(runs):
            team.employ(people, scale, run, f"{seed}-{index}")
        _unleash(faults, fleet, scale.faults, f"{seed}", figures)
        _wait(scale, figures, people, faults, tell)
        network.calm()
        people.stop()
        histories = {run: read_history(caller, run) for run in runs}
    found = violations(log, histories)
    found += [f"somebody failed: {failure!r}" for failure in (*people.failures, *faults.failures)]
    told = {**figures.all(), "ledger": _in_ledgers(histories), "runs": scale.runs}
    told["acts"] = sum(
        item["author"] == NAME for each in histories.values() for item in each.revisions
    )
    return Verdict(seed, told, time.monotonic() - begun, found)


def _kept(report: Report) -> int:
    return int(report.answer["kept"]) if report.answer is not None else 0


def _repeated(report: Report) -> int:
    answer = report.answer
    return 0 if answer is None else int(answer["repeated"]) + len(answer["differs"])


def _decisions(log: Log) -> set[tuple[str, int]]:
    """Return the decisions that were told, by run and event."""
    return {
        (report.run, decision["event"])
        for report in list(log.reports)
        if report.answer is not None
        for decision in report.answer["decisions"]
    }


def _create(caller: Caller, name: str) -> str:
    body = {
        "name": f"run-{name}",
        "parameters": plan.parameters(Random(f"{name}-plan")),
        "controllers": plan.CONTROLLERS,
        "signals": plan.SIGNALS,
    }
    key = {"Idempotency-Key": name}
    answer = caller.ask("POST", "/v1/runs", json=body, headers=key).response
    return str(answer.raise_for_status().json()["id"])


@dataclass(frozen=True)
class _Team:
    """Those who use the runs, through the proxies at ``urls``."""

    urls: list[str]
    log: Log
    stack: ExitStack
    secrets: Mapping[str, str]

    def employ(self, threads: Threads, scale: Scale, run: str, seed: str) -> None:
        """Let workers, reporters, operators and watchdogs use one run."""
        for number in range(2):
            caller, source = self._caller(f"{seed}-reader-{number}"), f"rank-{number}"
            threads.add(Reader(caller, run, source, scale.read).work)
        url, people = Random(seed).choice(self.urls), self.secrets["people"]
        threads.add(Trainer(url, self.log, run, scale.read / 32, people).work)
        threads.add(Operator(self._caller(f"{seed}-operator"), run, scale.change).work)
        threads.add(Watchdogs(self._two(f"{seed}-dog"), run, scale.rewind).work)
        threads.add(Reporter(self._two(f"{seed}-reporter"), run, scale.report).work)
        threads.add(Conductor(self._two(f"{seed}-conductor"), run, scale.conduct).work)
        threads.add(Agent(self._two(f"{seed}-agent", NAME), run, scale.act).work)

    def _two(self, seed: str, who: str = "people") -> tuple[Caller, Caller]:
        return self._caller(f"{seed}-0", who), self._caller(f"{seed}-1", who)

    def _caller(self, seed: str, who: str = "people") -> Caller:
        made = Caller(self.urls, self.log, seed, self.secrets[who], is_limited=who == NAME)
        return self.stack.enter_context(made)


def _unleash(threads: Threads, fleet: Fleet, faults: Faults, seed: str, figures: Figures) -> None:
    """Let the faults begin."""
    for number, victim in enumerate(fleet.replicas):
        threads.add(upon(victim, number, len(fleet.replicas), faults, seed, figures))
    if fleet.database is not None:
        threads.add(upon_database(fleet.database, faults, seed, figures))
    if fleet.disk is not None:
        threads.add(upon_disk(fleet.disk, faults, seed, figures))


def _wait(
    scale: Scale, figures: Figures, people: Threads, faults: Threads, tell: Callable[[str], None]
) -> None:
    """Wait until all has happened, or something went wrong with the test itself."""
    while not (people.failures or faults.failures or figures.log.strange):
        reached = figures.all()
        tell(", ".join(f"{number:,} {what}" for what, number in reached.items()))
        if faults.done and all(reached[what] >= least for what, least in scale.least.items()):
            break
        time.sleep(1.0)
    faults.stop()


def _in_ledgers(histories: Mapping[str, History]) -> int:
    return sum(
        int((~np.isnan(column)).sum())
        for history in histories.values()
        for column in history.ledger.values()
    )

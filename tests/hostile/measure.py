"""
What the attacks do to everybody else, as a table.

    python -m tests.hostile.measure                                  # this checkout
    python -m tests.hostile.measure --before PATH --write            # and an older one beside it

Each attack runs against a server of its own, which requires tokens and may at first open 1,024
files. Meanwhile a second process asks for ``/livez``, each time on a new connection, and on another
one for a settled block of a run that the attacker leaves alone. The longest answer of each counts,
connections that fail included: until one succeeds. A server that does not answer for `PATIENCE`
seconds is killed. With ``--write`` the table is put into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.forks import FORKS
from tests.hostile import attacks, socket_attacks
from tests.hostile.attacks import Attack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"

PATIENCE = 30.0
"""Seconds after which an answer is waited for no more."""

ALONE = 1.5
"""Seconds for which a server is asked before it is attacked."""

FILES = 1024
"""Open files that a server may have when it starts, as most shells have it."""

SERVE = f"""
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min({FILES}, hard), hard))
from rheostat.server import serve, settings
serve.serve(settings.Settings())
"""
TOKENS = """
import sys
from rheostat.server.store.opening import StoredTokens, open_store
from rheostat.server.settings import Settings
store = open_store(Settings(database=sys.argv[1]))
for name in ("attacker", "victim"):
    print(StoredTokens(store, "measure").create(name, "worker")["token"])
store.close()
"""
RUN = {"parameters": {"lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10_000}}}


def every_attack() -> list[Attack]:
    """Return all attacks, those by bodies first."""
    return [*attacks.ATTACKS, *socket_attacks.ATTACKS]


class Longest(NamedTuple):
    """The longest answers of a while, in seconds."""

    livez: float
    settled: float


class Outcome(NamedTuple):
    """What an attack did."""

    alone: Longest
    attacked: Longest
    memory: float
    """MiB, the most that the server had."""


@dataclass(frozen=True)
class Target:
    """A server, and who uses it."""

    url: str
    attacker: str
    victim: str
    process: subprocess.Popen[str]

    @property
    def memory(self) -> float:
        """Return the most memory that it has had, in MiB."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def served(service: Path) -> Iterator[Target]:
    """Run the server of a checkout, with two workers' tokens."""
    environment = {**os.environ, "PYTHONPATH": str(service / "service")}
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/rheostat.db"
        create = [sys.executable, "-c", TOKENS, database]
        made = subprocess.run(create, env=environment, check=True, capture_output=True, text=True)
        settings = {"RHEOSTAT_DATABASE": database, "RHEOSTAT_PORT": "0", "RHEOSTAT_AUTH": "true"}
        with Path(folder, "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", SERVE],
                env=environment | settings,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, Path(folder, "log").read_text()
        attacker, victim = made.stdout.split()
        try:
            yield Target(found[0], attacker, victim, process)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


class Prober:
    """Asks a server again and again, in a process of its own, and says how long it took."""

    def __init__(self, target: Target) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        run = _new_run(target)
        arguments = (target.url, target.victim, run, theirs)
        self._process = context.Process(target=probe, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it is ready

    def longest(self) -> Longest:
        """Return the longest answers since it was asked last, once one of each has come."""
        self._pipe.send("tell")
        if not self._pipe.poll(PATIENCE):
            return Longest(PATIENCE, PATIENCE)
        return Longest(*self._pipe.recv())

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()


def _new_run(target: Target) -> str:
    parts = urlsplit(target.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {target.victim}", "Content-Type": "application/json"}
    connection.request("PUT", "/v1/runs/victim", json.dumps(RUN), headers)
    run = str(json.loads(connection.getresponse().read())["id"])
    connection.close()
    return run


def probe(url: str, token: str, run: str, pipe: Connection) -> None:
    """Ask for ``/livez`` and for a settled block by turns, and tell the longest when asked."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    block = f"/v1/runs/{run}/values?generation=1&start=0&count=64"
    headers = {"Authorization": f"Bearer {token}"}
    kept = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    _until_answered(kept, block, headers)
    pipe.send("ready")
    livez = settled = 0.0
    while True:
        fresh = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        livez = max(livez, _until_answered(fresh, "/livez", {}))
        fresh.close()
        settled = max(settled, _until_answered(kept, block, headers))
        if pipe.poll(0.02):
            pipe.recv()
            pipe.send((livez, settled))
            livez = settled = 0.0


def _until_answered(connection: http.client.HTTPConnection, path: str, headers: object) -> float:
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        try:
            connection.request("GET", path, headers=dict(headers))  # type: ignore[call-overload]
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                break
        except (OSError, http.client.HTTPException):
            pass
        connection.close()
        time.sleep(0.01)
    return time.monotonic() - began


def attacked(target: Target, prober: Prober, attack: Attack) -> Outcome:
    """Attack a server once, and return what became of it."""
    time.sleep(ALONE)
    alone = prober.longest()
    arguments = (attack.name, target.url, target.attacker, socket_attacks.SECONDS)
    attacker = FORKS.Process(target=_attack, args=arguments, daemon=True)
    attacker.start()
    attacker.join(PATIENCE)
    longest = prober.longest()
    if attacker.is_alive():
        attacker.kill()
        attacker.join()
    return Outcome(alone, longest, target.memory)


def _attack(name: str, url: str, token: str, seconds: float) -> None:
    socket_attacks.SECONDS = seconds
    socket_attacks.raise_open_files()
    attack = next(each for each in every_attack() if each.name == name)
    with suppress(OSError, http.client.HTTPException):
        attack.send(url, token)


def measure(service: Path, attack: Attack) -> Outcome:
    """Attack a new server of a checkout; one that answers no more is killed."""
    with served(service) as target:
        prober = Prober(target)
        try:
            outcome = attacked(target, prober, attack)
        finally:
            prober.stop()
        if max(outcome.attacked) >= PATIENCE:
            target.process.send_signal(signal.SIGKILL)
        return outcome


def table(names: list[str], found: list[list[Outcome]]) -> str:
    """Return the table: for each attack and checkout, the longest answers and the memory."""
    columns = ["attack"]
    for which in ("before", "after")[-len(found[0]) :]:
        note = f", {which}" if len(found[0]) > 1 else ""
        columns += [f"/livez{note}", f"settled read{note}", f"alone{note}", f"memory{note}"]
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)]]
    for name, outcomes in zip(names, found, strict=True):
        cells = [name]
        for outcome in outcomes:
            cells += [_seconds(outcome.attacked.livez), _seconds(outcome.attacked.settled)]
            cells += [_seconds(max(outcome.alone)), f"{outcome.memory:,.0f} MiB"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(value: float) -> str:
    return f"over {PATIENCE:.0f} s" if value >= PATIENCE else f"{value * 1000:,.0f} ms"


def write(text: str) -> None:
    """Put the table between its marks in the page."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description="Attack a server, and measure what others feel.")
    parser.add_argument("--service", type=Path, default=ROOT, help="the checkout to be attacked")
    parser.add_argument("--before", type=Path, help="an older checkout, measured beside it")
    parser.add_argument("--only", help="the attacks whose names have this in them")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long an attack holds on")
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    asked = parser.parse_args()
    socket_attacks.SECONDS = asked.seconds
    services = [asked.before, asked.service] if asked.before else [asked.service]
    chosen = [attack for attack in every_attack() if (asked.only or "") in attack.name]
    found = []
    for attack in chosen:
        found.append([measure(service, attack) for service in services])
        line = table([attack.name], found[-1:]).splitlines()[-1]
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    text = table([attack.name for attack in chosen], found)
    sys.stdout.write(f"{text}\n")
    if asked.write:
        write(text)


if __name__ == "__main__":
    main()

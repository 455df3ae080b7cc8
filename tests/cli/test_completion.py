"""Completion: what a shell is told that may come next, by the scripts that it is given."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.cli.conftest import NOWHERE
from tests.cli.running import command_tree

from rheostat.changes import EDITS
from rheostat.cli.completion import asking
from rheostat.cli.completion.answers import answer
from rheostat.cli.completion.line import split
from rheostat.cli.completion.offers import OFFERS, offering
from rheostat.cli.completion.places import choices
from rheostat.cli.completion.scripts import SHELLS, install, script
from rheostat.schedules import KINDS

BREAKS = " \t\n\"'@><=;|&(:"
"""What bash takes for the ends of words, unless somebody has changed it."""

UNKNOWABLE = {
    *("ADDRESS", "AXIS", "CELLS", "N", "NAME", "NAME.WHAT=VALUE", "NAME=VALUE", "PARAMETERS"),
    *("PARAMETER.BOUND=VALUE", "PARAMETER.WHAT=TEXT", "PORT", "ROWS", "S", "SECONDS", "STEP"),
    *("SIGNAL.WHAT=VALUE", "STEPS", "TEXT", "TOKEN", "URL", "VALUE", "WHAT=VALUE", "PREFIX"),
    *("SELECTOR", "SECRET", "AGE", "TIME", "PLAN", "LIMIT", "except=LIST"),
    "'WORD [NAME=VALUE …]'",
}
"""What help calls numbers, texts and new names, which nobody can complete."""


def completed(line: str, url: str = NOWHERE) -> list[str]:
    """Return what bash is told may complete a line: that part of it behind its last break."""
    variables = {"_RHEOSTAT_COMPLETE": "bash", "RHEOSTAT_URL": url, "COMP_WORDBREAKS": BREAKS}
    mode, *words = answer([f"rheostat {line}"], variables).splitlines()
    return [mode] if mode == "files" else words


def parameters(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for each in command.params:
        yield path, each
    for name, below in getattr(command, "commands", {}).items():
        yield from parameters(below, (*path, name))


@pytest.mark.parametrize(
    ("line", "words", "last"),
    [
        ("rheostat run sh", ["rheostat", "run"], "sh"),
        ("rheostat run  show ", ["rheostat", "run", "show"], ""),
        ("r -m 'loss spike' g", ["r", "-m", "loss spike"], "g"),
        ('r -m "loss sp', ["r", "-m"], "loss sp"),
        (r"r a\ b\'c", ["r"], "a b'c"),
        ("", [], ""),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str], last: str) -> None:
    """Quotes and backslashes belong to words, also of one that is not finished."""
    assert split(line) == (words, last)


def test_every_parameter_is_completed_or_known_not_to_be() -> None:
    """A new argument or option says what completes it, or is named among those with nothing."""
    left_out = {
        (*path, each.opts[0])
        for path, each in parameters(command_tree())
        if not getattr(each, "is_flag", False)
        and offering(path, each) is None
        and not choices(each)
        and each.metavar not in UNKNOWABLE
    }
    assert left_out == set()
    used = {
        key
        for path, each in parameters(command_tree())
        for key in (each.metavar, " ".join((*path, each.metavar or "")))
    }
    assert OFFERS.keys() - used == set()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru", ["run"]),
        ("run cha", ["change"]),
        ("run create --tot", ["--total"]),
        ("run change gpt lr sc", ["scale", "schedule"]),
        ("run change gpt lr ramp 0 steps=100 sh", ["shape="]),
        ("run change gpt lr ramp 0 shape=1-", ["1-sqrt"]),
        ("run change gpt lr hold 5 --then ", ["rejoin", "shift"]),
        ("run change gpt lr hold 5 then=r", ["rejoin"]),
        ("run protect gpt --except pau", ["pause"]),
        ("run change gpt lr cosine st", ["start=", "steps="]),
        ("run change gpt lr cosine start=1 st", ["steps="]),
        ("run change gpt lr cosine clock=", ["run", "change"]),
        ("run change gpt --clock ", ["run", "change"]),
        ("run change gpt --clock=c", ["change"]),
        ("run change gpt lr scale 0.5 , wd @", ["files"]),
        ("run create new lr wsd pea", ["peak="]),
        ("run create new lr=@", ["files"]),
        ("run list --state st", ["stuck", "stopped"]),
        ("run change gpt --wait=p", ["proven"]),
        ("hook set a https://x.org -e sto", ["stopped"]),
        ("plot cosine start=1 , lin", ["linear"]),
        ("plot warmup then.ki", ["then.kind="]),
        ("plot warmup then.kind=cosi", ["cosine", "cosine_restarts"]),
        ("run arm gpt plateau mode=m", ["min", "max"]),
        ("convert tor", ["torch", "torchtitan"]),
        ("convert torch Cosine", ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]),
        ("nowhere ", []),
    ],
)
def test_what_the_command_knows_needs_no_service(line: str, expected: list[str]) -> None:
    """Commands, options, edits, kinds with their fields, and what each takes."""
    assert completed(line) == expected


def test_all_edits_and_kinds_are_offered() -> None:
    """What may follow a parameter is each edit, each kind, and a schedule of the library."""
    assert set(completed("run change gpt lr ")) == {*EDITS, *KINDS, "schedule"}


def test_names_come_from_the_service(
    server: str, http: httpx.Client, new_name: Callable[[], str], operator: Any
) -> None:
    """Runs, and of the run named before: parameters, revisions, generations, tags, controllers."""
    name = new_name()
    words = f"run create {name} lr=0.1 weight_decay=0.01 --total 1000 --signal save.text=now"
    assert operator(words).code == 0
    assert operator(f"run change {name} lr scale 0.5 --at 500 -m half").code == 0
    assert operator(f"run arm {name} plateau metric=val_loss patience=3").code == 0
    saved = {"generation": 1, "step": 0, "tag": "first", "source": "0"}
    run = http.get(f"/v1/runs/{name}").json()
    http.post(f"/v1/runs/{run['id']}/checkpoints", json=saved).raise_for_status()
    assert completed(f"run show {name[:-1]}", server).count(name) == 1
    assert completed(f"run change {name} ", server) == ["lr", "weight_decay"]
    assert completed(f"run change {name} lr scale 0.5, w", server) == ["weight_decay"]
    assert completed(f"run change {name} lr revert ", server)[:2] == ["1", "2"]
    assert completed(f"run cancel {name} ", server) == ["2"]
    assert completed(f"run rewind {name} --from-generation ", server) == ["1"]
    assert completed(f"run rewind {name} --to-checkpoint ", server) == ["first"]
    assert completed(f"run rewind {name} 5 we", server) == ["weight_decay"]
    assert completed(f"run disarm {name} ", server) == ["plateau"]
    assert completed(f"run signal {name} ", server) == ["save"]
    assert completed(f"run show {name} --server {NOWHERE} ", server) != []
    assert completed(f"run change {name} ", NOWHERE) == []


def test_a_service_that_is_silent_costs_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever presses the key waits so long in all, however often the service would be asked."""
    waited: list[float] = []
    join = Thread.join

    def counted(thread: Any, seconds: float | None = None) -> None:
        waited.append(seconds or 0.0)
        join(thread, seconds)

    monkeypatch.setattr(Thread, "join", counted)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        offered = completed("run change gpt lr revert ", url)
    assert all(each.startswith("--") for each in offered)
    assert 0 < sum(waited) <= asking.PATIENCE


def test_nothing_that_goes_wrong_is_seen() -> None:
    """A broken request of a shell, and what another program says in place of the service."""
    for variables in ({"_RHEOSTAT_COMPLETE": "ksh"}, {"_RHEOSTAT_COMPLETE": "bash"}):
        done = subprocess.run(
            [sys.executable, "-m", "rheostat.cli"],
            env={**os.environ, **variables},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_bash_completes_with_the_script_that_it_is_given(
    server: str, run: str, tmp_path: Path
) -> None:
    """The real bash asks the real command by the real protocol, and gets what it may insert."""
    bin_ = tmp_path / "rheostat"
    bin_.write_text(f'#!/bin/sh\nexec {sys.executable} -m rheostat.cli "$@"\n')
    bin_.chmod(0o755)
    (tmp_path / "completion.bash").write_text(script("bash"))
    asked = "\n".join(
        f"COMP_LINE='{line}' COMP_POINT={len(line)}; COMPREPLY=(); _rheostat_completion rheostat"
        ' 2>/dev/null; echo "${COMPREPLY[*]}"'
        for line in (f"rheostat run show {run}", f"rheostat run change {run} lr ramp 0 shape=co")
    )
    done = subprocess.run(
        [
            shutil.which("bash") or "/bin/bash",
            "--norc",
            "-c",
            f"source {tmp_path}/completion.bash\n{asked}",
        ],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RHEOSTAT_URL": server},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [run, "cosine"]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_is_read_by_its_shell(shell: str) -> None:
    """A script has no mistake that its shell would find; shells that are not there are left out."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell}")
    option = "--no-execute" if shell == "fish" else "-n"
    subprocess.run([found, option], input=script(shell), text=True, check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_twice_is_installing_once(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is where the shell looks, and what the shell reads first names it once."""
    monkeypatch.setenv("HOME", str(tmp_path))
    first = SHELLS[shell].start
    if first is not None:
        (tmp_path / first).write_text("alias ll='ls -l'")
    assert install(shell) == install(shell) == tmp_path / SHELLS[shell].path
    assert (tmp_path / SHELLS[shell].path).read_text() == script(shell)
    if first is not None:
        lines = (tmp_path / first).read_text().splitlines()
        assert lines == ["alias ll='ls -l'", SHELLS[shell].lines]


def test_the_options_print_and_install(rheostat: Any, tmp_path: Path) -> None:
    """`--show-completion` and `--install-completion`, with the name of a shell or without."""
    assert rheostat("--show-completion zsh").out == script("zsh")
    assert rheostat("--install-completion=fish", HOME=str(tmp_path)).code == 0
    assert (tmp_path / SHELLS["fish"].path).is_file()
    unknown = rheostat("--show-completion=ksh")
    assert (unknown.code, "bash, zsh, fish" in unknown.err) == (2, True)

"""The command as a process: exit codes, signals, what it loads, and `rheostat serve`."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

COMMAND = [sys.executable, "-m", "rheostat.cli"]


@contextmanager
def started(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *words],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_session_works_from_start_to_end(process: Any, new_name: Callable[[], str]) -> None:
    """What is made by one command is seen by the next, and machines get JSON (P4)."""
    name = new_name()
    assert process(f"run create {name} lr=0.1").code == 0
    assert process(f"run change {name} lr scale 0.5 -m half").code == 0
    assert process(f"run show {name} --json").json["current"] == {"lr": 0.05}
    assert "half" in process(f"run history {name}").out


def test_exit_codes_tell_failures_apart(process: Any, rheostat: Any) -> None:
    """1 is refused, 2 is misused, 3 is unreachable; each with a reason and no traceback."""
    refused = process("run show nowhere")
    misused = process("run show")
    away = rheostat("run show gpt")
    assert (refused.code, misused.code, away.code) == (1, 2, 3)
    assert refused.err == "Refused: there is no run 'nowhere'  [404 unknown-run]\n"
    assert "Missing argument 'RUN'" in misused.err
    assert "\nError: no answer from http://127.0.0.1:1: " in away.err
    assert not any("Traceback" in ran.err or ran.out for ran in (refused, misused, away))


def test_interrupts_are_quiet() -> None:
    """Ctrl-C ends a command that waits with exit code 130 and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started("run", "list", "--server", url) as process:
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(4) == b"GET "
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def test_a_closed_pipe_is_no_failure_to_speak_of() -> None:
    """`rheostat … | head` ends without a traceback."""
    with started(
        "evaluate", "constant", "value=1", "--stop", "200000", "--format", "csv"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "step,value\n"
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("words", [["--help"], ["run", "change", "--help"], ["--version"]])
def test_help_is_fast(words: list[str]) -> None:
    """Help loads neither NumPy nor the server nor an HTTP client."""
    heavy = ["numpy", "fastapi", "httpx", "sqlalchemy", "matplotlib", "rich", "rheostat.schedules"]
    program = f"""
import atexit, sys
from rheostat.cli import main
atexit.register(lambda: print([name for name in {heavy} if name in sys.modules], file=sys.stderr))
sys.argv = ["rheostat", *{words}]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("missing", ["typer", "numpy", "uvicorn"])
def test_without_the_extra_one_sentence_says_what_to_install(missing: str) -> None:
    """A bare `pip install rheostat` has the command; it says what it needs and exits with 1."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
from rheostat.cli import main
sys.argv = ["rheostat", *{["serve"] if missing != "numpy" else ["plot", "1"]}]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    sentence = f'The command line needs {missing}: pip install "rheostat[server]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_serve_says_when_it_is_ready_and_stops_cleanly(tmp_path: Path) -> None:
    """Options win over variables; one line names address and database; SIGTERM ends it with 0."""
    database = f"sqlite:///{tmp_path / 'runs.db'}"
    options = ("--port", "0", "--database", database)
    with started("serve", *options, RHEOSTAT_PORT="1", RHEOSTAT_LOG_LEVEL="warning") as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert [words[0], *words[2:3], *words[4:]] == ["Rheostat", "serves", "from", database]
        assert httpx.get(f"{words[3]}/readyz").status_code == 200
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_serve_needs_no_streams(tmp_path: Path) -> None:
    """A server whose standard streams are closed or full serves, and no file takes their place."""
    database = f"sqlite:///{tmp_path / 'runs.db'}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for streams in ("<&- >&- 2>&-", ">/dev/full 2>/dev/full"):
        line = f'exec "$@" {streams}'
        options = ("--port", str(port), "--database", database, "--workers", "2")
        command = ["/bin/sh", "-c", line, "sh", sys.executable, "-m", "rheostat.cli", "serve"]
        with subprocess.Popen([*command, *options]) as process:
            while True:
                assert process.poll() is None
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/livez")
                except httpx.TransportError:
                    time.sleep(0.1)
                else:
                    break
            assert answer.status_code == 200
            process.terminate()
            assert process.wait(timeout=60) == 0


def test_serve_refuses_settings_that_make_no_sense(process: Any) -> None:
    """A wrong variable is named, and an open address needs --no-auth (exit code 2)."""
    wrong = process("serve", RHEOSTAT_MAX_BLOCK="many")
    assert (wrong.code, "RHEOSTAT_MAX_BLOCK" in wrong.err) == (2, True)
    public = process("serve --host 0.0.0.0 --port 0")
    assert (public.code, "--no-auth" in public.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ("--auth", "or leave --auth out"),
        ("--auth --host 0.0.0.0", "or give --no-auth in place of --auth to serve everybody"),
    ],
)
def test_serve_without_tokens_says_what_to_do(
    options: str, way_out: str, process: Any, tmp_path: Path
) -> None:
    """Both ways out work: tokens are made by a command, and no options contradict each other."""
    ran = process(f"serve {options} --port 0 --database sqlite:///{tmp_path / 'runs.db'}")
    assert (ran.code, "rheostat token create" in ran.err) == (2, True)
    assert way_out in ran.err


def test_serve_has_the_defaults_of_the_settings() -> None:
    """What --help says of a setting is what the server does without option and variable."""
    from rheostat.cli.commands.serving import serve
    from rheostat.server.environment import variable
    from rheostat.server.settings import Settings

    options = inspect.get_annotations(serve, eval_str=True)
    assert options.keys() - Settings.model_fields.keys() == {"return", "ready_fd", "linger"}
    for name in options.keys() & Settings.model_fields.keys():
        (option,) = options[name].__metadata__
        default = Settings.model_fields[name].default
        usual = f", or {default}" if default is not False else ""
        assert option.show_default == f"{variable(name)}{usual}"
        assert inspect.signature(serve).parameters[name].default is None

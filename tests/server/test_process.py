"""The server as a process: its one line, its exit codes, its workers, its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import RunningServer, open_tokens
from tests.forks import Program

PROGRAM = "from rheostat.server import serve, settings; serve.serve(settings.Settings())"
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 8}


def refused(folder: Path, **settings: object) -> tuple[int, str]:
    """Start a server that cannot serve; return its exit code and what it said."""
    settings = {"database": f"sqlite:///{folder / 'x.db'}", "port": 0, **settings}
    names = {f"RHEOSTAT_{name.upper()}": str(value) for name, value in settings.items()}
    program, log = folder / "program.py", folder / "log.txt"
    program.write_text(PROGRAM)
    log.write_text("")
    process = Program(program, os.environ | names, log)
    code, said = process.wait(60), log.read_text()
    assert process.first_line() == ""
    assert said.count("\n") == 1, said
    return code, said


def workers_of(running: Any) -> list[int]:
    """Return the process ids of a server's workers."""
    supervisor = running.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    return [pid for pid, command in commands.items() if "spawn_main" in command]


def wait_for_the_end_of(pids: list[int]) -> None:
    """Return when none of the processes runs any more."""
    while any(map(runs, pids)):
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Say whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(workers: int, number: int, start_server: Any) -> None:
    """A server that is told to stop does, with exit code 0 and nothing to complain about."""
    running = start_server(workers=workers, log_level="warning")
    assert running.stop(number) == 0
    assert running.log == ""


def test_the_line_names_address_and_database(start_server: Any) -> None:
    """The ready line names the port that was taken, and the database."""
    running = start_server(host="localhost")
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", running.url)
    assert httpx.get(f"{running.url}/readyz").status_code == 200


ALL = "0.0.0.0"  # noqa: S104 - every address of this machine


@pytest.mark.parametrize(
    ("settings", "otherwise"),
    [
        ({"host": ALL}, "add --no-auth"),
        ({"auth": "true"}, "leave --auth out"),
        ({"host": ALL, "auth": "true"}, "give --no-auth in place of --auth"),
    ],
    ids=["beyond", "asked for", "both"],
)
def test_nobody_is_locked_out_by_mistake(tmp_path: Path, settings: Any, otherwise: str) -> None:
    """A server that would require tokens, and has none, refuses to start and says what to do."""
    for _ in range(2):
        code, said = refused(tmp_path, **settings)
        assert code == 2
        assert f"rheostat token create NAME --role admin --database sqlite:///{tmp_path}" in said
        assert otherwise in said
        # a token that was revoked is none
        with open_tokens(f"sqlite:///{tmp_path / 'x.db'}") as tokens:
            tokens.create("ann", "admin")
            tokens.revoke("ann")


def test_other_machines_need_a_token_or_an_explicit_word(tmp_path: Path, start_server: Any) -> None:
    """A server that other machines can reach requires tokens, unless told `--no-auth`."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    with open_tokens(database) as tokens:
        secret = tokens.create("ann", "viewer")["token"]
    closed = start_server(host=ALL, database=database)
    opened = start_server(host=ALL, no_auth="true")
    for running, headers, status in (
        (closed, {}, 401),
        (closed, {"authorization": f"Bearer {secret}"}, 200),
        (opened, {}, 200),
    ):
        url = running.url.replace(ALL, "127.0.0.1")
        answer = httpx.get(f"{url}/v1/runs", headers={"host": "gpu-box", **headers})
        assert answer.status_code == status


def test_two_workers_refuse_a_revoked_token(tmp_path: Path, start_server: Any) -> None:
    """Every process asks the database again after some seconds."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    with open_tokens(database) as tokens:
        secret = tokens.create("ann", "viewer")["token"]
        running = start_server(workers=2, auth="true", database=database)
        assert {status(running, secret) for _ in range(8)} == {200}
        tokens.revoke("ann")
        refusals = 0
        while refusals < 12:  # each request is a connection of its own, to either worker
            refusals = refusals + 1 if status(running, secret) == 401 else 0
            time.sleep(0.1)


def status(running: Any, secret: str) -> int:
    """Return the status of a request with a token."""
    with running.client() as http:
        answer = http.get("/v1/runs", headers={"authorization": f"Bearer {secret}"})
        return int(answer.status_code)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """A port that somebody else listens on ends the start with one clear sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(tmp_path, port=port)
    assert code == 1
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize(
    ("database", "code"),
    [
        ("sqlite:////nowhere/at/all/x.db", 1),
        ("postgresql://ann:secret@127.0.0.1:9/x", 1),
        ("mysql://127.0.0.1/x", 2),
        ("sqlite://", 2),
    ],
)
def test_a_wrong_database_is_one_sentence(database: str, code: int, tmp_path: Path) -> None:
    """A database that cannot be had ends the start with one sentence, without its password."""
    returned, said = refused(tmp_path, database=database)
    assert returned == code
    assert "secret" not in said


def test_what_is_acknowledged_survives_kill_9(start_server: Any) -> None:
    """P4: a schedule that was acknowledged is there after `kill -9`, on the same port."""
    running = start_server()
    with running.client() as http:
        kept = http.put("/v1/schedules/a", json={"definition": LINE})
    url = running.url
    running.kill()
    running.restart()
    assert running.url == url
    with running.client() as http:
        assert http.get("/v1/schedules/a").json() == kept.json()


def test_two_workers_serve_one_library(start_server: Any) -> None:
    """P7: what one worker acknowledged every worker knows, and any answers for all in figures."""
    running = start_server(workers=2)
    assert len(workers_of(running)) == 2
    versions = []
    for value in range(24):
        with running.client() as http:  # a connection of its own, to either worker
            body = {"definition": {"kind": "constant", "value": value}}
            versions.append(http.put("/v1/schedules/a", json=body).json()["version"])
    assert versions == [*range(1, 25)]
    while counted(running, "PUT", "/v1/schedules/{name}") < 24:  # they tell each other each second
        time.sleep(0.1)
    assert counted(running, "PUT", "/v1/schedules/{name}") == 24


def figure(running: Any, name: str) -> float:
    """Return a figure without labels that all processes together tell."""
    with running.client() as http:
        lines = http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def counted(running: Any, method: str, route: str) -> float:
    """Return how many requests of a route all workers together say that they have answered."""
    with running.client() as http:
        families = text_string_to_metric_families(http.get("/metrics").text)
    wanted = {"method": method, "route": route}
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "rheostat_http_request_duration_seconds_count"
        and wanted.items() <= sample.labels.items()
    )


def test_workers_end_with_their_supervisor(start_server: Any) -> None:
    """When the supervisor alone is killed, its workers stop by themselves and free the port."""
    running = start_server(workers=2)
    workers = workers_of(running)
    running.process.kill()
    running.wait()
    wait_for_the_end_of(workers)
    running.restart()


def test_a_worker_that_dies_is_replaced(start_server: Any) -> None:
    """P4: after a worker was killed others answer, and the log says who it was, and of what."""
    running = start_server(workers=2, log_level="error")
    with running.client() as http:
        http.put("/v1/schedules/a", json={"definition": LINE}).raise_for_status()
    victim, *others = workers_of(running)
    os.kill(victim, signal.SIGBUS)
    wait_for_the_end_of([victim])
    for _ in range(8):
        with running.client() as http:
            assert http.get("/v1/schedules/a/values/4").json()["value"] == 0.5
    while len(workers_of(running)) < 2:
        time.sleep(0.05)
    assert set(workers_of(running)) >= {*others}
    while figure(running, "rheostat_processes") < 2:  # they tell each other each second
        time.sleep(0.1)
    assert figure(running, "rheostat_process_restarts_total") == 1
    assert running.stop() == 0
    (line,) = running.log.splitlines()
    assert f"ERROR rheostat.supervisor worker {victim} was killed by SIGBUS after " in line
    assert line.endswith(" s; another takes its place now")


def test_figures_survive_their_worker(start_server: Any) -> None:
    """No sum goes down when a worker is killed, and one who takes its place counts on."""
    running = start_server(workers=2)
    for number in range(24):
        with running.client() as http:
            http.put(f"/v1/schedules/a-{number}", json={"definition": LINE}).raise_for_status()
    seen = 0.0
    while seen < 24:
        seen = counted(running, "PUT", "/v1/schedules/{name}")
        time.sleep(0.1)
    for victim in workers_of(running):
        os.kill(victim, signal.SIGKILL)
        wait_for_the_end_of([victim])
    for _ in range(8):
        assert counted(running, "PUT", "/v1/schedules/{name}") == 24


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("shared", ["tmpfs", "nothing"])
def test_a_full_disk_kills_no_worker(shared: str, tmp_path: Path) -> None:
    """P13: figures may be lost when the temporary folder is full or missing, and nothing else."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=400k", "none", temporary], check=True)
    folder = tmp_path / "server"
    folder.mkdir()
    program = WITHOUT_MEMORY.format(where=str(temporary) if shared == "tmpfs" else "/nowhere")
    running = RunningServer(folder, {"workers": 2, "log_level": "warning"}, program)
    try:
        before = workers_of(running)
        with suppress(OSError), (temporary / "full").open("wb") as file:
            for _ in range(500):
                file.write(bytes(1024))
                file.flush()
        for path in ("/v1/runs", "/v1/kinds", "/v1/kinds/cosine", "/v1/schedules", "/nowhere") * 3:
            with running.client() as http:
                assert http.get(path).status_code in {200, 404}
            time.sleep(0.2)  # they share their figures in the meantime
        # not even those of the others: whoever answered has counted it
        assert any(counted(running, "GET", "/v1/runs") for _ in range(50))
        assert workers_of(running) == before
        assert running.stop() == 0
        assert "figures" in running.log
        assert [*temporary.iterdir()] == [temporary / "full"]
    finally:
        running.close()
        subprocess.run(["/bin/umount", "--lazy", temporary], check=True)


WITHOUT_MEMORY = """
import os, tempfile
del os.memfd_create  # as on a system that has none, or allows none
tempfile._candidate_tempdir_list = lambda: [{where!r}]
from rheostat.server.serve import serve
from rheostat.server.settings import Settings
if __name__ == "__main__":
    serve(Settings())
"""


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize("workers", [1, 2])
def test_no_file_is_mapped(
    variable: str, workers: int, tmp_path: Path, start_server: Any, monkeypatch: Any
) -> None:
    """P13: nobody's setting for other programs makes workers map files of a folder."""
    monkeypatch.setenv(variable, str(tmp_path))
    running = start_server(workers=workers)
    with running.client() as http:
        assert http.get("/metrics").status_code == 200
    assert [*tmp_path.iterdir()] == []


def test_it_stops_whenever_it_is_told_to(tmp_path: Path) -> None:
    """A signal at any moment of the start ends the server and all of its processes, quietly."""
    names = {"RHEOSTAT_DATABASE": f"sqlite:///{tmp_path}/x.db", "RHEOSTAT_PORT": "0"}
    for tenth in range(4, 24, 3):
        process = subprocess.Popen(
            [sys.executable, "-m", "rheostat.cli", "serve"],
            env=os.environ | names | {"RHEOSTAT_WORKERS": "2", "RHEOSTAT_LOG_LEVEL": "warning"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        time.sleep(tenth / 10)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")


def test_requests_are_logged_with_their_ids(start_server: Any) -> None:
    """Each request is one line of the log, with its id; nobody can forge a line."""
    running = start_server()
    with running.client() as http:
        http.get("/v1/runs?cursor=%0Aforged", headers={"x-request-id": "night-shift-7"})
        http.get("/v1/kinds/%0Aforged")
    running.stop()
    first, second = (line for line in running.log.splitlines() if "rheostat.access" in line)
    assert re.search(
        r"INFO rheostat\.access GET /v1/runs\?cursor=%0Aforged 422 \S+ ms night-shift-7"
        r" from=127\.0\.0\.1$",
        first,
    )
    assert "GET /v1/kinds/%0Aforged 404" in second

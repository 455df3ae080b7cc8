"""What systemd starts: units that it understands and contains, and a service that tells it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from tests.conftest import StartServer
from tests.deploy.conftest import DEPLOY, RunProgram

from rheostat.server.environment import from_environment
from rheostat.server.serve import MISUSED, PATIENCE
from rheostat.server.settings import Settings

UNITS = DEPLOY / "systemd"
SERVICES = ("rheostat", "rheostat-backup")
EXPOSURE = 1.5
"""What `systemd-analyze security` may find at most, of 10; services without options have 9.6."""


def options(name: str) -> dict[str, list[str]]:
    """Return the options of a unit's or drop-in's service, each with all of its values."""
    found: dict[str, list[str]] = {}
    (section,) = re.findall(r"(?s)\[Service\]\n(.*?)(?=\n\[|\Z)", (UNITS / name).read_text())
    for key, value in re.findall(r"(?m)^(\w+)=((?:.*\\\n)*.*)$", section):
        found.setdefault(key, []).append(value)
    return found


def test_systemd_understands_the_units(tmp_path: Path, run_program: RunProgram) -> None:
    """No option is misspelt or in the wrong section, in the units with their drop-ins."""
    command = tmp_path / "rheostat"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    for unit in UNITS.glob("rheostat*.[st][ei]*"):
        text = unit.read_text().replace("/opt/rheostat/bin/rheostat", str(command))
        (tmp_path / unit.name).write_text(text)
    for name, drop_in in {"rheostat": "postgresql", "rheostat-backup": "backup-postgresql"}.items():
        folder = tmp_path / f"{name}.service.d"
        folder.mkdir()
        text = (UNITS / f"{drop_in}.conf").read_text()
        text = text.replace("/opt/rheostat/bin/backup-postgresql", str(command))
        (folder / "postgresql.conf").write_text(text)
    units = [*tmp_path.glob("*.service"), *tmp_path.glob("*.timer")]
    assert len(units) == 3
    done = run_program("systemd-analyze", "verify", "--man=no", *units)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_the_units_are_contained(name: str, run_program: RunProgram) -> None:
    """P13: what systemd finds that a service could do to its machine stays little."""
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    unit = UNITS / f"{name}.service"
    done = run_program("systemd-analyze", "security", "--offline=yes", threshold, unit)
    assert done.returncode == 0, done.stdout


def test_the_service_has_time_to_stop_and_is_not_started_in_vain() -> None:
    """P7: it is not killed while it answers, and settings that make no sense end the matter."""
    told = options("rheostat.service")
    assert int(told["TimeoutStopSec"][0]) > PATIENCE
    assert told["RestartPreventExitStatus"] == [str(MISUSED)]
    assert told["Type"] == ["notify"]


def test_behind_a_proxy_of_the_same_machine_tokens_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P10: what nginx passes on comes from loopback, and is asked for a token all the same."""
    variables = " ".join(options("rheostat.service")["Environment"]).split()
    lines = (UNITS / "rheostat.env").read_text().splitlines()
    for variable in (*variables, *(line for line in lines if line and line[0] != "#")):
        monkeypatch.setenv(*variable.split("=", 1))
    settings = Settings()
    assert (settings.loopback, settings.tokens_required) == (True, True)
    offered = [re.match(r"#?(RHEOSTAT_\w+)=", line) for line in lines]
    names = {match[1].removeprefix("RHEOSTAT_").lower() for match in offered if match}
    assert names <= set(Settings.model_fields)


def test_the_database_is_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address with its password is in a file of the service's own, and read from there."""
    told = options("postgresql.conf")
    ((name, source),) = [value.split(":") for value in told["LoadCredential"]]
    variable, _, value = told["Environment"][0].partition("=")
    assert value == f"%d/{name}"
    (tmp_path / name).write_text("postgresql://rheostat@/rheostat?host=/run/postgresql\n")
    monkeypatch.setenv(variable, value.replace("%d", str(tmp_path)))
    found = from_environment(["database"])
    assert found == {"database": "postgresql://rheostat@/rheostat?host=/run/postgresql"}
    assert source == "/etc/rheostat/database"
    assert told["UnsetEnvironment"] == ["RHEOSTAT_DATABASE"]  # both together are refused


def test_systemd_is_told_when_the_service_serves(
    tmp_path: Path, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units that come after the service begin when it answers, and not before."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server()
        assert systemd.recv(4096) == b"READY=1"
        with server.client() as http:
            assert http.get("/readyz").status_code == 200


def test_nobody_to_tell_is_no_failure(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notification that nobody takes keeps no server from serving."""
    monkeypatch.setenv("NOTIFY_SOCKET", "@rheostat-test-nobody")
    with start_server().client() as http:
        assert http.get("/livez").status_code == 200


def test_a_backup_is_whole_or_has_no_name(tmp_path: Path) -> None:
    """What a backup that failed has left is not taken for one, and old ones go in the end."""
    (command,) = options("rheostat-backup.service")["ExecStart"]
    (script,) = re.findall(r"(?s)^/bin/sh -euc '(.*)'$", command)
    script = script.replace("\\\n", " ").replace("$$", "$").replace("%%", "%")
    program = tmp_path / "rheostat"
    program.write_text('#!/bin/sh\necho half > "$4"\n[ ! -e fails ] || exit 1\necho whole > "$4"\n')
    program.chmod(0o755)
    kept = tmp_path / "kept"
    kept.mkdir()
    script = script.replace("/opt/rheostat/bin/rheostat", str(program))
    script = script.replace("/var/lib/rheostat-backup", str(kept))
    old = kept / "rheostat-20200101T000000Z.db"
    old.touch()
    os.utime(old, (0, 0))

    def back_up() -> int:
        return subprocess.run(["/bin/sh", "-euc", script], check=False).returncode

    (kept / "fails").touch()
    assert back_up() == 1
    assert [path.name for path in kept.glob("rheostat-*")] == [old.name]
    (kept / "fails").unlink()
    assert back_up() == 0
    (made,) = kept.iterdir()
    assert re.fullmatch(r"rheostat-\d{8}T\d{6}Z\.db", made.name)
    assert made.read_text() == "whole\n"

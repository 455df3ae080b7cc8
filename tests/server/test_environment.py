"""Settings from the environment: what is taken, what is refused, what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
from tests.conftest import RunningServer
from typer import BadParameter

from rheostat.cli.commands.serving import read_settings
from rheostat.errors import Invalid
from rheostat.server.environment import from_environment, remarks, variable
from rheostat.server.settings import Settings

NAMES = tuple(Settings.model_fields)
SERVICE = {
    "RHEOSTAT_SERVICE_HOST": "10.96.0.12",
    "RHEOSTAT_SERVICE_PORT": "8000",
    "RHEOSTAT_SERVICE_PORT_HTTP": "8000",
    "RHEOSTAT_PORT": "tcp://10.96.0.12:8000",
    "RHEOSTAT_PORT_8000_TCP": "tcp://10.96.0.12:8000",
    "RHEOSTAT_PORT_8000_TCP_PROTO": "tcp",
    "RHEOSTAT_PORT_8000_TCP_PORT": "8000",
    "RHEOSTAT_PORT_8000_TCP_ADDR": "10.96.0.12",
    "RHEOSTAT_POSTGRES_SERVICE_HOST": "10.96.0.13",
    "RHEOSTAT_POSTGRES_PORT": "tcp://10.96.0.13:5432",
    "RHEOSTAT_POSTGRES_PORT_5432_TCP": "tcp://10.96.0.13:5432",
}
"""What Kubernetes tells a pod of the Services `rheostat` and `rheostat-postgres`."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return what sets variables, with none of ours set."""
    for name in [name for name in os.environ if name.startswith("RHEOSTAT_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_services_of_kubernetes_are_no_settings(environment: pytest.MonkeyPatch) -> None:
    """A Service of any name that begins as ours do changes no setting, and the log says so."""
    for name, value in SERVICE.items():
        environment.setenv(name, value)
    assert from_environment(NAMES) == {}
    (remark,) = remarks(NAMES)
    assert remark.startswith("RHEOSTAT_PORT=tcp://10.96.0.12:8000 is ignored")


@pytest.mark.parametrize("address", ["udp://10.0.0.1:53", "sctp://10.0.0.1:9", "tcp://[fd00::1]:1"])
def test_every_kind_of_service_is_known(address: str, environment: pytest.MonkeyPatch) -> None:
    """Services are known by their form, of other protocols and addresses, too."""
    environment.setenv("RHEOSTAT_PORT", address)
    assert read_settings().port == 8000


def test_commands_and_servers_start_beside_a_service(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server, and a command on its database, do their work in a pod beside the Service."""
    for name, value in SERVICE.items():
        environment.setenv(name, value)
    database = f"sqlite:///{tmp_path / 'x.db'}"
    command = [sys.executable, "-m", "rheostat.cli", "token", "create", "ann", "--role", "admin"]
    done = subprocess.run(
        [*command, "--database", database], capture_output=True, text=True, check=True
    )
    assert "rheo_" in done.stdout
    assert "RHEOSTAT_PORT=tcp://10.96.0.12:8000 is ignored" in done.stderr
    serve = [sys.executable, "-m", "rheostat.cli", "serve", "--host", "127.0.0.254"]
    with subprocess.Popen(
        [*serve, "--database", database], stdout=PIPE, stderr=PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "serves http://127.0.0.254:8000 from" in process.stdout.readline()
        process.terminate()
        assert "RHEOSTAT_PORT=tcp://10.96.0.12:8000 is ignored" in process.stderr.read()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_refused(
    name: str, value: str, environment: pytest.MonkeyPatch
) -> None:
    """P10: an empty variable is no value, for any setting: not even the default, in silence."""
    environment.setenv(variable(name), value)
    with pytest.raises(BadParameter, match=f"^{variable(name)} is empty"):
        read_settings()


WRONG = {
    "port": ("99999", "65535"),
    "workers": ("two", "integer"),
    "no_auth": ("maybe", "boolean"),
    "log_level": ("loud", "'debug'"),
    "rate_limit": ("nan", "finite"),
    "max_block": ("0", "1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variable_is_named_with_its_value(
    name: str, environment: pytest.MonkeyPatch
) -> None:
    """P10: the sentence names the variable, the value and what it should be."""
    value, bound = WRONG[name]
    environment.setenv(variable(name), value)
    with pytest.raises(BadParameter) as caught:
        read_settings()
    assert caught.value.message.startswith(f"{variable(name)} is {value!r}: it should be ")
    assert bound in caught.value.message


def test_an_unknown_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    """A misspelt setting is told in the log, with the one that was meant; clients' are known."""
    environment.setenv("RHEOSTAT_WORKRES", "4")
    environment.setenv("RHEOSTAT_TOKEN", "rheo_secret")
    environment.setenv("RHEOSTAT_QUITE_ANOTHER", "1")
    assert [*remarks(NAMES)] == [
        "RHEOSTAT_QUITE_ANOTHER is no setting, and is ignored",
        "RHEOSTAT_WORKRES is no setting, and is ignored: is RHEOSTAT_WORKERS meant?",
    ]


def test_the_database_may_stand_in_a_file(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    """A mounted secret holds the address; an option goes before it."""
    file = tmp_path / "secret"
    file.write_text("postgresql://ann:s3cr3t@db/rheostat\n")
    environment.setenv("RHEOSTAT_DATABASE_FILE", str(file))
    assert Settings().database == "postgresql://ann:s3cr3t@db/rheostat"
    assert Settings(database="sqlite:///x.db").database == "sqlite:///x.db"
    assert [*remarks(NAMES)] == []
    environment.setenv("RHEOSTAT_DATABASE", "sqlite:///x.db")
    with pytest.raises(Invalid, match="and RHEOSTAT_DATABASE are both set"):
        Settings()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"sqlite:///a.db\nsqlite:///b.db\n", "is not one line of text"),
        (b"s3cr3t\0", "is not one line of text"),
        (b"\xffs3cr3t", "cannot be read: it is not text"),
        (b"s3cr3t" * 100_000, "is longer than 65536 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_holds_no_setting_is_refused(
    content: bytes | None, wrong: str, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    """P10: a file that is missing, empty or something else is named, and nothing in it is."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    environment.setenv("RHEOSTAT_DATABASE_FILE", str(file))
    with pytest.raises(BadParameter) as caught:
        read_settings()
    assert caught.value.message.startswith(f"RHEOSTAT_DATABASE_FILE names {file}, which ")
    assert wrong in caught.value.message
    assert "s3cr3t" not in caught.value.message


def health(**settings: object) -> subprocess.CompletedProcess[str]:
    """Ask for the health of a server of these settings."""
    names = {variable(name): str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "rheostat.server.health"]
    proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    return subprocess.run(
        command, env=os.environ | proxy | names, capture_output=True, text=True, check=False
    )


def test_the_health_check_asks_the_server_itself(shared_server: RunningServer) -> None:
    """A container is as well as its own server, wherever that listens, whatever proxies say."""
    port = shared_server.settings["port"]
    for host in ("127.0.0.1", "0.0.0.0", "localhost"):  # noqa: S104 - not listened on
        assert health(host=host, port=port).returncode == 0
    sick = health(host="127.0.0.1", port=9)
    assert (sick.returncode, sick.stdout) == (1, "")
    assert sick.stderr.startswith("no answer from 127.0.0.1:9: ")
    assert "Traceback" not in health(port="nonsense").stderr

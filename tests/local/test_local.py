"""A server of one's own: started once, found by all, started again where it was killed."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.local.conftest import kill_server, until_gone

import rheostat
from rheostat import errors
from rheostat.limits import MAX_LINGER
from rheostat.local_server import disks, files, finding

if TYPE_CHECKING:
    from tests.local.conftest import Start

RACES = int(os.environ.get("RHEOSTAT_RACES", "4"))
"""Races of two processes; a hundred of them take minutes."""

CURVE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1000}
RUN = {"parameters": {"lr": CURVE}, "total": 1000}

SAY_WHERE = """
import sys, rheostat
sys.stdin.readline()
client = rheostat.local(page=False, linger=0)
print(client.url, client.settings.token, flush=True)
sys.stdin.readline()
"""


def test_it_is_a_client_of_a_server(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first call starts a server, says where it is, and everything else is as of a client."""
    with rheostat.local(database, linger=0) as client:
        assert capsys.readouterr().out == f"{database} is served at {client.settings.address}\n"
        run = client.run("mnist", create=RUN)
        change = run.change({"lr": rheostat.scale(0.5)}, effective=10)
        values = [run.value("lr", step) for step in (9, 10)]
        whole = client.evaluate(CURVE, [9, 10])["values"]

    assert change["effective"] == 10
    assert values == [whole[0], whole[1] / 2]


@pytest.mark.parametrize("race", range(RACES))
def test_two_processes_race_to_start_it(database: Path, script: Start, race: int) -> None:
    """Of two processes that begin at one moment, one starts a server and both have the same."""
    racers = [script(SAY_WHERE) for _ in range(2)]
    for racer in racers:
        racer.say("go")

    told = {racer.hear() for racer in racers}

    assert len(told) == 1, race
    assert told.pop().startswith("http://127.0.0.1:")
    assert servers_of(database) == 1


def servers_of(database: Path) -> int:
    """Count the processes that serve a database, as the system lists them."""
    wanted = f"sqlite:///{database}".encode()
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found += wanted in (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
    return found


TRAIN = """
import sys, rheostat
client = rheostat.local(linger=0, page=False, lookahead=0.05)
run = client.run("mnist", create={"parameters": {"lr": {"kind": "cosine", "start": 1e-3,
    "end": 1e-5, "steps": 1000}}, "total": 1000})
for step in run.steps(0, 60):
    print(step, run.value("lr", step).hex(), flush=True)
    if step in (19, 39):
        sys.stdin.readline()
"""


def test_a_training_goes_on_where_its_server_was_killed(database: Path, script: Start) -> None:
    """Killed twice in the middle, the server is started again, and each value is the ledger's."""
    training = script(TRAIN)
    told = [training.hear() for _ in range(20)]
    killed = {kill_server(database)}
    training.say("go on")
    told += [training.hear() for _ in range(20)]
    killed.add(kill_server(database))
    training.say("go on")
    told += [training.hear() for _ in range(20)]

    with rheostat.local(database, linger=0, page=False) as client:
        whole = client.evaluate(CURVE, range(60))["values"]
        [*served] = (
            value
            for segment in client.control("mnist").ledger(0, 60)
            for value in segment["values"]["lr"]
        )
    assert told == [f"{step} {value.hex()}" for step, value in enumerate(whole)]
    assert served == whole
    assert len(killed) == 2


def test_whoever_comes_back_finds_the_same_server(database: Path, script: Start) -> None:
    """A kernel that is killed, and started again, finds the server, and the run as it was."""
    kernel = script(SAY_WHERE.replace("linger=0", "linger=60"))
    kernel.say("go")
    there = kernel.hear()
    kernel.kill()

    again = script(SAY_WHERE)
    again.say("go")

    assert again.hear() == there


def test_it_ends_when_nobody_is_left(database: Path) -> None:
    """Without a client, and with no time to linger, it ends by itself, and leaves no address."""
    rheostat.local(database, linger=0, page=False).close()
    assert files.is_served(database)

    until_gone(database)

    assert files.read_endpoint(database) is None


def test_nobody_else_can_read_where_it_is(database: Path) -> None:
    """The file with the token is for its user alone, and without the token nobody gets in."""
    with rheostat.local(database, linger=0, page=False) as client:
        url = client.settings.address
        assert stat.S_IMODE(files.endpoint_file(database).stat().st_mode) == 0o600
        refused = [
            httpx.get(f"{url}/v1/runs", headers=headers)
            for headers in ({}, {"Authorization": f"Bearer rheo_{'0' * 40}"})
        ]
    assert [answer.status_code for answer in refused] == [401, 401]


def test_a_copy_finds_the_server(database: Path) -> None:
    """A pickled client has no token in it, and finds the server of its file, also started anew."""
    client = rheostat.local(database, linger=0, page=False)
    run = client.run("mnist", create=RUN)
    expected = run.value("lr", 0)
    pickled = pickle.dumps(run)
    client.close()
    kill_server(database)

    copy = pickle.loads(pickled)  # noqa: S301 - we have made it

    assert b"rheo_" not in pickled
    assert copy.value("lr", 0) == expected
    copy.client.close()


def test_an_address_in_the_environment_wins(
    server: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a service is named, the script asks that one, and starts nothing."""
    monkeypatch.setenv("RHEOSTAT_URL", server)
    with rheostat.local(database, author="ann") as client:
        assert client.settings.address == server
        assert client.kind("cosine")["kind"] == "cosine"
    assert not database.with_name("rheostat.db.serving").exists()


@pytest.mark.parametrize("kind", sorted(disks.FOREIGN))
def test_a_database_of_several_machines_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    """On NFS and its like nothing is started, and the error says what to do instead."""
    monkeypatch.setattr(disks, "statfs", lambda _folder: kind)
    with pytest.raises(errors.Invalid, match=r"run\.export\(\)") as refusal:
        rheostat.local(database)
    assert refusal.value.errors[0].field == "path"
    assert not database.exists()


def test_the_type_of_a_file_system_is_the_systems_own(tmp_path: Path) -> None:
    """What `statfs` says is what the command `stat` says."""
    command = ["stat", "--file-system", "--format", "%t", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert disks.statfs(tmp_path) == int(said, 16)


def test_without_the_extra_it_says_what_to_install(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server's packages are missing, the error names the extra and the way around it."""
    monkeypatch.setattr(finding, "find_spec", lambda name: None if name == "fastapi" else name)
    with pytest.raises(errors.NotServed, match=r'fastapi: pip install "rheostat\[server\]"'):
        rheostat.local(database)
    assert not files.is_served(database)


def test_a_newer_schema_is_refused(database: Path) -> None:
    """A file that a newer release has written is left alone, in that release's words."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999_later')")
    with pytest.raises(errors.NotServed, match="newer"):
        rheostat.local(database)


def test_a_lock_that_nobody_answers_for(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where some process holds the lock and does not answer, the error names it and the way out."""
    monkeypatch.setattr(finding, "STARTING", 0.2)
    held = files.take_lock(database)
    assert held is not None
    files.name_holder(held, 4711)
    try:
        with pytest.raises(errors.NotServed, match=r"process 4711 .*`rheostat local stop"):
            rheostat.local(database)
    finally:
        files.let_go(held)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"path": "sqlite:///rheostat.db"}, "path"),
        ({"path": ""}, "path"),
        ({"path": 7}, "path"),
        ({"path": "."}, "path"),
        ({"path": "a?b.db"}, "path"),
        ({"linger": -1}, "linger"),
        ({"linger": float("nan")}, "linger"),
        ({"linger": MAX_LINGER + 1}, "linger"),
        ({"base_url": "http://here"}, "base_url"),
        ({"token": "rheo_"}, "token"),
        ({"share": True}, "share"),
    ],
)
def test_what_cannot_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], field: str
) -> None:
    """P10: an argument out of bounds is refused by its name, before anything is started."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.Invalid) as refusal:
        rheostat.local(**wrong)
    assert refusal.value.errors[0].field == field
    assert not [*tmp_path.iterdir()]


def test_finding_a_server_loads_nothing_of_it(database: Path, script: Start) -> None:
    """The thin wheel stays thin: whoever uses a local server loads the client alone."""
    program = script(
        f"import rheostat, sys; rheostat.local({str(database)!r}, linger=0, page=False);"
        " print(*sys.modules)"
    )
    names = {name.partition(".")[0] for name in program.hear().split()}
    assert not names & {"numpy", "pydantic", "fastapi", "sqlalchemy", "uvicorn", "typer"}


def test_commands_ask_the_local_server(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of its file the command line finds it, lists it and ends it."""
    monkeypatch.chdir(database.parent)
    with rheostat.local(linger=600, page=False) as client:
        client.run("mnist", create=RUN)
        url = client.settings.address
    listed = json.loads(rheostat_command("local", "list", "--json"))
    changed = rheostat_command("run", "change", "mnist", "lr", "scale", "0.5")
    named = rheostat_command("run", "show", "mnist", "--server", "rheostat.db")
    rheostat_command("local", "stop")

    assert [(each["database"], each["url"]) for each in listed] == [(str(database), url)]
    assert "Revision 2 " in changed
    assert "mnist" in named
    assert not files.is_served(database)
    assert json.loads(rheostat_command("local", "list", "--json")) == []


def rheostat_command(*words: str) -> str:
    """Return what a command prints."""
    command = [sys.executable, "-m", "rheostat", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_its_user_signs_in_to_its_page(database: Path) -> None:
    """With the token that the file beside the database has, as nobody else can; until it ends."""
    page = {"sec-fetch-site": "same-origin"}
    with rheostat.local(database, page=False, linger=0) as client:
        there = files.read_endpoint(database)
        assert there is not None
        with httpx.Client(base_url=there.url, headers=page) as http:
            assert http.get("/v1/session").json()["role"] is None
            assert http.post("/v1/session", json={"token": there.token}).status_code == 201
            shown = http.get("/v1/session").json()
            assert (shown["name"], shown["role"]) == (None, "operator")
            made = http.post("/v1/runs", json={"name": "mnist", **RUN})
            assert made.status_code == 201
        assert client.control("mnist").show()["author"] is None

"""Backups: whole under load, proven when they are put back, and never mistaken for another life."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.server.store.conftest import Desk

from rheostat.server.runs.validation import Limits
from rheostat.server.store import backup, seal
from rheostat.server.store.backup import BackupFailed, back_up, restore
from rheostat.server.store.migrate import HEAD
from rheostat.server.store.operations import join, show
from rheostat.server.store.seal import NoBackup

LIMITS = Limits()


@pytest.fixture
def desk(tmp_path: Path, made_file: Path, desk_at: Callable[[str], Desk]) -> Iterator[Desk]:
    """Return a store in a file."""
    path = tmp_path / "rheostat.db"
    shutil.copy(made_file, path)
    desk = desk_at(f"sqlite:///{path}")
    yield desk
    desk.store.close()


@pytest.fixture
def made(desk: Desk, tmp_path: Path) -> Path:
    """Return a backup of a database with a run that is settled to 8."""
    desk.settle(desk.create(), 0, 8)
    file = tmp_path / "monday.backup"
    back_up(desk.url, file)
    desk.store.close()
    return file


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_backup_is_one_state_of_a_database_that_is_written_to(desk: Desk, tmp_path: Path) -> None:
    """P4: it is made while others settle, keeps none of them waiting, and is sound and whole."""
    run_id = desk.create(max_jump=4096)
    stop = threading.Event()
    settled = 0

    def settle() -> None:
        nonlocal settled
        while not stop.is_set() and settled < 60_000:
            desk.settle(run_id, settled, 4)
            settled += 4

    writer = threading.Thread(target=settle)
    writer.start()
    found = []
    for number in range(4):
        file = tmp_path / f"{number}.backup"
        before = settled
        made = back_up(desk.url, file)
        after = settled
        with closing(sqlite3.connect(file)) as copy:
            [(until,)] = copy.execute("SELECT settled_until FROM generations")
            [(rows,)] = copy.execute("SELECT coalesce(sum(count), 0) FROM ledger")
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert before <= until <= after + 4
        assert rows == until
        assert made.length + seal.SIZE == file.stat().st_size
        found.append(until)
    goes_on = settled
    while settled == goes_on:
        assert writer.is_alive()
    stop.set()
    writer.join()
    assert found == sorted(found)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_restored_database_is_another_incarnation(made: Path, tmp_path: Path) -> None:
    """P1, P9: the history is that of the backup, under ids that nobody of before knows."""
    new = tmp_path / "elsewhere" / "new.db"
    new.parent.mkdir()
    restored = restore(url_of(new), made, LIMITS)
    [run] = restored.runs
    assert restored.replaced is None
    desk = Desk(url_of(new), LIMITS)
    shown = desk.read(show.show, "gpt")
    assert (shown["id"], shown["settled_until"]) == (run["new"], 8)
    assert run["old"] != run["new"]
    old = Desk(url_of(tmp_path / "rheostat.db"), LIMITS)
    arrival = join.Arrival()
    incarnations = [each.read(join.join, "gpt", arrival)["incarnation"] for each in (desk, old)]  # type: ignore[index]
    assert len({*incarnations}) == 2
    for each in (desk, old):
        each.store.close()
    assert not [*new.parent.glob("*restoring*")]


def test_what_holds_something_is_replaced_by_force_alone_and_kept(
    made: Path, tmp_path: Path
) -> None:
    """P4: a slip of the hand does not cost what was acknowledged since the backup."""
    path = tmp_path / "rheostat.db"
    later = Desk(url_of(path), LIMITS)
    later.create(name="later")
    later.store.close()
    with pytest.raises(BackupFailed, match="has 2 runs: it is replaced by --force"):
        restore(url_of(path), made, LIMITS)
    replaced = restore(url_of(path), made, LIMITS, force=True).replaced
    assert replaced is not None
    for found, names in ((path, ["gpt"]), (replaced, ["gpt", "later"])):
        with closing(sqlite3.connect(found)) as database:
            names_there = database.execute("SELECT name FROM runs ORDER BY name").fetchall()
        assert [name for (name,) in names_there] == names


@pytest.mark.parametrize("kind", ["absent", "no bytes", "no rows"])
def test_what_holds_nothing_is_replaced(
    made: Path, made_file: Path, tmp_path: Path, kind: str
) -> None:
    """Who has started a service on nothing by mistake need not force anything."""
    path = tmp_path / "new.db"
    if kind == "no bytes":
        path.touch()
    if kind == "no rows":
        shutil.copy(made_file, path)
    restored = restore(url_of(path), made, LIMITS)
    assert (restored.replaced, len(restored.runs)) == (None, 1)


@pytest.mark.parametrize("content", [b"not a database at all", b"\0" * 8192])
def test_what_is_not_ours_is_not_replaced_unasked(
    made: Path, tmp_path: Path, content: bytes
) -> None:
    """A damaged database, or another file, is replaced by force alone, and kept as it is."""
    path = tmp_path / "new.db"
    path.write_bytes(content)
    with pytest.raises(BackupFailed, match="content that cannot be read"):
        restore(url_of(path), made, LIMITS)
    replaced = restore(url_of(path), made, LIMITS, force=True).replaced
    assert replaced is not None
    assert replaced.read_bytes() == content


def test_a_log_of_before_is_never_read_with_a_restored_file(made: Path, tmp_path: Path) -> None:
    """What a killed server left in its log belongs to the file that is put aside."""
    path = tmp_path / "rheostat.db"
    killed = tmp_path / "killed.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE runs SET name = 'of-the-log'")
        database.commit()
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{killed}{end}")
    replaced = restore(url_of(killed), made, LIMITS, force=True).replaced
    assert replaced is not None
    for found, name in ((killed, "gpt"), (replaced, "of-the-log")):
        with closing(sqlite3.connect(found)) as database:
            assert database.execute("SELECT name FROM runs").fetchall() == [(name,)]
    killed.unlink()
    shutil.copy(f"{replaced}", f"{killed}-wal")
    with pytest.raises(BackupFailed, match=r"a log without its file, killed\.db-wal"):
        restore(url_of(killed), made, LIMITS)


def test_a_database_that_is_open_is_not_replaced(made: Path, tmp_path: Path) -> None:
    """P4: a server that serves from it would go on with the file of before."""
    path = tmp_path / "rheostat.db"
    serving = Desk(url_of(path), LIMITS)
    before = path.stat().st_ino
    with pytest.raises(BackupFailed, match=r"something serves from .*: stop it first"):
        restore(url_of(path), made, LIMITS, force=True)
    assert path.stat().st_ino == before
    serving.store.close()
    restore(url_of(path), made, LIMITS, force=True)


def test_a_server_that_starts_meanwhile_is_noticed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: between the first look and the rename, a service may have opened the file."""
    path, opened = tmp_path / "rheostat.db", []
    renewed = backup._renewed

    def starting(new: Path, limits: Limits) -> Any:
        opened.append(Desk(url_of(path), LIMITS))
        return renewed(new, limits)

    monkeypatch.setattr(backup, "_renewed", starting)
    with pytest.raises(BackupFailed, match="something serves from"):
        restore(url_of(path), made, LIMITS, force=True)
    assert opened[0].read(show.show, "gpt")["settled_until"] == 8
    opened[0].store.close()
    assert not [*tmp_path.glob("*restoring*"), *tmp_path.glob("*replaced*")]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4096])


def cut_inside(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:4096] + content[8192:])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[20_000] ^= 1
    file.write_bytes(bytes(content))


def reseal(file: Path, **fields: Any) -> None:
    content = file.read_bytes()
    said = json.loads(content[-seal.SIZE :].removeprefix(seal.MAGIC))
    block = seal.MAGIC + json.dumps({**said, **fields}).encode()
    file.write_bytes(content[: -seal.SIZE] + block.ljust(seal.SIZE - 1) + b"\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "no backup that `rheostat backup` has made, or its end is missing"),
        (cut_inside, "is not whole"),
        (flip, "was damaged after it was made"),
        (lambda file: reseal(file, format=2), "of a form that a newer release made"),
        (lambda file: reseal(file, more=1), "was damaged"),
        (lambda file: file.write_bytes(b""), "no backup"),
        (lambda file: file.unlink(), "No such file"),
    ],
    ids=["cut", "cut inside", "flipped", "newer form", "odd seal", "empty", "absent"],
)
def test_what_is_no_sound_backup_is_refused(
    made: Path, tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    """P1: nothing of a torn, damaged, foreign or newer file comes into the place of a database."""
    spoil(made)
    path = tmp_path / "rheostat.db"
    before = path.read_bytes()
    with pytest.raises((NoBackup, BackupFailed), match=words):
        restore(url_of(path), made, LIMITS, force=True)
    assert path.read_bytes() == before
    assert not [*tmp_path.glob("*restoring*"), *tmp_path.glob("*replaced*")]


def test_a_backup_of_a_newer_schema_is_refused(desk: Desk, tmp_path: Path) -> None:
    """P1: unless that says that this release may serve from its tables, nothing is served."""

    def mark(least: str) -> None:
        newer = {"version": "9999", "least": least}
        with desk.store._database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :version"), newer)
            connection.execute(text("UPDATE incarnation SET least = :least"), newer)

    file, new = tmp_path / "newer.backup", url_of(tmp_path / "new.db")
    mark("9998")
    assert back_up(desk.url, file).schema == "9999"
    with pytest.raises(NoBackup, match=r"a newer release of Rheostat made it: its schema is 9999"):
        restore(new, file, LIMITS)
    mark(HEAD)
    back_up(desk.url, file, force=True)
    restore(new, file, LIMITS)


def test_a_plain_copy_is_no_backup(desk: Desk, tmp_path: Path) -> None:
    """A copy of the file alone may lack its log: only what is sealed is trusted."""
    copy = tmp_path / "copy.db"
    shutil.copy(tmp_path / "rheostat.db", copy)
    with pytest.raises(NoBackup, match="rheostat recover"):
        restore(url_of(tmp_path / "new.db"), copy, LIMITS)


def test_a_damaged_database_is_not_backed_up(desk: Desk, tmp_path: Path) -> None:
    """P4: who finds out only from the backup that it is damaged has none."""
    for number in range(40):
        desk.create(name=f"run-{number}")
    desk.store.close()
    path = tmp_path / "rheostat.db"
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))
    with pytest.raises(BackupFailed):
        back_up(desk.url, tmp_path / "x.backup")
    assert not [*tmp_path.glob("*.backup*"), *tmp_path.glob(".*")]


def test_a_file_is_not_written_over_unasked(made: Path, tmp_path: Path) -> None:
    """P4: the backup of yesterday stays unless somebody says otherwise."""
    before, url = made.read_bytes(), url_of(tmp_path / "rheostat.db")
    with pytest.raises(BackupFailed, match="exists"):
        back_up(url, made)
    assert made.read_bytes() == before
    back_up(url, made, force=True)


def test_what_is_not_there_is_not_backed_up(tmp_path: Path) -> None:
    """A misspelt path makes no empty database, and no backup of one."""
    with pytest.raises(BackupFailed, match="there is no database"):
        back_up(url_of(tmp_path / "x.db"), tmp_path / "x.backup")
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "text.db").write_text("no database, but a text that is long enough " * 20)
    with pytest.raises(BackupFailed, match="file is not a database"):
        back_up(url_of(tmp_path / "text.db"), tmp_path / "x.backup")
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE runs (x)")
    with pytest.raises(BackupFailed, match="not a database of Rheostat"):
        back_up(url_of(tmp_path / "theirs.db"), tmp_path / "x.backup")


def test_a_backup_of_an_older_schema_is_brought_up_to_date(made: Path, tmp_path: Path) -> None:
    """Who upgraded can still go back to a backup from before."""
    older = tmp_path / "older.db"
    restore(url_of(older), made, LIMITS)
    with closing(sqlite3.connect(older)) as database:
        for table in (
            "refused",
            "plans",
            "hook_sender",
            "told",
            "deliveries",
            "hooks",
            "replicas",
            "audit",
        ):
            database.execute(f"DROP TABLE {table}")
        for index in ("ix_labels_key", "ix_runs_event", "ix_revisions_author"):
            database.execute(f"DROP INDEX {index}")
        for column in ("protect", "needs"):
            database.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        for column in ("runs", '"limit"'):
            database.execute(f"ALTER TABLE tokens DROP COLUMN {column}")
        database.execute("ALTER TABLE incarnation DROP COLUMN least")
        database.execute("UPDATE alembic_version SET version_num = '0008'")
        database.commit()
    file = tmp_path / "older.backup"
    assert back_up(url_of(older), file).schema == "0008"
    assert len(restore(url_of(tmp_path / "newer.db"), file, LIMITS).runs) == 1


def test_postgresql_is_told_how(tmp_path: Path) -> None:
    """Nobody has to look up what takes the place of these commands, and no password is shown."""
    url = "postgresql://ann:secret@db.example/rheostat"
    with pytest.raises(BackupFailed, match=r"'postgresql://ann@db\.example/rheostat'") as refused:
        back_up(url, tmp_path / "x.dump")
    with pytest.raises(BackupFailed, match=r"pg_restore .*, and then `rheostat recover`"):
        restore(url, tmp_path / "x.dump", LIMITS)
    assert "secret" not in str(refused.value)


def test_what_replicas_said_is_not_restored(desk: Desk, tmp_path: Path) -> None:
    """A replica of before that is long gone keeps nothing from being done."""
    desk.write(
        lambda records: records.connection.execute(
            text(
                "INSERT INTO replicas (id, release, schema, seen_at)"
                " VALUES ('a', '0', '0001', '2999-01-01')"
            )
        )
    )
    file = tmp_path / "x.backup"
    back_up(desk.url, file)
    new = tmp_path / "new.db"
    restore(url_of(new), file, LIMITS)
    with closing(sqlite3.connect(new)) as database:
        assert database.execute("SELECT * FROM replicas").fetchall() == []

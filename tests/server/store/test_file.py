"""The SQLite file: deleted, replaced, damaged, read-only or full, and what a store does then."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults.fleet import small_disk

from rheostat.errors import RheostatError, Unavailable
from rheostat.server.runs.validation import Limits
from rheostat.server.settings import Settings
from rheostat.server.store.file import INDEX, LOG
from rheostat.server.store.opening import open_store, require_usable
from rheostat.server.store.operations import revise
from rheostat.server.store.store import PROBED_SECONDS, Store

HALVE = {"lr": [{"edit": "scale", "factor": 0.5}]}
Harm = Callable[[Path], None]


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return the address of a file in a folder of its own."""
    (tmp_path / "data").mkdir()
    return f"sqlite:///{tmp_path / 'data' / 'rheostat.db'}"


@pytest.fixture
def path(desk: Any) -> Path:
    """Return the file of the desk, which holds a run."""
    desk.create()
    return Path(desk.url.removeprefix("sqlite:///"))


def backup(path: Path) -> Path:
    """Return a copy of a database of this moment, made as one should."""
    copy = path.with_name("backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def delete(path: Path) -> None:
    """Delete the file, and leave what is beside it."""
    path.unlink()


def delete_all(path: Path) -> None:
    """Delete everything that begins with its name."""
    for each in path.parent.glob(path.name + "*"):
        each.unlink()


def delete_log(path: Path) -> None:
    """Delete a part of it that looks like something temporary."""
    path.with_name(path.name + "-wal").unlink()


def delete_index(path: Path) -> None:
    """Delete the other such part."""
    path.with_name(path.name + "-shm").unlink()


def delete_folder(path: Path) -> None:
    """Delete the folder with all that is in it."""
    shutil.rmtree(path.parent)


def move_away(path: Path) -> None:
    """Rename it."""
    path.rename(path.with_name("elsewhere"))


def rename_over(path: Path) -> None:
    """Put a backup in its place, as `mv` does."""
    backup(path).rename(path)


def copy_over(path: Path) -> None:
    """Write a backup into it, as `cp` does."""
    shutil.copyfile(backup(path), path)


def empty(path: Path) -> None:
    """Cut it off at its beginning."""
    os.truncate(path, 0)


def damage(path: Path) -> None:
    """Write noise over its pages."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


HARMS = [
    *(delete, delete_all, delete_log, delete_index, delete_folder, move_away),
    *(rename_over, copy_over, empty, damage),
]


def refusal(desk: Any) -> Unavailable:
    """Return what a change is refused by."""
    with pytest.raises(Unavailable) as found:
        desk.revise(HALVE)
    return found.value


@pytest.mark.parametrize("harm", HARMS)
def test_nothing_is_acknowledged_into_a_file_that_is_another(
    desk: Any, path: Path, harm: Harm
) -> None:
    """P4: writes are refused, with the reason, by the first that comes; so are reads after it."""
    harm(path)
    refused = refusal(desk)
    assert refused.members["reason"] == "file-replaced"
    assert "nothing was changed" in refused.detail
    with pytest.raises(Unavailable):
        desk.read(lambda records: records.find("gpt"))


@pytest.mark.parametrize("harm", HARMS)
def test_readiness_sees_it_by_itself(desk: Any, path: Path, harm: Harm) -> None:
    """Whoever asks only for readiness is told, too."""
    harm(path)
    time.sleep(PROBED_SECONDS)
    assert asyncio.run(desk.store.reasons()) == ["file-replaced"]


@pytest.mark.parametrize("harm", HARMS)
def test_two_histories_are_not_mixed(desk: Any, path: Path, harm: Harm) -> None:
    """P1: a process that comes later takes no other file than those that serve already."""
    harm(path)
    refusal(desk)
    later = Store(desk.url, Limits())
    later.start(anyway=True)
    if harm in {delete_all, delete_folder}:  # it cannot know of those before: see the processes
        later.close()
        return
    with pytest.raises(Unavailable):
        asyncio.run(later.write(revise.revise, "gpt", revise.RevisionRequest(HALVE)))
    later.close()


def test_after_a_restart_the_file_is_taken_as_it_is(desk: Any, path: Path) -> None:
    """A backup that was put there is what is served, once nobody serves the file before it."""
    copy = backup(path)
    desk.revise(HALVE)
    copy.rename(path)
    refusal(desk)
    desk.store.close()
    with pytest.raises(RheostatError, match=r"delete rheostat\.db-wal and rheostat\.db-shm"):
        open_store(Settings(database=desk.url))  # the log is the old file's
    for part in (LOG, INDEX):
        path.with_name(path.name + part).unlink()
    desk.restart()
    assert desk.revise(HALVE)["revision"] == 2


def test_a_file_that_comes_back_is_used_again(desk: Any, path: Path) -> None:
    """Without a restart: it is the same one."""
    away = path.with_name("away")
    path.rename(away)
    refusal(desk)
    away.rename(path)
    assert desk.revise(HALVE)["revision"] == 2


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Forbid to write to a file; root is stopped by an attribute alone."""
    if os.geteuid() == 0:
        subprocess.run(["/usr/bin/chattr", "+i", str(path)], check=True)
        try:
            yield
        finally:
            subprocess.run(["/usr/bin/chattr", "-i", str(path)], check=True)
    else:
        path.chmod(0o444)
        yield
        path.chmod(0o644)


def test_a_file_that_becomes_read_only(desk: Any, path: Path) -> None:
    """Reads go on, writes are refused, and when it can be written again it is."""
    with unwritable(path):
        assert refusal(desk).members["reason"] == "read-only"
        assert desk.read(lambda records: records.find("gpt")).revision == 1
    assert desk.revise(HALVE)["revision"] == 2


def test_connections_of_a_read_only_time_are_not_kept(desk: Any, path: Path) -> None:
    """A connection that was opened while the file was read-only would never write."""
    desk.store.close()
    with unwritable(path):
        desk.store = Store(desk.url, Limits())
        desk.store.start(anyway=True)
        assert refusal(desk).members["reason"] == "read-only"
    assert desk.revise(HALVE)["revision"] == 2


def test_a_server_does_not_start_on_a_file_that_it_cannot_write(desk: Any, path: Path) -> None:
    """One sentence says which file."""
    desk.store.close()
    settings = Settings(database=desk.url)
    with unwritable(path), pytest.raises(RheostatError) as refused:
        start(settings)
    said = str(refused.value)
    assert str(path) in said
    assert "\n" not in said
    desk.restart()


def start(settings: Settings) -> None:
    """Open a database as a server does before it serves."""
    store = open_store(settings)
    try:
        require_usable(store, settings)
    finally:
        store.close()


def first_refusal(desk: Any) -> Unavailable:
    """Change a run until there is no room left in the log; return the refusal."""
    while True:
        try:
            desk.revise(HALVE)
        except Unavailable as refused:
            return refused


def test_a_full_disk(tmp_path: Path, desk_at: Any) -> None:
    """P4: refused as what it is, nothing half done, and work goes on when there is room."""
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:  # as it has said: others than root cannot try this
            return
        desk = desk_at(f"sqlite:///{disk.folder / 'rheostat.db'}")
        desk.create()
        with disk.full():
            refused = first_refusal(desk)
            assert refused.members["reason"] == "disk-full"
            assert refused.detail.startswith(
                "the disk of the database is full: nothing was changed"
            )
            kept = desk.read(lambda records: records.find("gpt")).revision
            assert asyncio.run(desk.store.reasons()) == ["disk-full"]
        assert desk.revise(HALVE)["revision"] == kept + 1
        desk.store._probe = None
        assert asyncio.run(desk.store.reasons()) == []
        desk.store.close()

"""What the processes of a host have in common (``read="node"``), and when they do without it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import logging
import os
import pickle
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.client.test_copies import in_child

from rheostat import AsyncClient, Client, Run
from rheostat.client import node_files
from rheostat.client._async import node as async_node
from rheostat.client._sync import node as sync_node
from rheostat.client.blocks import BlockRequest
from rheostat.client.node_files import NodeFolder, Turn
from rheostat.client.settings import Settings
from rheostat.errors import Finished, Invalid, StaleGeneration, WentBack

if TYPE_CHECKING:
    from tests.client.conftest import FakeService

pytestmark = pytest.mark.skipif(not node_files.HAS_LOCKS, reason="needs flock")

Join = Callable[..., Run]


@pytest.fixture(autouse=True)
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for /dev/shm."""
    base = tmp_path / "shm"
    base.mkdir()
    monkeypatch.setattr(node_files, "BASE", base)
    monkeypatch.setattr(node_files, "_said", set())
    return base


@pytest.fixture
def join(service: FakeService) -> Iterator[Join]:
    """Join the run as one more process of the host would: with a client of its own."""
    clients: list[Client] = []

    def joined(url: str = "http://test", **options: Any) -> Run:
        transport = httpx.MockTransport(service)
        options = {"pace": 32.0, "lookahead": 1.0, "retries": 0, **options}
        clients.append(Client(url, read="node", transport=transport, **options))
        return clients[-1].run("gpt")

    yield joined
    for client in clients:
        client.close()


def read(run: Run, *steps: int) -> None:
    """Read steps, and require their values."""
    assert [run.value("lr", step) for step in steps] == [1 / (step + 1) for step in steps]


def asked(service: FakeService, start: int = 0) -> int:
    """Return how often a block was asked for: whoever reads may ask for the next one, too."""
    return [first for first, _ in service.reads].count(start)


def folder_of(shm: Path) -> Path:
    """Return the run's folder."""
    [folder] = shm.glob("rheostat-*/run-1-1-*")
    return folder


def blocks_of(shm: Path) -> list[str]:
    """Return which blocks lie there."""
    return sorted(path.stem for path in folder_of(shm).glob("*-*.json"))


def test_processes_of_a_host_ask_once(service: FakeService, join: Join) -> None:
    """Eight that read the same steps ask for each block once, all together."""
    for rank in [join() for _ in range(8)]:
        read(rank, *range(0, 200, 7))

    assert len(service.reads) == len(set(service.reads)) < 16


def test_asynchronous_one_reads_with_them(service: FakeService, join: Join) -> None:
    """A client of asyncio uses what a blocking one has asked for, and the other way round."""

    async def read_there() -> None:
        transport = httpx.MockTransport(service)
        options: dict[str, Any] = {"pace": 32.0, "lookahead": 1.0, "transport": transport}
        async with AsyncClient("http://test", read="node", **options) as client:
            run = await client.run("gpt")
            assert await run.value("lr", 0) == 1.0
            assert await run.value("lr", 64) == 1 / 65

    read(join(), 0)
    asyncio.run(read_there())
    read(join(), 64)

    assert (asked(service, 0), asked(service, 64)) == (1, 1)


def test_files_are_what_was_served(join: Join, shm: Path) -> None:
    """A file holds little-endian float64 by parameter, and `run.json` says which these are."""
    read(join(), 0)

    folder = folder_of(shm)
    values = struct.unpack("<64d", (folder / "0-32.f64").read_bytes())
    assert list(values[:32]) == [1 / (step + 1) for step in range(32)]
    about = json.loads((folder / "run.json").read_text())
    assert about["parameters"] == ["lr", "weight_decay"]
    assert about["resolution"] == 1
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o700)


def test_other_block_with_the_step_will_do(service: FakeService, join: Join) -> None:
    """Who would ask for a shorter or for a longer block takes one that has half of it or more."""
    read(join(pace=32.0), 0)

    read(join(pace=8.0), 0, 15, 31)
    read(join(pace=64.0), 0, 31)

    assert (service.reads[0], asked(service)) == ((0, 32), 1)


def test_much_shorter_block_will_not(service: FakeService, join: Join) -> None:
    """Who would ask for more than twice as much asks itself, rather than ask often."""
    read(join(pace=8.0), 0)

    read(join(pace=128.0), 0, 127)

    assert service.reads == [(0, 8), (0, 128)]


def test_block_of_many_cells_is_exactly_that(service: FakeService, join: Join) -> None:
    """`Run.block` returns the cells that were asked for, whatever else lies there."""
    read(join(), 0)

    column = join().block(4, 8)["lr"]

    assert list(column) == [1 / (step + 1) for step in range(4, 12)]
    assert service.reads == [(0, 32), (4, 8)]


def make_a_link(body: Path, _: Path) -> None:
    body.unlink()
    body.symlink_to("/etc/hostname")


def make_a_pipe(body: Path, _: Path) -> None:
    body.unlink()
    os.mkfifo(body)


SPOILED: dict[str, Callable[[Path, Path], object]] = {
    "changed": lambda body, _: body.write_bytes(struct.pack("<64d", *[0.5] * 64)),
    "cut off": lambda body, _: body.write_bytes(body.read_bytes()[:-8]),
    "longer": lambda body, _: body.write_bytes(body.read_bytes() + b"\0" * 8),
    "gone": lambda body, _: body.unlink(),
    "no JSON": lambda _, meta: meta.write_bytes(b"{"),
    "no headers": lambda _, meta: meta.write_text("{}"),
    "a list": lambda _, meta: meta.write_text('{"headers": [1]}'),
    "deep": lambda _, meta: meta.write_text("[" * 100_000),
    "endless": lambda _, meta: meta.write_bytes(b" " * 10**6),
    "stripped": lambda _, meta: meta.write_text('{"headers": {"ETag": "x"}}'),
    "a link": make_a_link,
    "a pipe": make_a_pipe,
    "other generation": lambda _, meta: meta.write_text(
        re.sub('(?i)"rheostat-generation": "1"', '"rheostat-generation": "2"', meta.read_text())
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_spoiled_file_is_not_believed(
    service: FakeService, join: Join, shm: Path, how: str
) -> None:
    """P1: a file has to prove itself as an answer has; else the service is asked."""
    read(join(), 0)
    folder = folder_of(shm)
    SPOILED[how](folder / "0-32.f64", folder / "0-32.json")

    read(join(), *range(32))

    assert asked(service) == 2
    read(join(), 0)
    assert asked(service) == 2, "what was asked for anew lies there"


def test_same_id_of_another_service(service: FakeService, join: Join) -> None:
    """A copy of a service has runs of the same ids, and nothing in common with it."""
    read(join("http://one"), 0)

    read(join("http://two"), 0)
    read(join("http://one/"), 0)

    assert asked(service) == 2


def test_every_process_hears_of_another_incarnation(service: FakeService, join: Join) -> None:
    """P14: after a restore that was made known each process stops, and the next ones share anew."""
    ranks = [join() for _ in range(3)]
    for rank in ranks:
        read(rank, 0)
    service.incarnation = "second"

    for rank in ranks:
        with pytest.raises(WentBack, match="another incarnation"):
            rank.value("lr", 64)
    assert asked(service) == 1

    read(join(), 0)
    assert asked(service) == 2, "what lay there is of before the restore"


def test_every_process_hears_of_an_old_backup(service: FakeService, join: Join) -> None:
    """P14: what newcomers have asked a restored database is no value for who knew it before."""
    service.event = 7
    ranks = [join() for _ in range(3)]
    for rank in ranks:
        read(rank, 0)
    service.event, service.settled = 3, 0
    service.ledger.clear()
    newcomer = join()
    read(newcomer, 64)

    for rank in ranks:
        with pytest.raises(WentBack, match="was settled by event"):
            rank.value("lr", 64)


def test_all_end_at_the_same_step(service: FakeService, join: Join) -> None:
    """An end is told to each process by the service, and lies at the same step for all."""
    ranks = [join() for _ in range(3)]
    service.end = 50

    for rank in ranks:
        read(rank, *range(50))
        with pytest.raises(Finished):
            rank.value("lr", 50)


def test_rewind_starts_with_nothing_in_common(service: FakeService, join: Join) -> None:
    """A generation that was left is refused, and the next one has a folder of its own."""
    left = join()
    read(left, 0)
    service.generation, service.settled = 2, 16
    service.ledger = {cell: value for cell, value in service.ledger.items() if cell < 16}
    service.change(0.5, 16)

    anew = join()

    assert anew.value("lr", 16) == 0.5 / 17
    with pytest.raises(StaleGeneration):
        left.value("lr", 64)


def test_stopped_process_is_waited_for_once(
    service: FakeService, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has the lock and does nothing is waited for a while, once; then another lock is taken."""
    monkeypatch.setattr(sync_node, "PATIENCE", 0.05)
    rank = join()
    stopped = NodeFolder(rank._joined, "http://test")
    assert isinstance(stopped.take(0), Turn)
    slept: list[float] = []
    sleep = rank._session.network.sleep

    def noted(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(rank._session.network, "sleep", noted)

    read(rank, 0)
    assert slept
    slept.clear()
    read(rank, 64, 128, 256)

    assert not slept
    read(join(), 64)
    assert len(service.reads) == len(set(service.reads))


def test_waiting_for_others_ends_with_a_request(
    service: FakeService, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the others' requests longer than one of its own may take."""
    rank = join(timeout=0.05)
    holders = itertools.count()
    monkeypatch.setattr(NodeFolder, "take", lambda *_: b"another rank %d" % next(holders))

    read(rank, 0)

    assert service.reads == [(0, 32)]


def test_waiting_for_a_stopped_process_in_asyncio(
    service: FakeService, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of asyncio waits for a stopped process no longer, and its loop goes on meanwhile."""
    monkeypatch.setattr(async_node, "PATIENCE", 0.05)
    assert isinstance(NodeFolder(join()._joined, "http://test").take(0), Turn)

    async def read_there() -> float:
        transport = httpx.MockTransport(service)
        async with AsyncClient("http://test", read="node", transport=transport) as client:
            run = await client.run("gpt")
            return await run.value("lr", 0)

    assert asyncio.run(read_there()) == 1.0


def fill_up(monkeypatch: pytest.MonkeyPatch, shm: Path) -> None:
    def full(folder: NodeFolder, name: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder.path / name))

    monkeypatch.setattr(NodeFolder, "_write", full)


def let_others_in(_: pytest.MonkeyPatch, shm: Path) -> None:
    home = shm / f"rheostat-{os.geteuid()}"
    home.mkdir()
    home.chmod(0o755)


def plant_a_link(_: pytest.MonkeyPatch, shm: Path) -> None:
    (shm / "elsewhere").mkdir(0o700)
    (shm / f"rheostat-{os.geteuid()}").symlink_to(shm / "elsewhere")


def be_somebody_else(monkeypatch: pytest.MonkeyPatch, shm: Path) -> None:
    other = os.geteuid() + 1
    (shm / f"rheostat-{other}").mkdir(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: other)


def open_the_base(_: pytest.MonkeyPatch, shm: Path) -> None:
    shm.chmod(0o777)


def have_no_shm(monkeypatch: pytest.MonkeyPatch, shm: Path) -> None:
    monkeypatch.setattr(node_files, "BASE", shm / "none")


def have_no_locks(monkeypatch: pytest.MonkeyPatch, shm: Path) -> None:
    monkeypatch.setattr(node_files, "HAS_LOCKS", False)


@pytest.mark.parametrize(
    "spoil",
    [
        fill_up,
        let_others_in,
        plant_a_link,
        be_somebody_else,
        open_the_base,
        have_no_shm,
        have_no_locks,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_without_a_folder_each_reads_by_itself(
    service: FakeService,
    join: Join,
    shm: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[pytest.MonkeyPatch, Path], None],
) -> None:
    """A folder that is full, another's, open to others or not there costs a line, and no values."""
    spoil(monkeypatch, shm)

    with caplog.at_level(logging.WARNING, "rheostat"):
        for rank in [join(), join()]:
            read(rank, *range(100))

    assert len([line for line in caplog.messages if "reads by itself" in line]) == 1
    assert not list(shm.rglob("*.f64"))
    assert [reads for reads in service.reads if reads[0] == 0] == [(0, 32), (0, 32)]


def test_folder_is_tried_again(
    service: FakeService, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is room again after a while, the processes read together again."""
    monkeypatch.setattr(node_files, "OFF", 0.0)
    with monkeypatch.context() as patched:
        fill_up(patched, Path())
        read(join(), 0)

    read(join(), 0)
    read(join(), 0)

    assert asked(service) == 2


def test_old_blocks_go(join: Join, shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is bounded, however long the training: the newest, and no leftovers."""
    monkeypatch.setattr(node_files, "MOST_BLOCKS", 4)
    rank = join(lookahead=1e-6)
    read(rank, 0)
    folder = folder_of(shm)
    (folder / ".4711-1").write_bytes(b"of a writer that was killed")
    os.utime(folder / ".4711-1", (0, 0))

    read(rank, *range(600))

    assert 2 < len(blocks_of(shm)) <= 8
    assert not list(folder.glob(".*"))
    newest = max(int(name.partition("-")[0]) for name in blocks_of(shm))
    assert newest >= 590


def test_large_blocks_go_earlier(join: Join, shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files take no more than a bound, but for the newest block."""
    monkeypatch.setattr(node_files, "MOST_BYTES", 4000)

    read(join(), *range(500))

    assert sum(path.stat().st_size for path in folder_of(shm).iterdir()) < 6000
    assert blocks_of(shm)


def test_left_over_runs_go(join: Join, shm: Path) -> None:
    """Who begins with a run clears away what nobody has written to for an hour, and no more."""
    home = shm / f"rheostat-{os.geteuid()}"
    for name, age in {"old-1-a": 4000, "young-1-a": 100}.items():
        (home / name).mkdir(parents=True, mode=0o700)
        (home / name / "0-8.f64").write_bytes(b"")
        then = (home / name).stat().st_mtime - age
        os.utime(home / name, (then, then))
    home.chmod(0o700)

    read(join(), 0)

    assert sorted(path.name for path in home.iterdir() if "run-1" not in path.name) == ["young-1-a"]


def test_folder_that_was_cleared_away_is_made_anew(
    service: FakeService, join: Join, shm: Path
) -> None:
    """A run that stood still for long finds its folder gone, and makes it again."""
    rank = join()
    read(rank, 0)
    shutil.rmtree(folder_of(shm))

    read(rank, 64)
    read(join(), 64)

    assert asked(service, 64) == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_holds_no_lock(join: Join) -> None:
    """A child has none of its parent's locks: when the parent ends, or lets go, others ask."""
    joined = join()._joined
    parent = NodeFolder(joined, "http://test")
    turn = parent.take(0)
    assert isinstance(turn, Turn)

    def in_the_child() -> tuple[int, bool, bool]:
        other = NodeFolder(joined, "http://test")
        before = isinstance(other.take(0), Turn)
        try:
            os.fstat(turn.descriptor)
        except OSError:
            return len(parent.locked), before, True
        return len(parent.locked), before, False

    assert pickle.loads(in_child(in_the_child)) == (0, False, True)  # noqa: S301
    turn.release()
    assert isinstance(NodeFolder(joined, "http://test").take(0), Turn)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_reads_with_its_parent(service: FakeService, join: Join) -> None:
    """A handle in a forked child goes on with the blocks of the host."""
    rank = join()
    read(rank, 0)

    def in_the_child() -> tuple[list[float], int]:
        return [rank.value("lr", step) for step in range(32)], asked(service)

    assert pickle.loads(in_child(in_the_child)) == (  # noqa: S301
        [1 / (step + 1) for step in range(32)],
        1,
    )


def test_environment_says_how_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """``RHEOSTAT_READ`` stands for the option, which comes before it; what is no way is refused."""
    assert not Settings(base_url="http://test").reads_by_node
    monkeypatch.setenv("RHEOSTAT_READ", "node")
    assert Settings(base_url="http://test").reads_by_node
    assert not Settings(base_url="http://test", read="direct").reads_by_node
    monkeypatch.setenv("RHEOSTAT_READ", "nodes")
    with pytest.raises(Invalid, match="RHEOSTAT_READ is 'nodes', and must be direct or node"):
        Client("http://test")


def test_a_block_is_found_by_any_of_its_cells(join: Join) -> None:
    """A block that lies there is found from each cell that leaves half of what would be asked."""
    rank = join()
    read(rank, 0)
    folder = NodeFolder(rank._joined, "http://test")

    found = [cell for cell in range(40) if folder.find(BlockRequest(cell, 8), cell) is not None]

    assert found == list(range(29))

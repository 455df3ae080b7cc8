"""What a server tells of itself that nobody moves by a request: see `http/sampling.py`."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from tests.waiting import until

from rheostat import __version__
from rheostat.server.app import create_app
from rheostat.server.documents import MEMORY
from rheostat.server.http.connections import FILES, TURNED_AWAY, lacking_files
from rheostat.server.http.sampling import OUTAGES, Sampler
from rheostat.server.settings import Settings
from rheostat.server.store.records import Records

LOCAL = "http://127.0.0.1"


class Told:
    """An application that runs, and what it tells."""

    def __init__(self, app: FastAPI, http: TestClient) -> None:
        self.app, self.http = app, http
        self.sampler = Sampler(app.state, counts=True)

    def figures(self) -> dict[str, float]:
        """Look at everything at once, and return what is told."""
        self.portal(self.sampler.count)
        self.app.state.metrics.put("outside", self.sampler.outside())
        text = self.http.get("/metrics").text
        return {
            sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def portal(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call something within the application's event loop."""
        assert self.http.portal is not None
        return self.http.portal.call(call, *arguments)


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """Return an application on a file of its own."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}", max_connections=64))
    with TestClient(app, base_url=LOCAL) as http:
        yield Told(app, http)


def test_a_server_in_order_says_so(told: Told, tmp_path: Path) -> None:
    """It is ready, and tells its release, its process, its disk and when it counted."""
    before = time.time()
    found = told.figures()
    assert found["rheostat_ready"] == 1
    assert [found[f"rheostat_outage,{each}"] for each in OUTAGES] == [0] * 6
    assert found[f"rheostat_build_info,sqlite,{platform.python_version()},{__version__}"] == 1
    assert found["rheostat_connection_limit"] == 64
    assert found["rheostat_open_files_lacking"] == 0
    assert found["rheostat_writer_queue_operations"] == found["rheostat_writer_oldest_seconds"] == 0
    pool = [found[f"rheostat_database_connections,{state}"] for state in ("used", "idle")]
    assert sum(pool) >= 1  # the application's own sampler may use one
    assert found["rheostat_database_bytes"] == sum(
        path.stat().st_size
        for path in tmp_path.glob("x.db*")
        if path.suffix[3:] in {"", "-wal", "-shm"}
    )
    free = os.statvfs(tmp_path)
    assert found["rheostat_database_free_bytes"] == pytest.approx(
        free.f_bavail * free.f_frsize, rel=0.2
    )
    assert before <= found["rheostat_database_figures_timestamp_seconds"] <= time.time()
    assert 0 < found["rheostat_database_figures_duration_seconds"] < 60
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    resident = int(status["VmRSS"].split()[0]) * 1024
    assert found["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.2)
    virtual = int(status["VmSize"].split()[0]) * 1024
    assert found["process_virtual_memory_bytes"] == pytest.approx(virtual, rel=0.2)
    assert found["process_open_fds"] == pytest.approx(
        len([*Path("/proc/self/fd").iterdir()]), abs=3
    )
    assert found["process_max_fds"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert found["process_cpu_seconds_total"] == pytest.approx(time.process_time(), abs=2)
    assert before - 86_400 < found["process_start_time_seconds"] < time.time()


def test_every_cache_is_a_setting_and_in_the_sizing_table(told: Told) -> None:
    """What the caches may hold together is what the sizing table adds up, by settings."""
    found = told.figures()
    limit = sum(
        value for name, value in found.items() if name.startswith("rheostat_cache_limit_bytes")
    )
    settings = [name for name in Settings.model_fields if "cache" in name or "recent" in name]
    in_table = {name for _, name, _, _ in MEMORY}
    assert {*settings} <= in_table
    assert limit == pytest.approx(
        sum(Settings.model_fields[name].default for name in settings), abs=1024
    )
    for name in settings:
        given = Settings(**{name: 12_345_600})
        others = sum(Settings.model_fields[each].default for each in settings if each != name)
        app = create_app(given)
        caches = app.state.settings.caches
        held = (
            *(caches.timelines, caches.states, caches.digests, given.chunk_cache_bytes),
            *(app.state.block_cache.figures.limit, app.state.recent_answers.figures.limit),
        )
        assert sum(held) == others + 12_345_600


def test_what_waits_for_the_writer_is_seen(told: Told) -> None:
    """While an operation takes long, the others are counted, and the oldest is timed."""
    store, go_on, began = told.app.state.store, threading.Event(), threading.Event()

    def long(_records: Records) -> None:
        began.set()
        go_on.wait(30)

    async def both() -> None:
        first = asyncio.create_task(store.write(long))
        await asyncio.to_thread(began.wait, 30)
        second = asyncio.create_task(store.write(lambda _: None))
        await asyncio.to_thread(until, lambda: store.figures().queued == 1)
        told.sampler.look()
        seen.append(told.app.state.metrics.text().decode())
        go_on.set()
        await asyncio.gather(first, second)

    seen: list[str] = []
    told.portal(both)
    (text,) = seen
    assert "\nrheostat_writer_queue_operations 1.0\n" in text
    assert "\nrheostat_writer_oldest_seconds 0.0\n" not in text
    assert told.figures()["rheostat_writer_oldest_seconds"] == 0


def test_a_commit_that_fails_is_counted_by_its_reason(told: Told) -> None:
    """A transaction that failed is counted, whether time would mend it or not."""

    def fail(_records: Records) -> None:
        raise ValueError("a defect")

    before = told.figures()
    with pytest.raises(ValueError, match="defect"):
        told.portal(told.app.state.store.write, fail)
    after = told.figures()
    rise = {
        name: after[name] - before[name]
        for name in after
        if name.startswith("rheostat_commit_failures") and after[name] != before[name]
    }
    assert rise.keys() == {"rheostat_commit_failures_total,defect"}


def test_an_outage_is_told_by_its_reason(told: Told, tmp_path: Path) -> None:
    """Whoever scrapes learns that a server is not ready, and why, without asking /readyz."""
    (tmp_path / "x.db").unlink()
    told.app.state.metrics.put("outside", told.sampler.outside())
    text = told.http.get("/metrics").text
    assert "\nrheostat_ready 0.0\n" in text
    assert '\nrheostat_outage{reason="file-replaced"} 1.0\n' in text
    assert '\nrheostat_outage{reason="disk-full"} 0.0\n' in text


def test_what_cannot_be_read_is_told_no_more(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P9: figures of a database that is away are neither kept for ever nor an error."""
    assert "rheostat_runs,live" in told.figures()
    for name, value in {"FORGOTTEN": 0.3, "CENSUS": 0.01, "REST": 0}.items():
        monkeypatch.setattr(f"rheostat.server.http.sampling.{name}", value)
    (tmp_path / "x.db").unlink()

    async def count() -> None:
        counting = asyncio.create_task(told.sampler._keep_counting())
        text = told.app.state.metrics.text
        await asyncio.to_thread(until, lambda: b"rheostat_runs{" not in text())
        await asyncio.sleep(0.1)
        counting.cancel()

    told.portal(count)
    said = [each for each in caplog.messages if "figures of the database" in each]
    assert 1 <= len(said) <= 2  # the application's own sampler may have been there, too


@pytest.mark.parametrize(
    ("files", "lacking"), [(1024, 16_384 + FILES + TURNED_AWAY - 1024), (65_536, 0)]
)
def test_open_files_that_are_short_are_told(
    files: int, lacking: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure is how many more files have to be allowed: with these it is 0."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert lacking_files(16_384) == lacking
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files + lacking, files + lacking))
    assert lacking_files(16_384) == 0

"""`rheostat demo` shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "rheostat.cli", "demo", "--seconds", "10"]


def descendants(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that the demo has started and that are still there."""
    children: list[int] = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if fields["PPid"] == str(process.pid):
            children.append(int(fields["Pid"]))
    return children


def gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_every_worker_switches_at_the_announced_step(tmp_path: Path) -> None:
    """Two changes and a kill -9: all switch together, and every value is in the ledger (P1, P2)."""
    done = subprocess.run(
        [*COMMAND, "--workers", "2", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    for change in result["changes"]:
        assert change["switched"] == [change["effective"]] * 2
    assert len(result["changes"]) == 2
    assert result["checked"] == 2 * result["end"] > 1000
    assert (result["differing"], result["agreed"]) == (0, True)
    assert "kill -9" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    """After Ctrl-C in its middle no process and no file of the demo is left."""
    with subprocess.Popen(
        COMMAND,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "spike" in line:
                break
        started = descendants(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert len(started) == 5
    deadline = time.monotonic() + 30
    while not all(map(gone, started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in started if not gone(pid)] == []
    assert list(tmp_path.iterdir()) == []

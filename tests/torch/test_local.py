"""A local server under ``torchrun``: all ranks find one, and one is shared over a process group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rheostat.local_server import files

RANKS = 4
PROGRAM = """
import json

import rheostat
from torch import distributed

own = rheostat.local("own.db", linger=0, lookahead=0.05)
run = own.run("ddp", create={"parameters": {"lr": 0.5}, "total": 100})
values = [run.value("lr", step) for step in range(10)]
distributed.init_process_group("gloo")
shared = rheostat.local("shared.db", share=True, linger=0)
again = shared.run("ddp", create={"parameters": {"lr": 0.25}, "total": 100})
values += [again.value("lr", step) for step in range(10)]
told = [distributed.get_rank(), own.url, shared.url, sum(values)]
with open(f"rank-{told[0]}.json", "w") as file:  # on standard output, ranks write into lines
    json.dump(told, file)
distributed.barrier()
distributed.destroy_process_group()
"""


def test_all_ranks_find_one_server(tmp_path: Path) -> None:
    """Four ranks have one server of a file, and one that rank 0 shares, and read the same there."""
    (tmp_path / "train.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(RANKS)]
    left_out = {"RHEOSTAT_URL", "RHEOSTAT_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    try:
        done = subprocess.run(
            [*command, "--standalone", "train.py"],
            cwd=tmp_path,
            env={**kept, "XDG_STATE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            check=False,
            text=True,
        )
    finally:
        end(tmp_path / "own.db", tmp_path / "shared.db")

    assert done.returncode == 0, done.stderr
    told = [json.loads((tmp_path / f"rank-{n}.json").read_text()) for n in range(RANKS)]
    assert [rank for rank, *_ in told] == [*range(RANKS)]
    [(own, shared, total)] = {tuple(rest) for _, *rest in told}
    assert own != shared
    assert total == 10 * 0.5 + 10 * 0.25
    assert done.stdout.count("own.db is served at") == 1
    assert done.stderr.count("with it the server is gone") == 1


def end(*databases: Path) -> None:
    """End the servers of some databases."""
    for database in databases:
        there = files.read_endpoint(database)
        if there is not None and files.is_served(database):
            with suppress(ProcessLookupError):
                os.kill(there.pid, signal.SIGTERM)

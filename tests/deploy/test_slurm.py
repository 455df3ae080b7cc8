"""The job script of Slurm, with the programs of Slurm played: what it does to a real run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.conftest import DEPLOY, RunProgram

SCRIPT = DEPLOY / "slurm" / "train.sbatch"
PROGRAMS = {
    "srun": 'exec "$@"',
    "torchrun": 'while [ "${1#--}" != "$1" ]; do echo "$1" >> "$TOLD"; shift; done\n'
    'exec "$PYTHON" "$@"',
    # A requeue ends the job's processes.
    "scontrol": 'echo "scontrol $*" >> "$TOLD"\n'
    'case "$1" in show) echo node1; echo node2 ;; requeue) kill "$(cat "$PIDS")" ;; esac',
    "rheostat": 'exec "$PYTHON" -m rheostat.cli "$@"',
}
"""What the script calls; `srun` is the training itself, and its process is written down."""


class Job:
    """A job of Slurm: an environment in which the script is started, and started again."""

    def __init__(self, folder: Path, guarded: Any, name: str, **more: str) -> None:
        self.folder, self.told = folder, folder / "told"
        programs = folder / "programs"
        programs.mkdir()
        for program, text in PROGRAMS.items():
            (programs / program).write_text(f"#!/bin/sh\n{text}\n")
            (programs / program).chmod(0o755)
        for role in ("worker", "operator"):
            (folder / role).write_text(guarded.secrets[role])
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RHEOSTAT_")}
        self.environment = kept | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "TOLD": str(self.told),
            "PIDS": str(folder / "pid"),
            "TRAINING": str(SCRIPT.with_name("train.py")),
            "CHECKPOINTS": str(folder / "checkpoints"),
            "RHEOSTAT_URL": guarded.url,
            "RHEOSTAT_TOKEN_FILE": str(folder / "worker"),
            "OPERATOR_TOKEN_FILE": str(folder / "operator"),
            "SLURM_JOB_NAME": name,
            "SLURM_JOB_ID": "71",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            **more,
        }

    def start(self, **more: str) -> subprocess.Popen[str]:
        """Start the script, as Slurm does when the job has its turn."""
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                ["/bin/bash", SCRIPT],
                env=self.environment | more,
                stdout=log,
                stderr=log,
                text=True,
            )

    @property
    def steps(self) -> list[tuple[int, float]]:
        """The steps that were trained, each with its rate, of all starts."""
        found = re.findall(r"(?m)^step (\d+) lr (\S+)$", (self.folder / "log").read_text())
        return [(int(step), float(rate)) for step, rate in found]


@pytest.fixture
def job(tmp_path: Path, guarded: Any, new_name: Callable[[], str]) -> Job:
    """Return a job whose training has 160 steps."""
    return Job(tmp_path, guarded, new_name(), STEPS="160")


def test_the_script_is_sound(run_program: RunProgram) -> None:
    """The script has none of the mistakes that shells make easy."""
    done = run_program("shellcheck", SCRIPT)
    assert done.returncode == 0, done.stdout


def test_slurm_is_told_what_the_script_counts_on() -> None:
    """A job is requeued, told before its end, and told in time for what the script waits for."""
    options = dict(re.findall(r"(?m)^#SBATCH --([a-z-]+)=?(.*)$", SCRIPT.read_text()))
    assert options["requeue"] == ""
    sent, _, before = options["signal"].partition("@")
    assert sent == "B:USR1"
    (waits,) = re.findall(r"--wait=done --timeout (\d+)", SCRIPT.read_text())
    assert int(before) >= int(waits) + 60 + 60  # Slurm may be a minute late
    assert options["open-mode"] == "append"


def test_a_job_is_one_run(job: Job, guarded: Any) -> None:
    """A job that is begun again finds its run; tasks of an array have one each, with their own."""
    name = job.environment["SLURM_JOB_NAME"]
    for task in ("1", "2"):
        more = {"SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": task}
        for _ in range(2):
            assert job.start(**more).wait(120) == 0
        state = guarded.ask("viewer", "GET", f"/v1/runs/{name}-70-{task}").json()
        definition = state["parameters"]["lr"]
        assert (definition["peak"], len(state["generations"])) == ([1e-4, 2e-4, 4e-4][int(task)], 1)


def test_before_its_end_a_job_saves_and_goes_on_later(job: Job, guarded: Any) -> None:
    """P3: all save at one step when the time is nearly over, and the next start goes on there."""
    slow = {"SECONDS_A_STEP": "0.05", "STEPS": "400"}
    process = job.start(**slow)
    run = f"{job.environment['SLURM_JOB_NAME']}-71"
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(job.steps) < 5:
        assert process.poll() is None, (job.folder / "log").read_text()
        time.sleep(0.05)
    (job.folder / "pid").write_text(pids.read_text().split()[0])
    process.send_signal(signal.SIGUSR1)
    assert process.wait(120) != 0  # the job's processes were ended
    before = job.steps
    told = job.told.read_text()
    assert "scontrol requeue 71\n" in told
    assert "--rdzv-endpoint=node1:29500" in told
    saved = guarded.ask("viewer", "GET", f"/v1/runs/{run}/checkpoints").json()["items"]
    (checkpoint,) = saved
    assert job.start(SLURM_RESTART_COUNT="1", STEPS="400").wait(120) == 0
    assert "--rdzv-id=71.1" in job.told.read_text()
    after = job.steps[len(before) :]
    assert after[0][0] == checkpoint["step"] <= before[-1][0] + 1
    assert after[-1][0] == 399
    again = dict(after)
    assert all(again[step] == rate for step, rate in before if step in again)


def test_a_training_that_failed_is_not_begun_again(job: Job) -> None:
    """A training's own failure is the job's, and no job is requeued for it."""
    assert job.start(TRAINING="/nowhere/train.py").wait(60) == 2
    assert "requeue" not in job.told.read_text()


def test_a_job_goes_on_without_the_service_at_its_end(job: Job, guarded: Any) -> None:
    """P9: a service that refuses the last word costs what was not saved, and not the job."""
    (job.folder / "operator").write_text(guarded.secrets["viewer"])
    process = job.start(SECONDS_A_STEP="0.05", STEPS="400")
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(job.steps) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    (job.folder / "pid").write_text(pids.read_text().split()[0])
    process.send_signal(signal.SIGUSR1)
    process.wait(120)
    assert "scontrol requeue 71\n" in job.told.read_text()
    assert "not saved now" in (job.folder / "log").read_text()

"""
Attempts at one training: what a new one is called, so that all of its ranks mean the same run.

A rank cannot tell a run that another rank of its job has just read from one that was trained
yesterday. So where there are several, the run bears their job as a label.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rheostat.client.calls import invalid, run_body
from rheostat.errors import NameTaken

LABEL = "rheostat.job"
"""The label by which the ranks of one job know the run of their attempt."""
MOST = 1_000
"""Attempts of one name at most."""


def generated(job: str | None) -> str:
    """Return a name for the run of a training that was given none: the same on all ranks."""
    if job is not None:
        return re.sub(r"[^A-Za-z0-9._-]", "-", f"run-{job}")[:100]
    script = re.sub(r"[^A-Za-z0-9._-]", "-", Path(sys.argv[0] if sys.argv else "").stem)
    known = script if re.match(r"[A-Za-z0-9]", script) and "ipykernel" not in script else "run"
    return f"{known[:60]}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def nth(name: str, number: int) -> str:
    """Return what the attempt of a number is called."""
    return name if number == 1 else f"{name}-{number}"


def labelled(create: Any, job: str | None) -> dict[str, Any]:
    """Return the body to create a run with that bears its job."""
    body = run_body(create)
    if job is not None:
        body["labels"] = {**(body.get("labels") or {}), LABEL: job}
    return body


def is_ours(run: Mapping[str, Any], job: str | None) -> bool:
    """Whether a run is that of this attempt: of the same job, or read by nobody yet."""
    if job is None:
        return run.get("settled_until") == 0 and run.get("end") is None
    labels = run.get("labels")
    return isinstance(labels, Mapping) and labels.get(LABEL) == job


def of_this_process() -> str | None:
    """
    Return what the ranks of this job have in common; None of a process that trains alone.

    Raises:
        Invalid: There are several, on several machines, and nothing names their job.

    """
    ranks = max(_number("WORLD_SIZE"), _number("SLURM_STEP_NUM_TASKS"))
    if ranks <= 1:
        return None
    named = os.environ.get("TORCHELASTIC_RUN_ID")
    if named and named not in {"none", "static"}:
        return f"torch:{named[:100]}"
    if slurm := os.environ.get("SLURM_JOB_ID"):
        return f"slurm:{slurm[:100]}.{os.environ.get('SLURM_STEP_ID') or 0}"
    if _number("LOCAL_WORLD_SIZE") == ranks:
        return f"{socket.gethostname()[:100]}:{os.getppid()}:{_began(os.getppid())}"
    message = "one that all ranks agree on: nothing in the environment names their job"
    raise invalid("name", None, message)


def is_of_total_alone(refusal: NameTaken) -> bool:
    """Whether a run that is there differs from a body in nothing but its total."""
    told = refusal.members.get("differences")
    return isinstance(told, list) and [_field(item) for item in told] == ["total"]


def _field(item: Any) -> Any:
    return item.get("field") if isinstance(item, Mapping) else None


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0


def _began(process: int) -> str:
    """Return when a process began, as Linux counts it, since numbers are used again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"

"""A training that is run again: under a new name, with another total, without a name at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rheostat import Client
from rheostat.client import attempts, calls
from rheostat.errors import Forbidden, Invalid, NameTaken, StaleCheckpoint

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": "100%"}
SPEC: dict[str, Any] = {"parameters": {"lr": LINE}, "total": 100}
ALONE = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID")
SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "SLURM_STEP_ID")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be no rank of several, whatever starts the tests."""
    for variable in (*ALONE, *SLURM):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


def test_a_fresh_attempt_has_a_run_of_its_own(real: Client, new_name: Callable[[], str]) -> None:
    """The first is called as it is told, and each further one has the next number."""
    name = new_name()
    found = []
    for _ in range(3):
        run = real.run(name, create=SPEC, fresh=True)
        run.value("lr", 0)
        found.append(run.name)
    assert found == [name, f"{name}-2", f"{name}-3"]


def test_a_fresh_attempt_takes_what_nobody_has_read(
    real: Client, new_name: Callable[[], str]
) -> None:
    """A run that an operator created for it, or that it joined and never read, is its own."""
    name = new_name()
    real.create_run(name, **SPEC)
    assert [real.run(name, create=SPEC, fresh=True).name for _ in range(2)] == [name] * 2


def test_a_fresh_attempt_may_be_planned_otherwise(
    real: Client, new_name: Callable[[], str]
) -> None:
    """A cell that is run again with another rate makes another run, and touches the first one."""
    name = new_name()
    real.run(name, create=SPEC, fresh=True)
    other = real.run(name, create={"parameters": {"lr": 0.5}}, fresh=True)
    assert (other.name, other.value("lr", 0)) == (f"{name}-2", 0.5)


def test_with_a_checkpoint_the_attempt_is_that_of_it(
    real: Client, new_name: Callable[[], str]
) -> None:
    """The same line begins a training and resumes it, whatever number its run has."""
    name = new_name()
    for _ in range(2):
        run = real.run(name, create=SPEC, fresh=True, checkpoint=None)
        run.value("lr", 10)
    again = real.run(name, create=SPEC, fresh=True, checkpoint=run.checkpoint(5))
    assert (again.id, again.name) == (run.id, f"{name}-2")
    with pytest.raises(StaleCheckpoint):
        real.run(name, checkpoint=run.checkpoint(5))


def test_ranks_of_one_job_share_a_fresh_attempt(
    real: Client, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes when others have read already finds their run, and no run of before."""
    name = new_name()
    real.run(name, create=SPEC).value("lr", 0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for job, expected in (("a", f"{name}-2"), ("b", f"{name}-3"), ("a", f"{name}-2")):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", job)
        for _ in range(2):
            run = real.run(name, create={**SPEC, "labels": {"team": "x"}}, fresh=True)
            run.value("lr", 0)
            assert run.name == expected
    assert real.control(expected).show()["labels"] == {"team": "x", "rheostat.job": "torch:a"}


def test_jobs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what started them: TorchElastic, Slurm, or one parent on one machine."""
    assert attempts.of_this_process() is None
    monkeypatch.setenv("SLURM_JOB_ID", "77")  # a notebook in an allocation is a process alone
    assert attempts.of_this_process() is None
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    monkeypatch.setenv("SLURM_STEP_ID", "3")
    assert attempts.of_this_process() == "slurm:77.3"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert attempts.of_this_process() == "slurm:77.3"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abc")
    assert attempts.of_this_process() == "torch:abc"
    for variable in (*ALONE, *SLURM):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(Invalid, match="all ranks agree"):
        attempts.of_this_process()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    told = attempts.of_this_process()
    assert told is not None
    assert f":{os.getppid()}:" in told
    assert attempts.of_this_process() == told


def test_a_run_without_a_name_is_given_one(real: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one each time, and one that a run can have; the same for all ranks of a job."""
    monkeypatch.setattr("sys.argv", ["/home/me/my train (1).py"])
    first, second = (real.run(create=SPEC).name for _ in range(2))
    assert first != second
    assert first.startswith("my-train--1--")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", f"x{os.urandom(4).hex()}")
    assert real.run(create=SPEC).id == real.run(create=SPEC).id
    monkeypatch.setattr("sys.argv", [])
    assert attempts.generated(None).startswith("run-")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "name"),
        ({"name": "a", "fresh": True}, "fresh"),
        ({"name": "a", "fresh": True, "create": SPEC, "start": 5}, "fresh"),
        ({"name": "a", "create": SPEC, "other_total": "stretch"}, "other_total"),
        ({"name": "a", "fresh": True, "create": 7}, "create"),
        ({"name": "a/b", "fresh": True, "create": SPEC}, "name"),
    ],
)
def test_what_cannot_be_meant_is_refused(real: Client, arguments: Any, field: str) -> None:
    """Each with the argument that is wrong."""
    with pytest.raises(Invalid) as refusal:
        real.run(**arguments)
    assert refusal.value.errors[0].field == field


def test_another_total_is_refused_with_the_command(
    real: Client, new_name: Callable[[], str]
) -> None:
    """A resumed job with more epochs is told what to type."""
    name = new_name()
    real.run(name, create=SPEC)
    with pytest.raises(NameTaken, match=f"rheostat run extend {name} --total 150"):
        real.run(name, create={**SPEC, "total": 150})


def test_another_total_may_be_kept(
    real: Client, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """With ``keep`` the run's own total counts, and one warning has the command."""
    name = new_name()
    real.run(name, create=SPEC)
    with caplog.at_level(logging.WARNING, "rheostat"):
        run = real.run(name, create={**SPEC, "total": 150}, other_total="keep")
    assert run.total == 100
    [said] = [record.getMessage() for record in caplog.records]
    assert f"rheostat run extend {name} --total 150" in said


def test_the_run_may_be_made_as_long_as_the_training(
    real: Client, new_name: Callable[[], str]
) -> None:
    """With ``extend`` all ranks send it, one revision comes of it, and the curve ends there."""
    name = new_name()
    first = real.run(name, create=SPEC)
    assert first.value("lr", 50) == 0.5
    runs = [
        real.run(name, create={**SPEC, "total": 200}, other_total="extend", checkpoint=at)
        for at in (first.checkpoint(40), first.checkpoint(40), None)
    ]
    assert [run.total for run in runs] == [200] * 3
    assert runs[0].value("lr", 150) == 0.25
    assert [r["kind"] for r in real.control(name).history()] == ["create", "total"]


def test_nothing_else_may_differ(real: Client, new_name: Callable[[], str]) -> None:
    """A body with another definition as well is refused, whatever may be done about totals."""
    name = new_name()
    real.run(name, create=SPEC)
    other = {"parameters": {"lr": 0.5}, "total": 150}
    ways: list[calls.OtherTotal] = ["keep", "extend"]
    for way in ways:
        with pytest.raises(NameTaken):
            real.run(name, create=other, other_total=way)


def test_a_worker_may_not_extend() -> None:
    """Without an operator's token it is refused as it was, with the command for one."""
    told: dict[str, Any] = {
        "differences": [{"field": "total", "there": 100, "sent": 150}],
        "extend": "rheostat …",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        refusal = NameTaken("differs", **told) if request.method == "PUT" else Forbidden("no")
        kind = {"Content-Type": "application/problem+json"}
        return httpx.Response(refusal.status, json=refusal.to_problem(), headers=kind)

    with (
        Client("http://test", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(NameTaken) as refusal,
    ):
        client.run("gpt", create={**SPEC, "total": 150}, other_total="extend")
    assert refusal.value.members["extend"] == "rheostat …"

"""What ranks applied, held against the ledger by a real service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rheostat import Client

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 10_000}
STEPS = 300


@pytest.mark.parametrize("run", ["told", "untold"])
def test_one_of_eight_ranks_is_named(run: str, eight: tuple[str, dict[str, str]]) -> None:
    """
    P12: whose rate is overwritten at step 5,000 is named, with the step and both values.

    With the slots read back it is named at the step: nobody trains on before. Left to the service
    it is named at the end of the window of 256 steps, where they wait for it.
    """
    server, names = eight
    mismatches = httpx.get(f"{server}/v1/runs/{names[run]}/mismatches").json()["items"]
    (named,) = [{key: m[key] for key in NAMED} for m in mismatches]
    expected = {"worker": "3", "parameter": "lr", "step": 5_000, "dtype": "f64"}
    assert named == {**expected, "expected": "0.5", "found": "0.75"}


NAMED = ("worker", "parameter", "step", "dtype", "expected", "found")


@pytest.fixture(scope="module")
def eight(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Let eight ranks train on two runs; return the service and the runs."""
    names = {"told": "eight-told", "untold": "eight-untold"}
    with Client(server) as client:
        for name in names.values():
            client.create_run(name, {"lr": LINE})
    rendezvous = str(tmp_path_factory.mktemp("eight") / "rendezvous")
    program = [sys.executable, str(Path(__file__).with_name("eight.py"))]
    subprocess.run([*program, rendezvous, server, *names.values()], check=True, timeout=300)
    return server, names


def weight() -> Any:
    found = torch.nn.Parameter(torch.ones(2))
    found.grad = torch.ones(2)
    return found


def plain() -> Any:
    return torch.optim.SGD([weight()], lr=0.1, momentum=0.9)


def in_float32() -> Any:
    return torch.optim.AdamW([weight()], lr=torch.tensor(0.1))


def fused_in_float32() -> Any:
    return torch.optim.AdamW([weight()], lr=torch.tensor(0.1), fused=True)


def layer_decay() -> Any:
    groups = [{"params": [weight()], "lr_scale": 0.7**depth} for depth in range(5)]
    return torch.optim.AdamW(groups, lr=0.1)


@pytest.mark.parametrize("make", [plain, in_float32, fused_in_float32, layer_decay])
def test_a_sound_training_is_proven(
    make: Callable[[], Any], server: str, new_name: Callable[[], str]
) -> None:
    """P12: all that it applied is what was served, and there is no alarm."""
    from rheostat.torch import attach

    name = new_name()
    with Client(server, worker="7") as client:
        # 1/3 is no float32, and 0.1 is no float at all.
        parameters = {"lr": {**LINE, "start": 1 / 3}, "momentum": {**LINE, "start": 0.1}}
        run = client.run(name, create={"parameters": parameters})
        optimizer = make()
        handle = attach(optimizer, run, on_mismatch="raise")
        for _ in range(STEPS):
            optimizer.step()
        assert handle.step == STEPS
    workers = httpx.get(f"{server}/v1/runs/{name}/workers").json()
    (worker,) = workers["items"]
    told = {key: worker[key] for key in ("worker", "step", "proven_until", "state")}
    assert told == {"worker": "7", "step": STEPS, "proven_until": STEPS, "state": "ended"}
    assert httpx.get(f"{server}/v1/runs/{name}/mismatches").json()["items"] == []

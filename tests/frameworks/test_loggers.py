"""A run in the trackers that trainings log to: the real ones, without a network."""

from __future__ import annotations

import logging
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.conftest import Case, NewCase
from tests.frameworks.test_lightning import MATTERLESS, follow, loader, module, trainer
from tests.test_docstrings import run_page

import rheostat
from rheostat.errors import Invalid

pytestmark = [pytest.mark.filterwarnings(MATTERLESS)]
CHANGE = {"lr": {"edit": "scale", "factor": 0.5}}
SENTENCE = "revision 2 from step 8: loss spike"


@pytest.fixture
def case(new_case: NewCase) -> Case:
    """Return a run whose ramp is halved at step 8."""
    case = new_case()
    case.control.change(CHANGE, effective=8, message="loss spike")
    return case


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return MLflow with a folder of its own, which needs no migrations as its databases do."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    module = pytest.importorskip("mlflow", reason="needs mlflow-skinny: make test-frameworks")
    module.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield module
    while module.active_run():
        module.end_run()


def train(case: Case, writer: Any, every: int = 4) -> Any:
    """Read 12 steps, as a loop does that logs at each."""
    run = case.join()
    board = rheostat.log(run, writer, every=every)
    for step in range(12):
        run.value("lr", step)
        board.write(step)
    return run


POINTS = {0: 0.0, 4: 4 / 1024, 7: 7 / 1024, 8: 4 / 1024}
"""The points of the rate that are logged: each fourth, and both sides of the change."""
REVISIONS = {0: 1, 4: 1, 7: 1, 8: 2}


def scalars(folder: Path) -> tuple[dict[str, dict[int, float]], list[tuple[int, str]]]:
    """Return the curves, and the texts by step, that TensorBoard reads from a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    curves = {
        tag: {each.step: each.value for each in events.Scalars(tag)}
        for tag in events.Tags()["scalars"]
    }
    texts = [
        (each.step, each.tensor_proto.string_val[0].decode())
        for each in events.Tensors("rheostat/text_summary")
    ]
    return curves, texts


def test_tensorboard(case: Case, tmp_path: Path) -> None:
    """Its curve has both sides of the change, and its text what the revision is."""
    pytest.importorskip("tensorboard", reason="needs tensorboard: make test-frameworks")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        run = train(case, writer)
    curves, texts = scalars(tmp_path)
    assert curves == {"rheostat/lr": POINTS, "rheostat/revision": REVISIONS}
    assert texts == [(0, f"run {run.name} ({run.id})"), (8, SENTENCE)]


def test_weights_and_biases(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, its history has the same, and its configuration which run it is."""
    wandb = pytest.importorskip("wandb", reason="needs wandb: make test-frameworks")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_SILENT", "true")
    tracked = wandb.init(mode="offline", dir=tmp_path, project="rheostat")
    run = train(case, tracked)
    tracked.finish()
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows: dict[int, dict[str, str]] = {}
    settings: dict[str, str] = {}
    found: list[Any] = []
    end = time.monotonic() + 60
    while not (found and found[-1].WhichOneof("record_type") == "exit"):  # it is not finished yet
        assert time.monotonic() < end, [each.WhichOneof("record_type") for each in found]
        time.sleep(0.05)
        found = [wandb_internal_pb2.Record.FromString(data) for data in records(path)]
    for record in found:
        told = {"/".join(item.nested_key): item.value_json for item in record.history.item}
        rows.setdefault(record.history.step.num, {}).update(told)
        settings |= {item.key: item.value_json for item in record.config.update}
    rate = {step: float(row["rheostat/lr"]) for step, row in rows.items() if "rheostat/lr" in row}
    assert rate == POINTS
    assert rows[8]["rheostat/revision"] == "2"
    assert rows[8]["rheostat/message"] == f'"{SENTENCE}"'
    assert (settings["rheostat"], settings["rheostat_run"]) == (f'"{run.id}"', f'"{run.name}"')


def records(path: Path) -> Iterator[bytes]:
    """Yield what an offline run has written: the log format of LevelDB, after a head of 7 bytes."""
    data, at, parts = path.read_bytes(), 7, []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if at + 7 + length > len(data):
            return  # it is being written
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # all of it, or its last part
            yield b"".join(parts)
            parts = []


BLOCK = 32768


@pytest.mark.parametrize("how", ["the module", "a run"])
def test_mlflow(case: Case, mlflow: Any, how: str) -> None:
    """Its metrics have the same, its tags what holds now, and its description all revisions."""
    active = mlflow.start_run()
    run = train(case, mlflow if how == "the module" else active)
    client = mlflow.MlflowClient()
    for name, points in (("rheostat/lr", POINTS), ("rheostat/revision", REVISIONS)):
        history = client.get_metric_history(active.info.run_id, name)
        assert {each.step: each.value for each in history} == points
    tags = client.get_run(active.info.run_id).data.tags
    assert tags["rheostat.run"] == run.name
    assert tags["rheostat.id"] == run.id
    assert tags["rheostat.revision"] == "2"
    assert tags["mlflow.note.content"].splitlines()[-1] == f"* {SENTENCE}"


def test_mlflow_keeps_what_somebody_wrote(case: Case, mlflow: Any) -> None:
    """A description that is there stays."""
    active = mlflow.start_run(description="the second try")
    train(case, mlflow)
    tags = mlflow.MlflowClient().get_run(active.info.run_id).data.tags
    assert tags["mlflow.note.content"] == "the second try"
    assert tags["rheostat.revision"] == "2"


def test_the_page_does_what_it_says(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of docs/loggers.md runs, and leaves what it promises."""
    pytest.importorskip("tensorboard", reason="needs tensorboard: make test-frameworks")
    page = Path(__file__).parents[2] / "docs" / "loggers.md"
    monkeypatch.chdir(tmp_path)
    names, _ = run_page(page, server)
    names["client"].close()
    curves, _ = scalars(tmp_path / "board")
    assert set(range(0, 100, 10)) <= set(curves["rheostat/lr"])


def test_lightning_tells_its_logger(case: Case, tmp_path: Path) -> None:
    """With the callback nothing else is needed: TensorBoard has it all."""
    from lightning.pytorch.loggers import TensorBoardLogger

    pytest.importorskip("tensorboard", reason="needs tensorboard: make test-frameworks")
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit = trainer(tmp_path, follow(case.join()), logger=logger, log_every_n_steps=4, max_epochs=1)
    fit.fit(module(), loader())
    curves, texts = scalars(tmp_path)
    assert {k: v for k, v in curves["rheostat/lr"].items() if k <= 8} == POINTS
    assert {k: v for k, v in curves["rheostat/revision"].items() if k <= 8} == REVISIONS
    assert texts[1:] == [(8, SENTENCE)]


def test_lightning_in_front_of_mlflow(case: Case, tmp_path: Path, mlflow: Any) -> None:
    """The sentence goes to the run that Lightning's logger has made."""
    from lightning.pytorch.loggers import MLFlowLogger

    logger = MLFlowLogger(tracking_uri=mlflow.get_tracking_uri())
    train(case, logger)
    found = mlflow.MlflowClient().get_run(logger.run_id).data
    assert found.tags["rheostat.revision"] == "2"
    assert found.metrics["rheostat/revision"] == 2
    assert SENTENCE in found.tags["mlflow.note.content"]


def test_who_heard_of_changes_still_does(case: Case) -> None:
    """`on_change` of the run is called as before, and is what it was after `close`."""
    heard: list[int] = []
    run = case.join(on_change=lambda revision: heard.append(revision.number))
    before = run.on_change
    board = rheostat.log(run, Refuses())
    for step in range(12):
        run.value("lr", step)
    assert heard == [2]
    board.close()
    assert run.on_change is before


class Refuses:
    """A writer that is broken."""

    def add_scalar(self, *_: Any) -> None:
        """Fail."""
        raise OSError("no space left")

    add_text = add_scalar


def test_a_tracker_that_fails_ends_nothing(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """What it refuses is said, once, and the training goes on."""
    with caplog.at_level(logging.WARNING, logger="rheostat"):
        train(case, Refuses())
    assert caplog.text.count("no space left") == 1


def test_what_is_no_tracker_is_refused(case: Case, mlflow: Any) -> None:
    """The sentence says what may be handed over; a module without a run, what comes first."""
    run = case.join()
    with pytest.raises(Invalid, match=r"writer must be a SummaryWriter of TensorBoard"):
        rheostat.log(run, "runs")
    with pytest.raises(Invalid, match=r"has no run that is active: mlflow\.start_run\(\)"):
        rheostat.log(run, mlflow)
    with pytest.raises(Invalid, match="every must be at least 1"):
        rheostat.log(run, Refuses(), every=0)


def test_nothing_is_imported_before_its_use() -> None:
    """Neither trackers nor frameworks are loaded by the modules that follow a run in them."""
    code = (
        "import sys, rheostat, rheostat.loggers, rheostat.lightning; rheostat.log;"
        "print(sorted({'torch', 'lightning', 'mlflow', 'wandb', 'tensorboard'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

"""
Train a network while an operator changes its rate, and photograph what TensorBoard and MLflow show.

It makes pictures for ``docs/loggers.md``::

    python examples/tracker_pictures.py docs/loggers

With a folder as a second argument, what was trained stays there, and is photographed again.

Needs PyTorch, scikit-learn, tensorboard, mlflow, Pillow, playwright, and Chromium on the path, and
starts a service and the two programs on ports of its own. It fits the pages of TensorBoard 2.21 and
of MLflow 3.17, which shows a run only where graphql-core is older than 3.3.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import mlflow
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from torch.nn.functional import cross_entropy
from torch.utils.tensorboard import SummaryWriter

import rheostat
from digits.network import accuracy, batches, digits, network
from digits.service import Service
from rheostat.torch import RheostatLR

TOTAL: Final = 240
WSD: Final = {
    "kind": "wsd", "peak": 0.1, "warmup": 20, "stable": "rest", "decay": "30%", "end": 0.002
}  # fmt: skip
BODY: Final[dict[str, Any]] = {"parameters": {"lr": WSD}, "total": TOTAL, "max_block": 8}
STORED: Final = {
    # what a browser keeps of the choices that somebody made in both
    "_tb_global_settings": {
        "ignoreOutliers": False,
        "scalarSmoothing": 0,
        "sideBarWidthInPercent": 0,
        "stepSelectorEnabled": False,
        "timeSeriesSettingsPaneOpened": False,
    },
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
    "mlflow.workflowType_v1": "machine_learning",
}
HEIGHT: Final = 1000
MARGIN: Final = 16
SPIKED: Final = "the loss spiked"
CARD: Final = "[data-testid=experiment-view-compare-runs-card]:has-text('rheostat/')"


def train(url: str, board: Path) -> str:
    """Train, with an operator at work; return where MLflow's page of the run is."""
    train, test = digits()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    operator = rheostat.Client(url, author="ann").control("digits")
    with rheostat.Client(url) as client, SummaryWriter(str(board / "digits")) as writer:
        run = client.run("digits", create=BODY)
        scheduler = RheostatLR(optimizer, run)
        mlflow.set_experiment("digits")
        info = mlflow.start_run(run_name="digits").info
        log = rheostat.log(run, [writer, mlflow], every=4)
        for step, batch in zip(range(TOTAL), batches(train, 0, 1), strict=False):
            log.write(step)
            optimizer.zero_grad()
            loss = cross_entropy(model(batch.images), batch.labels)
            loss.backward()
            optimizer.step()
            if step % 4 == 0:
                writer.add_scalar("loss", loss, step)
                mlflow.log_metric("loss", loss.item(), step)
            if step == 60:
                operator.change({"lr": rheostat.scale(0.5)}, message=SPIKED)
            if step == 120:
                ramp = rheostat.ramp(0.08, steps=20)
                operator.change({"lr": ramp}, message="it learns too slowly, a little more")
            if step < TOTAL - 1:
                scheduler.step()
        print(f"accuracy {accuracy(model, test):.3f}")
        mlflow.end_run()
    return f"#/experiments/{info.experiment_id}/runs/{info.run_id}"


@contextmanager
def program(*command: str, port: int, folder: Path) -> Iterator[str]:
    """Run a program that serves a page on loopback, and yield its address."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *command], cwd=folder, stdout=log, stderr=log
        )
        try:
            for _ in range(600):
                try:
                    httpx.get(url, timeout=5).raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.5)
            yield url
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def browser(width: int) -> Iterator[Page]:
    """Open a window, in which WebGL draws without a graphics card."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--enable-unsafe-swiftshader"],
        )
        page = chromium.new_page(viewport={"width": width, "height": HEIGHT})
        page.set_default_timeout(120_000)
        for key, value in STORED.items():
            told = f"{json.dumps(key)}, {json.dumps(json.dumps(value))}"
            page.add_init_script(f"localStorage.setItem({told})")
        yield page
        chromium.close()


def photograph(page: Page, url: str, last: str, first: str | None = None) -> Image.Image:
    """Return what a page shows from its top, or from one place, to another place."""
    page.goto("about:blank")  # else a link into the same page would not load it
    page.goto(url)
    page.locator(last).first.wait_for()
    page.wait_for_timeout(8_000)  # curves are drawn later than what is around them
    end = page.locator(last).last.bounding_box()
    whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    top = page.locator(first).first.bounding_box()["y"] - MARGIN if first else 0
    return whole.crop((0, round(top), whole.width, round(end["y"] + end["height"] + MARGIN)))


def save(pictures: list[Image.Image], path: Path) -> None:
    """Write pictures one below the other, in few colours."""
    height = sum(each.height + MARGIN for each in pictures) - MARGIN
    whole = Image.new("RGB", (pictures[0].width, height), "white")
    top = 0
    for each in pictures:
        whole.paste(each, (0, top))
        top += each.height + MARGIN
    whole.quantize(64).save(path, optimize=True)
    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def main(target: str, kept: str | None = None) -> None:
    """Make both pictures."""
    out = Path(target).resolve()
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(kept or place).resolve()
        folder.mkdir(exist_ok=True)
        database = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(database)
        told = folder / "run"
        if not told.exists():
            with Service(folder) as service:
                told.write_text(train(service.url, folder / "board"))
        tensorboard(folder, out / "tensorboard.png")
        tracked(folder, database, told.read_text(), out / "mlflow.png")


def tensorboard(folder: Path, path: Path) -> None:
    """Photograph the curves, and the sentences below."""
    port = free_port()
    command = ("tensorboard.main", "--logdir", "board", "--host", "127.0.0.1", "--port", str(port))
    with program(*command, port=port, folder=folder) as url, browser(1100) as page:
        curves = photograph(page, f"{url}/?tagFilter=loss|rheostat/#timeseries", "scalar-card")
        texts = photograph(page, f"{url}/#text", "tf-text-loader")
    save([curves, texts], path)


def tracked(folder: Path, database: str, run: str, path: Path) -> None:
    """Photograph the curves of a run of MLflow, and below them its tags and its description."""
    port = free_port()
    command: tuple[str, ...] = (
        "mlflow",
        "server",
        "--backend-store-uri",
        database,
        "--workers",
        "1",
    )
    command += ("--host", "127.0.0.1", "--port", str(port))
    with program(*command, port=port, folder=folder) as url, browser(900) as page:
        curves = photograph(page, f"{url}/{run}/model-metrics", CARD)
        told = photograph(page, f"{url}/{run}", f"ul:has-text('{SPIKED}')", "text=Tags")
    save([curves, told], path)


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    main(*sys.argv[1:])

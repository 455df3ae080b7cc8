"""
Train a network while an operator changes its rate, and photograph what TensorBoard and MLflow show.

It makes pictures for ``docs/loggers.md``::

    python examples/tracker_pictures.py docs/loggers

With a folder as a second argument, what was trained stays there, and is photographed again.

Needs PyTorch, scikit-learn, tensorboard, mlflow, Pillow and Chromium, and starts a service and the
two programs on ports of its own.
"""

from __future__ import annotations

import os
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
CHROMIUM: Final = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu")
WIDTH: Final = 1400
CARDS: Final = "darkMode=false&smoothing=0&tagFilter=rheostat/"


def train(url: str, board: Path) -> str:
    """Train, with an operator at work; return the id of MLflow's run."""
    train, test = digits()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    operator = rheostat.Client(url, author="ann").control("digits")
    with rheostat.Client(url) as client, SummaryWriter(str(board)) as writer:
        run = client.run("digits", create=BODY)
        scheduler = RheostatLR(optimizer, run)
        active = mlflow.start_run(run_name="digits")
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
                operator.change({"lr": rheostat.scale(0.5)}, message="the loss spiked")
            if step == 120:
                ramp = rheostat.ramp(0.08, steps=20)
                operator.change({"lr": ramp}, message="it learns too slowly, a little more")
            if step < TOTAL - 1:
                scheduler.step()
        print(f"accuracy {accuracy(model, test):.3f}")
        mlflow.end_run()
    return str(active.info.run_id)


@contextmanager
def program(*command: str, port: int) -> Iterator[str]:
    """Run a program that serves a page on loopback, and yield its address."""
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log)  # noqa: S603
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


def photograph(url: str, path: Path, height: int) -> Image.Image:
    """Return what a browser shows."""
    with tempfile.TemporaryDirectory() as profile:
        options = [f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}"]
        options += ["--hide-scrollbars", "--virtual-time-budget=60000", f"--screenshot={path}"]
        subprocess.run([*CHROMIUM, *options, url], check=True, capture_output=True, timeout=900)  # noqa: S603
    return Image.open(path).convert("RGB")


def save(pictures: list[Image.Image], path: Path) -> None:
    """Write pictures one below the other, in few colours."""
    whole = Image.new("RGB", (WIDTH, sum(each.height for each in pictures)), "white")
    top = 0
    for each in pictures:
        whole.paste(each, (0, top))
        top += each.height
    whole.quantize(64).save(path, optimize=True)
    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def main(target: str, kept: str | None = None) -> None:
    """Make both pictures."""
    out = Path(target)
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(kept or place)
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
    command = ("tensorboard.main", "--logdir", str(folder / "board"), "--host", "127.0.0.1")
    with program(*command, "--port", str(port), port=port) as url:
        curves = photograph(f"{url}/?{CARDS}#timeseries", folder / "1.png", 640)
        texts = photograph(f"{url}/#text", folder / "2.png", 520)
    save([curves, texts], path)


def tracked(folder: Path, database: str, run: str, path: Path) -> None:
    """Photograph the page of a run of MLflow, and its curves below."""
    port = free_port()
    command = ("mlflow", "server", "--backend-store-uri", database, "--workers", "1")
    with program(*command, "--host", "127.0.0.1", "--port", str(port), port=port) as url:
        page = f"{url}/#/experiments/0/runs/{run}"
        told = photograph(page, folder / "3.png", 700)
        curves = photograph(f"{page}/model-metrics", folder / "4.png", 560)
    save([told, curves], path)


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    main(*sys.argv[1:])

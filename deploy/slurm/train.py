"""
What a training does for train.sbatch beside it, without the training.

It creates its run or finds it, joins with what was saved last, and saves when it is told. Its
checkpoint has no more in it than where it is. With PyTorch `RheostatLR` does most of this:
docs/pytorch.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from rheostat import Client

PEAKS = (1e-4, 2e-4, 4e-4, 8e-4)
"""What the tasks of an array try, one each."""
RANK = os.environ.get("RANK", "0")


def main() -> None:
    """Train until the run ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--variant", type=int, default=0)
    given = parser.parse_args()
    peak = PEAKS[given.variant % len(PEAKS)]
    lr = {"kind": "wsd", "peak": peak, "warmup": 100, "stable": "rest", "decay": "20%"}
    create = {
        "parameters": {"lr": lr},
        "total": int(os.environ.get("STEPS", "10000")),
        "labels": {"job": given.run},
        "signals": {"checkpoint": {"text": "save all ranks"}},
    }
    file = given.folder / f"rank-{RANK}.json"
    checkpoint = json.loads(file.read_text()) if file.exists() else None
    with Client() as client:
        run = client.run(given.run, create=create, checkpoint=checkpoint)

        def save(step: int) -> None:
            new = file.with_suffix(".new")
            new.write_text(json.dumps(run.checkpoint(step)))
            new.replace(file)

        for step in run.steps(0 if checkpoint is None else checkpoint["step"]):
            for signal in run.signals(step):
                if signal.name == "checkpoint":
                    save(step)
                    run.outcome(signal, "done", step=step, source=f"rank-{RANK}")
            rate = run.value("lr", step)
            time.sleep(float(os.environ.get("SECONDS_A_STEP", "0")))  # train with it
            print(f"step {step} lr {rate!r}", flush=True)
    run.flush()


if __name__ == "__main__":
    main()

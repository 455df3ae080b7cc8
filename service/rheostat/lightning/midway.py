"""A training that was ended in the middle of an epoch, saved as one that is to go on there."""

from __future__ import annotations

from typing import Any

EPOCHS = "epoch_progress"
BATCHES = "epoch_loop.batch_progress"
LOOP = "epoch_loop.state_dict"
STEPPED = "_batches_that_stepped"
LEVELS = ("total", "current")


def leave_midway(checkpoint: dict[str, Any], batches: float) -> None:
    """
    Mark the epoch of a checkpoint as begun, if it has not had all of its batches.

    Lightning saves at the end of an epoch, and takes one that was ended early for a whole one: the
    rest of it would never be trained. What is written is what it saves after a batch.
    """
    loops = checkpoint.get("loops", {}).get("fit_loop", {})
    if not {EPOCHS, BATCHES, LOOP} <= loops.keys():
        return
    epochs, progress = loops[EPOCHS], loops[BATCHES]
    is_whole = not 0 < progress["current"]["completed"] < batches
    if is_whole or epochs["total"]["processed"] < epochs["total"]["started"]:
        return
    for level in LEVELS:
        begun = epochs[level]["started"]
        epochs[level] |= {"processed": begun - 1, "completed": begun - 1}
        done = progress[level]["completed"]
        progress[level] |= dict.fromkeys(("ready", "started", "processed"), done)
        progress[level]["completed"] = done - 1
    loops[LOOP][STEPPED] -= 1

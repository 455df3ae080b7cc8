"""
What Megatron Bridge hands to callbacks, and when: a stub of its loop, which itself needs a GPU.

The names, the fields and the order are those of its ``training/callbacks.py`` and
``training/train.py`` of August 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.frameworks.megatron_loop import Training

EVENTS = (
    "on_data_init_start",
    "on_train_start",
    "on_train_step_start",
    "on_train_step_end",
    "on_train_end",
    "on_eval_start",
    "on_eval_step_start",
    "on_eval_step_end",
    "on_eval_end",
    "on_test_start",
    "on_test_step_start",
    "on_test_step_end",
    "on_test_end",
    "on_checkpoint_save",
)


@dataclass
class CallbackContext:
    """What each event gets; what it does not have is None."""

    state: Any
    model: list[Any]
    user_state: dict[str, Any] = field(default_factory=dict)
    optimizer: Any = None
    scheduler: Any = None
    loss_dict: dict[str, Any] | None = None
    grad_norm: float | None = None
    skipped_iter: bool | None = None
    total_loss_dict: dict[str, Any] | None = None


class Bridge:
    """A training of Bridge: its state, and its loop."""

    def __init__(self, training: Training, callbacks: list[Any], *, eval_interval: int = 5) -> None:
        self.training, self.callbacks, self.eval_interval = training, callbacks, eval_interval
        args = training.args
        self.checkpoint = SimpleNamespace(save=args.save, save_interval=args.save_interval)
        self.state = SimpleNamespace(
            train_state=SimpleNamespace(step=args.iteration),
            cfg=SimpleNamespace(
                train=SimpleNamespace(train_iters=args.train_iters),
                checkpoint=self.checkpoint,
                logger=SimpleNamespace(log_interval=2),
            ),
        )

    def fire(self, event: str, **given: Any) -> None:
        """Call what has this event."""
        assert event in EVENTS
        for callback in self.callbacks:
            method = getattr(callback, event, None)
            if method is not None:
                assert method.__func__  # Bridge looks whether it is its base class's
                method(CallbackContext(state=self.state, model=[], **given))

    def save(self) -> None:
        """Save, and say so."""
        self.training.args.iteration = self.state.train_state.step
        self.training.save()
        self.fire("on_checkpoint_save")

    def evaluate(self) -> None:
        """Evaluate: only the last stage has losses."""
        import torch

        self.fire("on_eval_end", total_loss_dict={"lm loss": torch.tensor(2.0)})

    def train(self) -> None:
        """Train as Bridge does."""
        import torch

        state, config, optimizer = self.state.train_state, self.state.cfg, self.training.optimizer
        scheduler = self.training.scheduler
        self.fire("on_train_start", optimizer=optimizer, scheduler=scheduler)
        while state.step < config.train.train_iters:
            self.fire("on_train_step_start", optimizer=optimizer, scheduler=scheduler)
            updated = self.training.step()
            loss = {"lm loss": torch.tensor(10.0 - state.step)}
            self.fire(
                "on_train_step_end",
                optimizer=optimizer,
                scheduler=scheduler,
                loss_dict=loss,
                grad_norm=0.5,
                skipped_iter=not updated,
            )
            state.step += 1
            if state.step % self.eval_interval == 0:
                self.evaluate()
            interval = self.checkpoint.save_interval
            if self.checkpoint.save and interval and state.step % interval == 0:
                self.save()
        interval = self.checkpoint.save_interval
        is_due = interval != 0 and (interval is None or state.step % interval != 0)
        if self.checkpoint.save and state.step != 0 and is_due:
            self.save()
        self.fire("on_train_end", optimizer=optimizer, scheduler=scheduler)

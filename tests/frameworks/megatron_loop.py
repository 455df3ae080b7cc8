"""
Megatron-LM's loop in small: Megatron-core's own optimizer and scheduler, driven as pretrain() does.

Megatron-LM itself needs a GPU. What of its loop matters is copied here line by line: what of its
arguments is read when, what is called in which order, and what comes after the last iteration. Run
as a program it is one of several ranks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

BATCH = 4
"""Samples of one iteration."""


def optimizer_of(groups: list[dict[str, Any]]) -> Any:
    """Return an optimizer of Megatron-core around one of PyTorch; its constructor needs a GPU."""
    import torch
    from megatron.core.optimizer import OptimizerConfig
    from megatron.core.optimizer.optimizer import FP32Optimizer, MegatronOptimizer

    class OnCPU(FP32Optimizer):  # type: ignore[misc]
        overflows = False

        def __init__(self) -> None:
            inner = torch.optim.AdamW(groups, lr=1.0, weight_decay=0.1)
            MegatronOptimizer.__init__(self, inner, OptimizerConfig(clip_grad=0.0), lambda _: None)
            self.is_stub_optimizer = False

        def prepare_grads(self) -> bool:
            super().prepare_grads()
            found, self.overflows = self.overflows, False
            return found

    return OnCPU()


def scheduler_of(optimizer: Any, args: Any, **options: Any) -> Any:
    """Return the scheduler as Megatron-LM's ``get_optimizer_param_scheduler`` makes it."""
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    arguments: dict[str, Any] = {
        "init_lr": 0.0,
        "max_lr": args.lr,
        "min_lr": 0.0,
        "lr_warmup_steps": 2 * BATCH,
        "lr_decay_steps": args.train_iters * BATCH,
        "lr_decay_style": "cosine",
        "start_wd": 0.1,
        "end_wd": 0.1,
        "wd_incr_steps": args.train_iters * BATCH,
        "wd_incr_style": "constant",
    }
    return OptimizerParamScheduler(optimizer, **arguments | options)


class Training:
    """
    One process that trains, from what pretrain() makes before its loop to what it does after it.

    Attributes:
        used: The rate of each update, in the first group.
        saved: The checkpoints, by the iteration.

    """

    def __init__(
        self,
        *,
        iterations: int = 16,
        accumulation: int = 1,
        groups: list[dict[str, Any]] | None = None,
        save: str | None = "checkpoints",
        save_interval: int | None = 1000,
        ranks: int = 1,
        **options: Any,
    ) -> None:
        import torch

        self.args = SimpleNamespace(
            train_iters=iterations,
            lr=1.0,
            save=save,
            save_interval=save_interval,
            iteration=0,
            curr_iteration=0,
            micro_batches=accumulation,
            micro_batch_size=BATCH // (accumulation * ranks),
            data_parallel_size=ranks,
        )
        with megatron_lm(self.args):
            self.weights = [torch.nn.Parameter(torch.ones(2)) for _ in groups or [{}]]
            extras = groups or [{}]
            self.optimizer = optimizer_of(
                [{"params": [w], **g} for w, g in zip(self.weights, extras, strict=True)]
            )
            self.scheduler = scheduler_of(self.optimizer, self.args, **options)
        self.used: list[float] = []
        self.used_groups: list[list[dict[str, float]]] = []
        self.optimizer.optimizer.register_step_post_hook(self._note)
        self.saved: dict[int, dict[str, Any]] = {}
        self.evaluate: Callable[[int], object] | None = None

    def _note(self, optimizer: Any, *_: Any) -> None:
        groups = optimizer.param_groups
        self.used.append(float(groups[0]["lr"]))
        self.used_groups.append([{k: float(g[k]) for k in ("lr", "weight_decay")} for g in groups])

    @property
    def iteration(self) -> int:
        """How many were done, whether or not they updated."""
        return int(self.args.iteration)

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Load a checkpoint as Megatron-LM does, the optimizer first."""
        import torch

        with megatron_lm(self.args):
            self.args.iteration = checkpoint["iteration"]
            inner = self.optimizer.optimizer
            inner.load_state_dict(torch.load(checkpoint["optimizer"], weights_only=False))
            self.scheduler.load_state_dict(checkpoint["opt_param_scheduler"])

    def save(self) -> None:
        """Save as ``save_checkpoint`` does."""
        import io

        import torch

        file = io.BytesIO()
        torch.save(self.optimizer.optimizer.state_dict(), file)
        file.seek(0)
        self.saved[self.iteration] = {
            "iteration": self.iteration,
            "optimizer": file,
            "opt_param_scheduler": self.scheduler.state_dict(),
        }

    def step(self) -> bool:
        """Do what ``train_step`` does; return whether it updated."""
        args = self.args
        for weight in self.weights:
            weight.main_grad = sum(weight.detach() for _ in range(args.micro_batches))
        updated, *_ = self.optimizer.step()
        if updated:
            increment = args.micro_batches * args.micro_batch_size * args.data_parallel_size
            self.scheduler.step(increment=increment)
        return bool(updated)

    def train(self, until: int | None = None) -> None:
        """Do what ``train`` does, and ``pretrain`` after it; leave off ``until`` an iteration."""
        args = self.args
        with megatron_lm(args):
            while args.iteration < args.train_iters:
                if args.iteration == until:
                    return
                args.curr_iteration = args.iteration
                self.step()
                args.iteration += 1
                if self.evaluate is not None:
                    self.evaluate(args.iteration)
                if args.save and args.save_interval and args.iteration % args.save_interval == 0:
                    self.save()
            if args.save and args.iteration and args.iteration % args.save_interval != 0:
                self.save()


@contextmanager
def megatron_lm(args: Any) -> Iterator[None]:
    """Have ``megatron.training`` there with its arguments, as while pretrain() runs."""
    name = "megatron.training.global_vars"
    module = ModuleType(name)
    module.get_args = lambda: args  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        yield
    finally:
        del sys.modules[name]


def main(url: str, name: str) -> None:
    """Train as one rank of several, on the run of this name."""
    from torch import distributed

    import rheostat.megatron
    from rheostat.errors import RheostatError

    distributed.init_process_group("gloo")
    installed = rheostat.megatron.install(f"{url}/{name}")
    training = Training(ranks=distributed.get_world_size())
    training.train()
    told = {"used": training.used, "iteration": training.iteration, "ended": installed.ended}
    told["saved"] = list(training.saved)
    state = training.saved[training.iteration]["opt_param_scheduler"]["rheostat"]
    told["states"] = state["step"] + distributed.get_rank()
    again = Training(ranks=distributed.get_world_size())
    broken = {"num_steps": told["states"], "rheostat": {**state, "step": told["states"]}}
    try:
        again.scheduler.load_state_dict(broken)
    except RheostatError as error:
        told["refused"] = type(error).__name__
    installed.uninstall()
    distributed.barrier()
    print(json.dumps(told))  # noqa: T201 - read by the test


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(*sys.argv[1:])

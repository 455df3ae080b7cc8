"""
Rheostat for the Trainer of Hugging Face's transformers, and for those that are built on it.

>>> import rheostat.transformers
>>> rheostat.transformers.attach(trainer, run)  # doctest: +SKIP
>>> trainer.train()  # doctest: +SKIP

TRL's trainers are such: ``SFTTrainer``, ``DPOTrainer`` and the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rheostat.adapters import needed, require_axis, require_given
from rheostat.errors import refusal

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl

    from rheostat.client import Run, Signal
    from rheostat.client.calls import OtherTotal
    from rheostat.torch.fields import Fields
    from rheostat.torch.proof import OnMismatch
    from rheostat.transformers.following import Following

__all__ = ["attach"]

INSTALL = "pip install transformers[torch]"


def attach(  # noqa: PLR0913 - as a trainer has options
    trainer: Trainer,
    run: Run | str,
    *,
    create: Mapping[str, Any] | None = None,
    other_total: OtherTotal = "refuse",
    fields: Fields | None = None,
    relative: bool = False,
    on_signal: Callable[[Signal, TrainerControl], object] | None = None,
    on_mismatch: OnMismatch = "warn",
) -> Following:
    """
    Have a trainer follow a run, from its next ``train()`` on.

    The run takes the place of the trainer's own scheduler: ``learning_rate``, ``lr_scheduler_type``
    and the warm-up of its arguments are without effect. The step is an optimizer update; one that
    is skipped for an overflow does not count. The position is kept in the trainer's checkpoints,
    and ``train(resume_from_checkpoint=…)`` goes on there.

    Where the run ends, all ranks end as at ``max_steps``, with the last evaluation and checkpoint
    that the trainer's strategies ask for. A signal ``checkpoint`` saves one; each that is saved is
    told to the run. The world's first process reports ``loss``, ``grad_norm`` and what an
    evaluation returns (``eval_loss``, …). At a gate the trainer evaluates, if its metric is one of
    these, and waits before the next update. The logs have ``rheostat/revision``, and, where a
    revision came into force, ``rheostat/message``.

    Args:
        trainer: Before ``train()``; its ``optimizers`` may hold an optimizer, and no scheduler.
        run: A run's name, of the service at ``RHEOSTAT_URL`` or else of this machine's own server
            (`rheostat.local`), or its address and name, ``"http://rheostat:8000/gpt"``: it is
            joined when the training begins. Or a run that was joined.
        create: The body to create the run with, where ``run`` is no run that was joined. Its
            ``"total"`` may be ``"trainer"``: then it is the number of updates that the trainer is
            going to make.
        other_total: What to do where the run is there and has another total than ``create``, as
            when one trains longer: ``"refuse"``, ``"keep"``, or ``"extend"``, which takes an
            operator's token: see `Client.run`.
        fields: Which parameter goes into which field, as `RheostatLR` takes it.
        relative: Whether groups keep the ratios of their learning rates, as `RheostatLR` takes it.
        on_signal: What is called with every signal but ``checkpoint``, and with the trainer's
            control, on all ranks at the same step.
        on_mismatch: What happens where something else sets the rate: see `RheostatLR`.

    Returns:
        What follows the run: its ``scheduler`` and its ``run``, once the training has begun.

    Raises:
        Invalid: This is no trainer, it has a scheduler of its own, or the run counts something
            else than steps. The same is raised by ``train()`` where the optimizer's groups do not
            fit the run's parameters.
        ModuleNotFoundError: transformers, or PyTorch, is not installed.

    """
    needed("transformers", INSTALL)
    needed("torch", INSTALL)
    from rheostat.transformers.following import Following  # noqa: PLC0415 - it loads them

    if not callable(getattr(trainer, "create_scheduler", None)):
        raise refusal("trainer", f"is a {type(trainer).__name__}, and no Trainer")
    if isinstance(run, str):
        if not run.strip("/"):
            raise refusal("run", "must be a name, or an address and a name", run)
    else:
        require_given(run, create)
        require_axis(run, "step")
    options = {"fields": fields, "relative": relative, "on_mismatch": on_mismatch}
    joining = {"create": create, "other_total": other_total}
    following = Following(trainer, run, joining, on_signal, options)
    following.take_over()
    return following

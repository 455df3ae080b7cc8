"""
Rheostat for Megatron-core: learning rate and weight decay from a run.

One line before ``pretrain()``, for Megatron-LM, Megatron Bridge, and loops of one's own on
Megatron-core:

    installed = rheostat.megatron.install("gpt")

Bridge takes it as a callback too, ``pretrain(..., callbacks=[installed])``: it tells the loss, and
can end its loop. Megatron-core and PyTorch are loaded when it is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rheostat.adapters import needed, require_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rheostat.client import Run, Signal
    from rheostat.client.calls import OtherTotal
    from rheostat.megatron.installed import Installed
    from rheostat.torch.proof import OnMismatch

__all__ = ["install"]

SCHEDULER = "megatron.core.optimizer_param_scheduler"
MISSING = "pip install 'megatron-core>=0.9'"


def install(
    run: Run | str,
    *,
    create: Mapping[str, Any] | None = None,
    other_total: OtherTotal = "refuse",
    on_signal: Callable[[Signal], object] | None = None,
    on_mismatch: OnMismatch = "warn",
    process_group: Any = None,
) -> Installed:
    """
    Have every scheduler of Megatron-core that is made from now on follow a run.

    Its rate and its weight decay are then the run's at ``num_steps``, the samples that were trained
    on. Groups keep their ratios: ``lr`` times what the group's ``max_lr`` is of ``--lr``, and
    ``weight_decay`` times its ``wd_mult``. Of the two what the run has no parameter for stays
    Megatron's own. The run's place is kept in the checkpoint, beside the scheduler's, and has the
    last word when it is loaded: ``--override-opt-param-scheduler`` and
    ``--use-checkpoint-opt-param-scheduler`` do nothing.

    Where the run ends, no rank does another update, and Megatron-LM and Bridge end as at their own
    last iteration, with a checkpoint. A loop of one's own asks `Installed.ended`.

    Args:
        run: A run's name, of the service at ``RHEOSTAT_URL`` or else of this machine's own server
            (`rheostat.local`); its address and name, ``"http://rheostat:8000/gpt"``; or a run that
            was joined. It counts samples.
        create: The body to create the run with, where ``run`` is no run that was joined. Its axis
            is ``samples``, and a ``"total"`` of ``"trainer"`` is the samples of the training.
        other_total: What to do where the run is there and has another total than ``create``, as
            when one trains longer: ``"refuse"``, ``"keep"``, or ``"extend"``, which takes an
            operator's token: see `Client.run`.
        on_signal: What is called, on all ranks, with each word that they are told, but for
            ``checkpoint``, which has Megatron-LM and Bridge save.
        on_mismatch: What happens where an update used another number than the run's, as
            `rheostat.torch.RheostatLR` takes it.
        process_group: The ranks that train together; the default group if it is initialised. To
            make a scheduler, and to load it, are collective calls in it.

    Raises:
        ModuleNotFoundError: Megatron-core is not installed.
        Invalid: An argument cannot be meant, or Megatron-core is of a version that has another
            scheduler than is known here, or is followed already.

    """
    module = needed(SCHEDULER, MISSING)
    if not isinstance(run, str):
        require_given(run, create)
    elif create is not None:
        create = {"axis": "samples", **create}
    made = import_module("rheostat.megatron.installed").Installed(
        run, {"create": create, "other_total": other_total}, on_signal, on_mismatch, process_group
    )
    made.install(module.OptimizerParamScheduler)
    return made  # type: ignore[no-any-return]

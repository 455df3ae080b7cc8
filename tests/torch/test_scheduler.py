"""The scheduler in the hands of optimizers, beside PyTorch's own."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from rheostat import Run, scale
from rheostat.errors import Invalid

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 20}
RAMP = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 4}
RAMPED = [0.25, 0.3125, 0.375, 0.4375, 0.5]


def weight() -> Any:
    return torch.nn.Parameter(torch.ones(2))


def group(**options: Any) -> dict[str, Any]:
    return {"params": [weight()], **options}


def scheduler(optimizer: Any, run: Run, **options: Any) -> Any:
    from rheostat.torch import RheostatLR

    return RheostatLR(optimizer, run, **options)


def used(optimizer: Any, scheduler: Any, steps: int, key: str = "lr") -> Any:
    """Return the field of each group as `optimizer.step` finds it: steps × groups (× betas)."""
    found = []
    for _ in range(steps):
        found.append([deepcopy(group[key]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_it_steps_as_pytorch_does(kind: str, new_run: NewRun) -> None:
    """A run with a cosine gives each step the learning rate that CosineAnnealingLR gives it."""
    make = getattr(torch.optim, kind)
    reference, optimizer = make([weight()], lr=0.1), make([weight()], lr=0.1)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=20, eta_min=0.001)
    expected = used(reference, annealing, 20)
    same(used(optimizer, scheduler(optimizer, new_run(lr=COSINE)), 20), expected)


@pytest.mark.parametrize(
    ("kind", "key", "first"), [("SGD", "momentum", 0.9), ("Adam", "betas", (0.9, 0.99))]
)
def test_momentum_cycles_as_in_pytorch(kind: str, key: str, first: Any, new_run: NewRun) -> None:
    """The momentum of SGD and the first beta of Adam follow the run, as they follow CyclicLR."""
    make = getattr(torch.optim, kind)
    reference, optimizer = (make([weight()], lr=0.1, **{key: first}) for _ in range(2))
    options = {"base_momentum": 0.8, "max_momentum": 0.9}
    cyclic = torch.optim.lr_scheduler.CyclicLR(reference, 0.1, 0.2, 5, **options)
    points = {"points": [[0, 0.9], [5, 0.8], [10, 0.9]], "interpolation": "linear"}
    run = new_run(momentum={"kind": "piecewise", **points})
    expected = used(reference, cyclic, 10, key)
    same(used(optimizer, scheduler(optimizer, run), 10, key), expected)


def test_each_beta_has_its_own_parameter(new_run: NewRun) -> None:
    """beta2 moves, and beta1, which the run has not, stays."""
    optimizer = torch.optim.Adam([weight()], betas=(0.5, 0.9))
    found = used(optimizer, scheduler(optimizer, new_run(beta2=RAMP)), 5, "betas")
    assert found.tolist() == [[[0.5, value]] for value in RAMPED]


def test_it_is_a_scheduler_like_the_others(new_run: NewRun) -> None:
    """Frameworks find an LRScheduler with its last_epoch and its last learning rates."""
    optimizer = torch.optim.SGD([group(), group()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP))
    assert isinstance(found, torch.optim.lr_scheduler.LRScheduler)
    assert (found.last_epoch, found.get_last_lr()) == (0, [0.25, 0.25])
    used(optimizer, found, 1)
    assert (found.last_epoch, found.get_last_lr()) == (1, [0.3125, 0.3125])
    assert found.get_lr() == found.get_last_lr()


def test_it_may_be_a_part_of_pytorchs_sequence(new_run: NewRun) -> None:
    """SequentialLR starts it over at its milestone, with all of its fields."""
    optimizer = torch.optim.SGD([weight()], lr=0.1, momentum=0.9)
    ours = scheduler(optimizer, new_run(lr=RAMP, momentum=RAMP))
    constant = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    sequence = torch.optim.lr_scheduler.SequentialLR(optimizer, [constant, ours], [2])
    assert used(optimizer, sequence, 5)[2:, 0].tolist() == RAMPED[:3]
    assert optimizer.param_groups[0]["momentum"] == RAMPED[3]


def test_groups_follow_the_parameters_of_their_names(new_run: NewRun) -> None:
    """lr/head goes to the group named head, and `fields` says so in the form of fields=."""
    groups = [group(name="body"), group(name="head", lr=0.5)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    found = scheduler(optimizer, new_run(lr=0.125, lr__head=RAMP))
    assert found.fields == [{"lr": "lr"}, {"lr": "lr/head"}]
    assert used(optimizer, found, 5).tolist() == [[0.125, value] for value in RAMPED]


def test_zero_weight_decay_stays_while_the_rest_follows(new_run: NewRun) -> None:
    """Groups that are exempt from weight decay stay exempt."""
    optimizer = torch.optim.AdamW([group(), group(weight_decay=0.0)], weight_decay=0.1)
    found = used(optimizer, scheduler(optimizer, new_run(weight_decay=RAMP)), 5, "weight_decay")
    assert found.tolist() == [[value, 0.0] for value in RAMPED]


def test_groups_that_differ_are_refused_before_anything_is_set(new_run: NewRun) -> None:
    """The optimizer stays what it was."""
    optimizer = torch.optim.SGD([group(lr=0.25), group(lr=0.5)])
    with pytest.raises(Invalid, match="groups differ"):
        scheduler(optimizer, new_run(lr=COSINE))
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.5]


def test_a_tensor_is_filled_in_place(new_run: NewRun) -> None:
    """A compiled or captured optimizer keeps its learning rate tensor, and sees the new value."""
    tensor = torch.tensor(0.1, dtype=torch.float64)
    optimizer = torch.optim.Adam([weight()], lr=tensor, capturable=False, foreach=False)
    found = scheduler(optimizer, new_run(lr=RAMP))
    assert used(optimizer, found, 3)[:, 0].tolist() == RAMPED[:3]
    assert optimizer.param_groups[0]["lr"] is tensor
    assert tensor.item() == RAMPED[3]
    assert found.get_last_lr()[0] is not tensor


def test_betas_in_tensors_are_filled_in_place(new_run: NewRun) -> None:
    """As the learning rate."""
    betas = (torch.tensor(0.5, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight()], betas=betas, capturable=True, foreach=False)
    scheduler(optimizer, new_run(beta2=RAMP))
    assert optimizer.param_groups[0]["betas"][1] is betas[1]
    assert [beta.item() for beta in betas] == [0.5, 0.25]


def test_update_is_the_counter_of_the_framework(new_run: NewRun) -> None:
    """step(update=k) sets the values of step k, whatever was called before."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP))
    optimizer.step()
    for update in (3, 1, 2):
        found.step(update=update)
        assert (found.last_epoch, found.get_last_lr()) == (update, [RAMPED[update]])


def test_tokens_cannot_be_counted_by_calls(new_run: NewRun) -> None:
    """A run on the axis of tokens needs update=, and rounds it down to its resolution."""
    run = new_run({"axis": "tokens", "resolution": 64}, lr={**RAMP, "steps": 256})
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, run)
    optimizer.step()
    with pytest.raises(Invalid, match=r"step\(update=<tokens so far>\)"):
        found.step()
    found.step(update=130)
    assert found.get_last_lr() == [0.375]


def test_a_training_may_take_up_a_run_in_the_middle(new_run: NewRun) -> None:
    """last_epoch is the last step that was done elsewhere."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP), last_epoch=1_000_001)
    assert (found.last_epoch, found.get_last_lr()) == (1_000_002, [0.5])


def test_groups_that_are_added_later_follow_too(new_run: NewRun) -> None:
    """Gradual unfreezing adds groups to a training optimizer."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP))
    used(optimizer, found, 1)
    optimizer.add_param_group(group())
    used(optimizer, found, 1)
    assert found.get_last_lr() == [RAMPED[2], RAMPED[2]]


def test_calling_it_before_the_optimizer_warns(new_run: NewRun) -> None:
    """As PyTorch's own schedulers do: the first value would never be used."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP))
    with pytest.warns(UserWarning, match=r"called before optimizer\.step"):
        found.step()


def test_a_first_update_that_is_skipped_does_not_warn(
    new_run: NewRun, recwarn: pytest.WarningsRecorder
) -> None:
    """GradScaler begins at a scale that is too high: its first update is seldom made."""
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    found = scheduler(optimizer, new_run(lr=RAMP))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    (parameter,) = optimizer.param_groups[0]["params"]
    scaler.scale((parameter * 4).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    found.step()
    assert not recwarn.list
    assert parameter.tolist() == weight().tolist()


def test_a_change_arrives_at_its_effective_step(new_run: NewRun) -> None:
    """P1, P2: what the optimizer used is, bit for bit, what the ledger says."""
    run = new_run(lr=COSINE)
    optimizer = torch.optim.SGD([weight()], lr=0.1)
    ours = scheduler(optimizer, run)
    before = used(optimizer, ours, 5)
    revision = run.change({"lr": scale(0.5)})
    found = torch.cat([before, used(optimizer, ours, 15)])[:, 0].tolist()
    plain = run.client.evaluate(COSINE, range(20))["values"]
    effective = revision["effective"]
    assert 5 <= effective < 20
    assert found == plain[:effective] + [value * 0.5 for value in plain[effective:]]
    ledger = [v for segment in run.ledger(stop=20) for v in segment["values"]["lr"]]
    assert struct.pack("20d", *found) == struct.pack("20d", *ledger)


def test_importing_rheostat_does_not_import_torch() -> None:
    """Workers that train with another framework need not have it."""
    program = "import sys, rheostat.client; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

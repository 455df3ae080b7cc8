"""A run in a plain loop: one line, which writes, counts and waits in the optimizer's own step."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.client.listening import ListeningService

from rheostat import Client, Run, hold
from rheostat.errors import AwaitingReport, Invalid, StaleCheckpoint, StaleGeneration, StepJump

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
RAMP = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 4}
RAMPED = [0.25, 0.3125, 0.375, 0.4375, 0.5]
LONG = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 100}


def weight() -> Any:
    found = torch.nn.Parameter(torch.ones(2))
    found.grad = torch.ones(2)
    return found


def sgd(**options: Any) -> Any:
    return torch.optim.SGD([weight()], **{"lr": 0.1, **options})


def attach(optimizer: Any, run: Run, **options: Any) -> Any:
    from rheostat.torch import attach

    return attach(optimizer, run, **options)


def used(optimizer: Any) -> list[float]:
    """Return the list in which each update of an optimizer leaves the rate that it uses."""
    rates: list[float] = []
    optimizer.register_step_post_hook(lambda o, *_: rates.append(float(o.param_groups[0]["lr"])))
    return rates


def repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def test_the_loop_calls_nothing_else(new_run: NewRun) -> None:
    """Each update uses the values of its step, all fields of it, and counts."""
    optimizer = sgd(momentum=0.9)
    handle = attach(optimizer, new_run(lr=RAMP, momentum=RAMP))
    rates = used(optimizer)
    for step in range(5):
        assert handle.step == step
        optimizer.step()
    assert rates == RAMPED
    assert optimizer.param_groups[0]["momentum"] == RAMPED[4]
    assert handle.fields == [{"lr": "lr", "momentum": "momentum"}]


def test_nobody_has_to_keep_the_handle(new_run: NewRun) -> None:
    """It lives as long as its optimizer, and no longer."""
    optimizer = sgd()
    handle = attach(optimizer, new_run(lr=RAMP))
    gone = weakref.ref(handle)
    rates = used(optimizer)
    del handle
    gc.collect()
    optimizer.step()
    optimizer.step()
    assert rates == RAMPED[:2]
    del optimizer
    assert gone() is None


def test_a_detached_optimizer_is_left_alone(new_run: NewRun) -> None:
    """Its groups keep what they have, and nothing is counted."""
    optimizer = sgd()
    handle = attach(optimizer, new_run(lr=RAMP))
    optimizer.step()
    handle.detach()
    optimizer.param_groups[0]["lr"] = 0.75
    optimizer.step()
    assert (handle.step, optimizer.param_groups[0]["lr"]) == (1, 0.75)


def test_a_closure_that_is_called_often_is_one_update(new_run: NewRun) -> None:
    """LBFGS evaluates the model many times in one step, all with one rate."""
    found = weight()
    optimizer = torch.optim.LBFGS([found], lr=0.1, max_iter=4)
    handle = attach(optimizer, new_run(lr=RAMP))
    seen = []

    def closure() -> Any:
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        loss = found.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert (handle.step, set(seen)) == (1, {0.25})
    assert len(seen) > 1
    optimizer.step(closure)
    assert (handle.step, set(seen)) == (2, {0.25, 0.3125})


def overflowing(optimizer: Any, overflows: set[int], handle: Any) -> list[int]:
    """Train through a real GradScaler; return the step at which each round began."""
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    (found,) = optimizer.param_groups[0]["params"]
    began = []
    for turn in range(6):
        began.append(handle.step)
        optimizer.zero_grad()
        loss = found.sum() * (torch.inf if turn in overflows else 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return began


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "fused AdamW"])
def test_an_update_that_is_skipped_does_not_count(kind: str, new_run: NewRun) -> None:
    """
    What overflows in mixed precision changes no weight, and its step comes again.

    PyTorch's GradScaler does not step a plain optimizer then; a fused one skips the update itself.
    """
    *fused, name = kind.split()
    options = {"fused": True} if fused else {}
    optimizer = getattr(torch.optim, name)([weight()], lr=0.1, **options)
    handle = attach(optimizer, new_run(lr=RAMP))
    assert overflowing(optimizer, {1, 2, 4}, handle) == [0, 1, 1, 1, 2, 2]
    assert (handle.step, handle.state_dict()["step"]) == (3, 3)
    assert float(optimizer.param_groups[0]["lr"]) == RAMPED[2]


def test_accelerates_optimizer_is_followed(new_run: NewRun) -> None:
    """It steps the one inside once for each full batch: what it accumulates does not count."""
    accelerate = pytest.importorskip("accelerate", reason="needs accelerate: make test-frameworks")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=3)
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    handle = attach(optimizer, new_run(lr=RAMP))
    rates = used(optimizer.optimizer)
    for _ in range(9):
        with accelerator.accumulate(model):
            accelerator.backward(model(torch.ones(4, 2)).sum())
            optimizer.step()
            optimizer.zero_grad()
    assert (rates, handle.step) == (RAMPED[:3], 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # those of PyTorch's own modules
def test_a_compiled_update_follows_the_run(new_run: NewRun) -> None:
    """The graph has the rate as a tensor; what is written to it comes from outside of the graph."""
    optimizer = torch.optim.AdamW([weight()], lr=torch.tensor(0.1))
    handle = attach(optimizer, new_run(lr=RAMP), on_mismatch="raise")
    (found,) = optimizer.param_groups[0]["params"]
    reference = torch.optim.AdamW([expected := weight()], lr=torch.tensor(0.1))
    compiled = torch.compile(optimizer.step, backend="eager")
    for rate in RAMPED:
        compiled()
        reference.param_groups[0]["lr"].fill_(rate)
        reference.step()
    assert handle.step == 5
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_groups_that_come_later_follow(new_run: NewRun) -> None:
    """As a body that is thawed after some updates."""
    optimizer = sgd()
    attach(optimizer, new_run(lr=RAMP))
    optimizer.step()
    optimizer.add_param_group({"params": [weight()]})
    optimizer.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.3125, 0.3125]


def test_a_run_of_samples_goes_on_by_so_many(new_run: NewRun) -> None:
    """`by` is how many an update is of, and must be said."""
    run = new_run({"axis": "samples", "resolution": 2}, lr=RAMP)
    optimizer = sgd()
    with pytest.raises(Invalid, match="by is needed, since the run counts samples"):
        attach(optimizer, run)
    handle = attach(optimizer, run, by=2)
    rates = used(optimizer)
    optimizer.step()
    optimizer.step()
    assert (handle.step, rates) == (4, [RAMPED[0], RAMPED[2]])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"run": "gpt"}, "run"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"start": -1}, "start"),
        ({"start": 1.0}, "start"),
        ({"by": 0}, "by"),
        ({"by": 2.5}, "by"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], field: str, new_run: NewRun) -> None:
    """P10: the field is in the error, and no hook is left in the optimizer."""
    optimizer = sgd()
    arguments: dict[str, Any] = {"optimizer": optimizer, "run": new_run(lr=RAMP), **options}
    with pytest.raises(Invalid) as caught:
        attach(arguments.pop("optimizer"), arguments.pop("run"), **arguments)
    assert [error.field for error in caught.value.errors] == [field]
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_epochs_are_not_counted_in_updates(new_run: NewRun) -> None:
    """P10: a run of epochs is for the scheduler, which is stepped once in each."""
    with pytest.raises(Invalid, match="axis epoch"):
        attach(sgd(), new_run({"axis": "epoch"}, lr=RAMP))


def test_it_may_begin_in_the_middle(new_run: NewRun) -> None:
    """The run is told where, and believes it once."""
    run = new_run(lr=LONG)
    optimizer = sgd()
    handle = attach(optimizer, run, start=1_000)
    optimizer.step()
    assert (handle.step, optimizer.param_groups[0]["lr"]) == (1_001, 0.0)
    with pytest.raises(StepJump):
        attach(sgd(), run, start=5_000)


def test_the_end_is_a_flag(new_run: NewRun) -> None:
    """Nothing is raised at an end: the loop asks, and whoever does not keeps the last values."""
    run = new_run({"signals": {"checkpoint": {}}}, lr=LONG)
    run.stop(effective=7, signal="checkpoint")
    run.rejoin()
    optimizer = sgd()
    handle = attach(optimizer, run)
    words = []
    while not handle.ended:
        words += handle.signals()
        optimizer.step()
    words += handle.signals()
    assert (handle.step, handle.ends_at) == (7, 7)
    assert [word.name for word in words] == ["checkpoint"]
    optimizer.step()
    assert (handle.ended, optimizer.param_groups[0]["lr"]) == (True, 0.94)


def test_a_run_that_has_ended_can_be_attached(new_run: NewRun) -> None:
    """A job that is started once more after its last checkpoint ends at once."""
    run = new_run(lr=RAMP)
    run.finish(3)
    optimizer = sgd()
    handle = attach(optimizer, run)
    for _ in range(3):
        optimizer.step()
    state = handle.state_dict()
    again = attach(sgd(), run)
    again.load_state_dict(state)
    assert (again.ended, again.step) == (True, 3)
    again.load_state_dict({**state, "step": 1})
    assert not again.ended


def test_a_checkpoint_goes_on_at_its_step(new_run: NewRun) -> None:
    """P1: with the values of the first time, whichever is loaded first; RheostatLR's is one too."""
    from rheostat.torch import RheostatLR

    run = new_run(lr=RAMP)
    optimizer = sgd()
    handle = attach(optimizer, run)
    optimizer.step()
    optimizer.step()
    state, kept = handle.state_dict(), optimizer.state_dict()
    assert sorted(state) == ["generation", "id", "run", "step"]
    resumed = sgd()
    again = attach(resumed, run)
    again.load_state_dict(state)
    resumed.load_state_dict(kept)
    rates = used(resumed)
    resumed.step()
    assert (again.step, rates) == (3, [RAMPED[2]])
    scheduler = RheostatLR(sgd(), run)
    scheduler.load_state_dict(again.state_dict())
    assert scheduler.get_last_lr() == [RAMPED[3]]
    again.load_state_dict(scheduler.state_dict())
    with pytest.raises(Invalid, match="has no id, generation"):
        again.load_state_dict({"run": run.name, "step": 3})


def test_a_rewind_fences_the_loop_off(new_run: NewRun) -> None:
    """P6: the update at which the old generation has no value raises, and is not made."""
    run = new_run(lr=RAMP)
    optimizer = sgd()
    handle = attach(optimizer, run)
    for _ in range(3):
        optimizer.step()
    state = handle.state_dict()
    run.rewind(1)
    with pytest.raises(StaleGeneration):
        repeat(optimizer.step, 1_000)
    with pytest.raises(StaleCheckpoint):
        handle.load_state_dict(state)
    handle.load_state_dict({**state, "step": 1})
    optimizer.step()
    assert (handle.step, run.generation) == (2, 2)


def test_changes_come_at_their_step(new_run: NewRun) -> None:
    """P2: an operator's change is in the update of its effective step, and not before."""
    run = new_run(lr=LONG)
    optimizer = sgd()
    attach(optimizer, run)
    rates = used(optimizer)
    run.change({"lr": hold()}, effective=10)
    for _ in range(15):
        optimizer.step()
    assert rates == pytest.approx([1 - step / 100 for step in range(10)] + [0.9] * 5)


def test_a_pause_is_waited_for_in_the_update(new_run: NewRun) -> None:
    """So that no rank waits for another one in a collective operation."""
    run = new_run(lr=LONG)
    held = []

    def on_wait(_: Any) -> None:
        held.append(handle.step)
        threading.Timer(0.1, run.resume).start()

    run.on_wait = on_wait
    run.pause(effective=7)
    optimizer = sgd()
    handle = attach(optimizer, run)
    for _ in range(20):
        optimizer.step()
    assert (held, handle.step) == ([7], 20)


@pytest.fixture
def service() -> ListeningService:
    """Return a service in memory whose run has a gate at each eighth step."""
    service = ListeningService()
    service.every, service.watched = 8, ["loss"]
    return service


@pytest.fixture
def gated(service: ListeningService) -> Iterator[Run]:
    """Yield its run; the learning rate is 1 / (step + 1)."""
    with Client("http://test", transport=httpx.MockTransport(service), gate_deadline=20) as client:
        yield client.run("gpt")


def test_a_gate_is_waited_for_in_the_update(gated: Run) -> None:
    """Evaluating and reporting between two updates, as loops do, opens it."""
    optimizer = sgd()
    handle = attach(optimizer, gated)
    rates = used(optimizer)
    for step in range(1, 41):
        optimizer.step()
        if step % 8 == 0:
            gated.report(step, {"loss": 1 / step})
    assert rates == [1 / (step + 1) for step in range(40)]
    assert handle.step == 40


def test_a_run_at_a_gate_can_be_attached(gated: Run, service: ListeningService) -> None:
    """It waits in the first update alone, also after a checkpoint of that step was loaded."""
    service.settled = 8
    optimizer = sgd()
    handle = attach(optimizer, gated, start=8)
    handle.load_state_dict(handle.state_dict())
    gated.report(8, {"loss": 1.0})
    optimizer.step()
    assert (handle.step, optimizer.param_groups[0]["lr"]) == (9, 1 / 9)


def test_a_stop_at_a_gate_ends_the_loop(gated: Run, service: ListeningService) -> None:
    """The loop that asks waits for the report there, and learns what was decided on it."""

    def decide() -> None:
        service.stop, service.gates_ends = 8, True
        gated.report(8, {"loss": 1.0}, wait=True)

    optimizer = sgd()
    handle = attach(optimizer, gated)
    rates = used(optimizer)
    for _ in range(8):
        optimizer.step()
    threading.Timer(0.1, decide).start()
    assert handle.ended
    assert (len(rates), optimizer.param_groups[0]["lr"]) == (8, 1 / 8)


def test_an_update_at_a_gate_without_a_report_is_not_made(service: ListeningService) -> None:
    """P9: it ends with the deadline, and the step is the same when it is tried again."""
    service.patience = 0.0
    transport = httpx.MockTransport(service)
    with Client("http://test", transport=transport, gate_deadline=0.05) as client:
        optimizer = sgd()
        handle = attach(optimizer, client.run("gpt"))
        for _ in range(8):
            optimizer.step()
        with pytest.raises(AwaitingReport):
            optimizer.step()
        assert handle.step == 8


def test_a_step_that_only_makes_state_is_no_update(new_run: NewRun) -> None:
    """
    What a distributed checkpoint does to an optimizer that is new neither trains nor counts.

    It steps it with gradients and rates of zero, so that there is a state to be saved, or loaded.
    """
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    model = torch.nn.Linear(2, 1)
    before = [each.detach().clone() for each in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.5)
    handle = attach(optimizer, new_run(lr=RAMP))
    get_optimizer_state_dict(model, optimizer)
    assert optimizer.state
    assert all(map(torch.equal, before, model.parameters()))
    assert handle.step == 0
    rates = used(optimizer)
    for _ in range(3):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert rates == RAMPED[:3]
    assert handle.step == 3

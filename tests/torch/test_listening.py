"""Optimizers of a training that listens: where it waits, ends, and is told a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.client.listening import ListeningService

from rheostat import Client, Run
from rheostat.errors import AwaitingReport, Paused, Stopped

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
RAMP = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 100}


@pytest.fixture
def service() -> ListeningService:
    """Return a service in memory whose run listens; its learning rate is 1 / (step + 1)."""
    return ListeningService()


@pytest.fixture
def gated(service: ListeningService) -> Iterator[Run]:
    """Yield a run with a gate at each eighth step."""
    service.every, service.watched = 8, ["loss"]
    with Client("http://test", transport=httpx.MockTransport(service), gate_deadline=20) as client:
        yield client.run("gpt")


def scheduler(run: Run, **options: Any) -> Any:
    from rheostat.torch import RheostatLR

    return RheostatLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1), run, **options)


def used(found: Any) -> list[float]:
    """Return the list in which each update of an optimizer leaves the rate that it uses."""
    rates: list[float] = []
    found.optimizer.register_step_post_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    return rates


def update(found: Any) -> None:
    found.optimizer.step()
    found.step()


@pytest.mark.parametrize("late", [False, True])
def test_a_step_never_waits_at_a_gate(gated: Run, service: ListeningService, *, late: bool) -> None:
    """Evaluating after `step()`, as loops do, the report opens the gate for the next update.

    So it does if the gate is armed while the training goes on.
    """
    service.every = None if late else 8
    found = scheduler(gated)
    rates = used(found)
    for step in range(1, 41):
        update(found)
        if late and step == 4:
            service.every = 8
        if step % 8 == 0:
            gated.report(step, {"loss": 1 / step})
    assert rates == [1 / (step + 1) for step in range(40)]
    assert found.last_epoch == 40


def test_a_gate_at_the_first_step_is_left_open_too(gated: Run, service: ListeningService) -> None:
    """A scheduler that is made, or loaded, at a gate waits in the first update alone."""
    service.settled = 8
    found = scheduler(gated, last_epoch=7)
    rates = used(found)
    found.load_state_dict(found.state_dict())
    assert found.state_dict()["step"] == 8
    gated.report(8, {"loss": 1.0})
    update(found)
    assert rates == [1 / 9]


def test_an_update_at_a_gate_without_a_report_ends_with_the_deadline(
    service: ListeningService,
) -> None:
    """It says which metric nobody reported, and no update is done."""
    service.every, service.patience = 8, 0.0
    transport = httpx.MockTransport(service)
    with Client("http://test", transport=transport, gate_deadline=0.05) as client:
        found = scheduler(client.run("gpt"))
        rates = used(found)
        for _ in range(8):
            update(found)
        with pytest.raises(AwaitingReport):
            found.optimizer.step()
    assert len(rates) == 8


def pass_on(found: Any, at: int) -> bool:
    """Train to a step as a loop does; return whether a flag ended it there."""
    while found.last_epoch < at:
        if found.ended:
            return True
        update(found)
    return bool(found.ended)


@pytest.mark.parametrize("first", ["rank that comes early", "rank that comes late"])
def test_a_stop_at_a_gate_ends_all_ranks_in_one_place(
    gated: Run, service: ListeningService, first: str
) -> None:
    """
    Whether a rank finds the gate closed, or the stop behind it, it ends before the same update.

    The one that raised in `step()` would leave the others alone in their backward pass.
    """

    def decide() -> None:
        service.stop, service.gates_ends = 8, True
        gated.report(8, {"loss": 1.0}, wait=True)

    found = scheduler(gated)
    rates = used(found)
    for _ in range(7):
        update(found)
    found.optimizer.step()
    if first == "rank that comes late":
        decide()
    found.step()
    if first == "rank that comes early":
        decide()
    with pytest.raises(Stopped):
        found.optimizer.step()
    assert len(rates) == 8
    assert found.ends_at == 8


@pytest.mark.parametrize("late", [False, True])
def test_a_flag_waits_for_the_report(gated: Run, service: ListeningService, *, late: bool) -> None:
    """With at_end="flag", the loop's own question is where all ranks learn of a stop at a gate."""

    def decide() -> None:
        service.stop, service.gates_ends = 8, True
        gated.report(8, {"loss": 1.0}, wait=True)

    found = scheduler(gated, at_end="flag")
    rates = used(found)
    for _ in range(7):
        update(found)
    found.optimizer.step()
    if late:
        decide()
    found.step()
    if not late:
        threading.Timer(0.1, decide).start()
    assert found.ended
    assert (len(rates), found.get_last_lr()) == (8, [1 / 8])


def test_a_pause_at_a_gate_is_waited_for_in_the_update(
    gated: Run, service: ListeningService
) -> None:
    """A rank that finds the pause alone waits where those do who found the gate closed."""
    found = scheduler(gated)
    for _ in range(7):
        update(found)
    service.pause, service.gates_ends = 8, True
    gated.report(8, {"loss": 1.0}, wait=True)
    update(found)  # it does not wait here
    threading.Timer(0.1, service.resume).start()
    found.optimizer.step()
    assert service.kept >= 1
    assert found.optimizer.param_groups[0]["lr"] == 1 / 9


def test_a_pause_is_waited_for_in_step(new_run: NewRun) -> None:
    """Elsewhere a pause holds `step()`, between two updates, and the state stays sound."""
    run = new_run(lr=RAMP)
    held: list[Any] = []

    def on_wait(refusal: Any) -> None:
        held.append((type(refusal), found.last_epoch))
        threading.Timer(0.1, run.resume).start()

    run.on_wait = on_wait
    run.pause(effective=7)
    found = scheduler(run)
    for _ in range(20):
        update(found)
    assert held == [(Paused, 7)]
    assert found.get_last_lr() == [0.8]


@pytest.mark.parametrize("at_end", ["raise", "flag"])
def test_a_stop_ends_the_training(new_run: NewRun, at_end: Any) -> None:
    """A stop is an end as that of a finished run, known ahead, with a last word."""
    run = new_run({"signals": {"checkpoint": {}}}, lr=RAMP)
    run.stop(effective=7, signal="checkpoint")
    run.rejoin()
    found = scheduler(run, at_end=at_end)
    assert found.ends_at == 7
    if at_end == "flag":
        assert pass_on(found, 7)
    else:
        with pytest.raises(Stopped):
            pass_on(found, 7)
    assert [signal.name for signal in found.signals()] == ["checkpoint"]
    assert (found.state_dict()["step"], found.get_last_lr()) == (7, [0.94])


def test_words_are_told_once_at_their_step(new_run: NewRun) -> None:
    """A loop that asks before each update hears each word, from the first update on."""
    run = new_run({"signals": {"evaluate": {}, "checkpoint": {}}}, lr=RAMP)
    run.signal("evaluate", effective=1)
    run.signal("checkpoint", effective=9)
    found = scheduler(run)
    state: dict[str, Any] = {}
    heard = []
    for _ in range(20):
        heard += [(found.last_epoch, signal.name) for signal in found.signals()]
        if found.last_epoch == 5:
            state = found.state_dict()
        update(found)
    assert heard == [(1, "evaluate"), (9, "checkpoint")]
    found.load_state_dict(state)
    again = []
    for _ in range(20):
        again += [(found.last_epoch, signal.name) for signal in found.signals()]
        update(found)
    assert again == [(9, "checkpoint")]


def test_tensors_are_reported_as_numbers(service: ListeningService) -> None:
    """A tensor of one element is a number; one of more is none, and is left out."""
    with Client("http://test", transport=httpx.MockTransport(service)) as client:
        run = client.run("gpt")
        loss = torch.nn.Parameter(torch.tensor(0.5)) * 1  # it has a gradient
        run.report(8, {"loss": loss, "low": torch.tensor(-torch.inf), "many": torch.zeros(2)})
        assert run.flush()
    (body,) = service.reported
    (report,) = body["reports"]
    assert report == {"step": 8, "metrics": {"loss": 0.5, "low": "-Infinity"}}

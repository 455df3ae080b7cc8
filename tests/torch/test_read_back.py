"""What an update uses is read back just before it, and told: published kinds of faults."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from rheostat import Run, scale
from rheostat.errors import Invalid, Overwritten

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
RAMP = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 4}
RAMPED = [0.25, 0.3125, 0.375, 0.4375, 0.5]


class Told:
    """What a run was told of what was applied: in place of its own two functions."""

    def __init__(self, run: Run, patch: pytest.MonkeyPatch) -> None:
        self.rows: list[tuple[int, dict[str, float], dict[str, str]]] = []
        self.wrong: list[tuple[Any, ...]] = []
        patch.setattr(run, "applied", self._applied)
        patch.setattr(run, "mismatch", lambda *told: self.wrong.append(told))

    def _applied(self, step: int, values: dict[str, float], *, dtypes: dict[str, str]) -> None:
        self.rows.append((step, dict(values), dict(dtypes)))

    @property
    def rates(self) -> list[tuple[int, float]]:
        """Each step with the learning rate that its update used."""
        return [(step, values["lr"]) for step, values, _ in self.rows]


@pytest.fixture
def told(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Told]:
    """Return a run with a ramp as its rate, and what it is told."""
    run = new_run(lr=RAMP)
    return run, Told(run, monkeypatch)


def group(**options: Any) -> dict[str, Any]:
    """Return a parameter group, with a gradient."""
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return {"params": [weight], **options}


def sgd(*groups: dict[str, Any], **options: Any) -> Any:
    return torch.optim.SGD(list(groups) or [group()], **{"lr": 0.1, **options})


class Scheduled:
    """A loop with a scheduler."""

    follower: Any

    def __init__(self, optimizer: Any, run: Run, **options: Any) -> None:
        from rheostat.torch import RheostatLR

        self.optimizer, self.follower = optimizer, RheostatLR(optimizer, run, **options)

    def update(self) -> None:
        """Make an update."""
        self.optimizer.step()
        self.follower.step()

    @property
    def step(self) -> int:
        """The step of the next update."""
        return int(self.follower.state_dict()["step"])


class Attached(Scheduled):
    """A loop with nothing but its optimizer."""

    def __init__(self, optimizer: Any, run: Run, **options: Any) -> None:
        from rheostat.torch import attach

        self.optimizer, self.follower = optimizer, attach(optimizer, run, **options)

    def update(self) -> None:
        """Make an update."""
        self.optimizer.step()


both = pytest.mark.parametrize("loop", [Scheduled, Attached])


@both
def test_what_was_applied_is_told_of_each_update(loop: Any, told: tuple[Run, Told]) -> None:
    """P12: the step, with the value that its update used."""
    run, heard = told
    training = loop(sgd(), run)
    for _ in range(5):
        training.update()
    assert heard.rates == list(enumerate(RAMPED))
    assert heard.wrong == []


def overwrite(optimizer: Any, rate: float, at: int) -> None:
    """Have a callback, registered after everybody else, write a rate at one update."""
    count = iter(range(1_000))

    def hook(optimizer: Any, *_: Any) -> None:
        if next(count) == at:
            optimizer.param_groups[0]["lr"] = rate

    optimizer.register_step_pre_hook(hook)


@both
def test_a_callback_that_writes_is_named_at_its_step(
    loop: Any, told: tuple[Run, Told], caplog: pytest.LogCaptureFixture
) -> None:
    """P12: with what it left, which is what the update used; one that is right again is right."""
    run, heard = told
    training = loop(sgd(group(name="body")), run)
    overwrite(training.optimizer, 0.75, at=2)
    with caplog.at_level(logging.WARNING, "rheostat"):
        for _ in range(5):
            training.update()
    assert heard.wrong == [(2, "lr", 0.75, "f64")]
    assert heard.rates == [(0, 0.25), (1, 0.3125), (2, 0.75), (3, 0.4375), (4, 0.5)]
    (warned,) = [record.getMessage() for record in caplog.records]
    assert "the update of step 2 finds 0.75 in lr of group 0 (body), where 0.375" in warned


@both
def test_raising_comes_before_the_update(loop: Any, told: tuple[Run, Told]) -> None:
    """With "raise" the weights are as they were, and the error says all there is to say."""
    run, heard = told
    training = loop(sgd(), run, on_mismatch="raise")
    overwrite(training.optimizer, 0.75, at=2)
    training.update()
    training.update()
    before = training.optimizer.param_groups[0]["params"][0].detach().clone()
    with pytest.raises(Overwritten) as caught:
        training.update()
    assert torch.equal(training.optimizer.param_groups[0]["params"][0].detach(), before)
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own error
    found = (error.parameter, error.field, error.group, error.step, error.expected, error.found)
    assert found == ("lr", "lr", "0", 2, 0.375, 0.75)
    assert str(error) == str(caught.value)
    assert heard.wrong == [(2, "lr", 0.75, "f64")]
    assert [step for step, _ in heard.rates] == [0, 1]


@both
def test_without_a_word_it_is_left_to_the_service(
    loop: Any, told: tuple[Run, Told], caplog: pytest.LogCaptureFixture
) -> None:
    """With None nothing is said, and what was applied is told as it was."""
    run, heard = told
    training = loop(sgd(), run, on_mismatch=None)
    overwrite(training.optimizer, 0.75, at=1)
    training.update()
    training.update()
    assert (heard.rates, heard.wrong, caplog.records) == ([(0, 0.25), (1, 0.75)], [], [])


def test_a_second_scheduler_is_named(told: tuple[Run, Told]) -> None:
    """PyTorch's own, left in the loop after ours, sets the rate of every update but the first."""
    run, heard = told
    training = Scheduled(sgd(), run)
    second = torch.optim.lr_scheduler.StepLR(training.optimizer, 1, gamma=0.5)
    expected = [0.25]
    for _ in range(3):
        training.update()
        second.step()
        expected.append(training.optimizer.param_groups[0]["lr"])
    training.optimizer.step()
    assert heard.rates == list(enumerate(expected))
    assert [wrong[:2] for wrong in heard.wrong] == [(1, "lr")]


def test_a_second_scheduler_does_nothing_where_a_run_is_attached(told: tuple[Run, Told]) -> None:
    """The values are written when the update is about to use them, whoever was there before."""
    run, heard = told
    training = Attached(sgd(), run)
    second = torch.optim.lr_scheduler.StepLR(training.optimizer, 1, gamma=0.5)
    for _ in range(5):
        training.update()
        second.step()
    assert (heard.rates, heard.wrong) == (list(enumerate(RAMPED)), [])


@both
def test_float32_tensors_are_compared_as_they_round(loop: Any, told: tuple[Run, Told]) -> None:
    """A capturable Adam keeps its rate in float32: no value is wrong for that."""
    run, heard = told
    values = {"kind": "table", "values": [0.1, 0.2, 0.3]}
    run.change({"lr": {**values, "clock": "run"}}, effective=0)
    rate = torch.tensor(0.1)
    training = loop(torch.optim.AdamW([group()], lr=rate), run, on_mismatch="raise")
    for _ in range(3):
        training.update()
    assert training.optimizer.param_groups[0]["lr"] is rate
    assert heard.rows == [
        (step, {"lr": value}, {"lr": "f32"}) for step, value in enumerate([0.1, 0.2, 0.3])
    ]


@pytest.mark.parametrize("how", ["filled", "replaced", "filled by a number"])
def test_a_tensor_that_somebody_writes_to_is_named(how: str, told: tuple[Run, Told]) -> None:
    """In place or by another tensor: what is found is what stands there, rounded as it is."""
    run, heard = told
    training = Scheduled(torch.optim.AdamW([group()], lr=torch.tensor(0.1)), run)
    training.update()
    (own,) = training.optimizer.param_groups
    if how == "filled":
        own["lr"].mul_(0.1)
    else:
        own["lr"] = torch.tensor(0.03125) if how == "replaced" else 0.03125
    training.optimizer.step()
    ((step, parameter, found, dtype),) = heard.wrong
    assert (step, parameter, dtype) == (1, "lr", "f32")
    assert found == (0.03125 if how != "filled" else (torch.tensor(0.3125) * 0.1).item())


def test_the_same_number_once_more_is_no_fault(told: tuple[Run, Told]) -> None:
    """A checkpoint of the optimizer that is loaded, or a tensor that is filled again."""
    run, heard = told
    training = Scheduled(torch.optim.AdamW([group()], lr=torch.tensor(0.1)), run)
    training.update()
    training.optimizer.load_state_dict(training.optimizer.state_dict())
    training.update()
    training.optimizer.param_groups[0]["lr"] = torch.tensor(0.375)
    training.optimizer.step()
    assert (heard.wrong, [rate for _, rate in heard.rates]) == ([], RAMPED[:3])


def test_what_is_not_a_number_is_a_fault(told: tuple[Run, Told]) -> None:
    """P10: NaN equals nothing, not even the NaN of the update before."""
    run, heard = told
    training = Attached(sgd(), run)
    overwrite(training.optimizer, math.nan, at=1)
    training.update()
    training.update()
    ((step, parameter, found, _),) = heard.wrong
    assert (step, parameter, math.isnan(found)) == (1, "lr", True)


@both
def test_scaled_groups_give_no_alarm(loop: Any, told: tuple[Run, Told]) -> None:
    """
    Layer decay, as timm has it: a group takes its part of the rate, and the run's was applied.

    The factor that counts is the one that was written, whatever it is afterwards.
    """
    run, heard = told
    groups = [group(lr_scale=0.5), group(lr_scale=0.7), group(), group(lr_scale=0.0)]
    training = loop(sgd(*groups), run, on_mismatch="raise")
    training.update()
    training.update()
    used = [own["lr"] for own in training.optimizer.param_groups]
    if loop is Scheduled:
        assert used == [0.375 * 0.5, 0.375 * 0.7, 0.375, 0.0]
    else:
        assert used == [0.3125 * 0.5, 0.3125 * 0.7, 0.3125, 0.0]
    training.optimizer.param_groups[0]["lr_scale"] = 0.25
    training.update()
    assert heard.rates == list(enumerate(RAMPED[:3]))


def test_another_rate_in_a_scaled_group_is_divided_back(told: tuple[Run, Told]) -> None:
    """What stands for the run's value is what was found, without the factor that was written."""
    run, heard = told
    training = Scheduled(sgd(group(), group(lr_scale=0.5)), run)
    first, second = training.optimizer.param_groups
    second["lr"], second["lr_scale"] = 0.75, 0.125
    training.update()
    second["lr"] = first["lr"]  # whoever forgets the scale
    training.update()
    assert heard.rates == [(0, 1.5), (1, RAMPED[1] / 0.125)]
    assert heard.wrong == [(0, "lr", 1.5, "f64")]


def test_where_zero_was_written_nothing_can_be_divided_back(told: tuple[Run, Told]) -> None:
    """A frozen group that somebody thaws is no value of the run: not even the run's own."""
    run, heard = told
    training = Scheduled(sgd(group(lr_scale=0.0)), run)
    training.optimizer.param_groups[0]["lr"] = RAMPED[0]
    training.update()
    assert heard.wrong == [(0, "lr", math.inf, "f64")]


@pytest.mark.parametrize("scale", ["half", math.inf, math.nan, None, True])
@both
def test_a_scale_that_is_none_is_refused(loop: Any, scale: Any, told: tuple[Run, Told]) -> None:
    """P10: before anything is written, at the beginning or later."""
    run, _ = told
    with pytest.raises(Invalid, match="lr_scale of group 1"):
        loop(sgd(group(), group(lr_scale=scale)), run)
    training = loop(sgd(group(), group(lr_scale=0.5)), run)
    training.optimizer.param_groups[1]["lr_scale"] = scale
    before = [own["lr"] for own in training.optimizer.param_groups]
    with pytest.raises(Invalid, match="lr_scale of group 1"):
        training.update()
    assert [own["lr"] for own in training.optimizer.param_groups] == before


def test_only_learning_rates_are_scaled(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight decay in a scaled group is the run's."""
    run = new_run(weight_decay=RAMP)
    heard = Told(run, monkeypatch)
    Scheduled(sgd(group(lr_scale=0.5, weight_decay=0.1)), run, on_mismatch="raise").update()
    assert [values for _, values, _ in heard.rows] == [{"weight_decay": 0.25}]


def test_a_group_that_is_not_ours_is_not_looked_at(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may set what the run has no parameter for."""
    run = new_run(lr__head=RAMP)
    heard = Told(run, monkeypatch)
    fields = [{}, {"lr": "lr/head"}]
    training = Scheduled(sgd(group(), group()), run, fields=fields, on_mismatch="raise")
    for _ in range(3):
        training.optimizer.param_groups[0]["lr"] *= 0.5
        training.optimizer.param_groups[0]["momentum"] = 0.5
        training.update()
    assert [values for _, values, _ in heard.rows] == [{"lr/head": rate} for rate in RAMPED[:3]]


def test_betas_are_read_back_each(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parameters in one tuple: the one that was overwritten is named, and not the other."""
    run = new_run(beta1=0.5, beta2=0.75)
    heard = Told(run, monkeypatch)
    training = Scheduled(torch.optim.AdamW([group()], betas=(0.9, 0.99)), run)
    training.update()
    training.optimizer.param_groups[0]["betas"] = (0.5, 0.99)
    training.optimizer.step()
    assert heard.wrong == [(1, "beta2", 0.99, "f64")]
    assert [values for _, values, _ in heard.rows] == [
        {"beta1": 0.5, "beta2": 0.75},
        {"beta1": 0.5, "beta2": 0.99},
    ]


def test_it_may_be_one_of_a_sequence(told: tuple[Run, Told]) -> None:
    """As long as another scheduler of PyTorch's sequence is in force, nothing is claimed."""
    run, heard = told
    optimizer = sgd()
    training = Scheduled(optimizer, run, on_mismatch="raise")
    schedulers = torch.optim.lr_scheduler
    constant = schedulers.ConstantLR(optimizer, factor=1.0)
    sequence = schedulers.SequentialLR(optimizer, [constant, training.follower], [2])
    for _ in range(5):
        optimizer.step()
        sequence.step()
    assert heard.rates == list(enumerate(RAMPED[:3]))


@pytest.mark.parametrize("wrong", ["ignore", True, 0])
@both
def test_what_is_to_happen_is_one_of_three(loop: Any, wrong: Any, told: tuple[Run, Told]) -> None:
    """P10: the field is in the error."""
    with pytest.raises(Invalid) as caught:
        loop(sgd(), told[0], on_mismatch=wrong)
    assert [error.field for error in caught.value.errors] == ["on_mismatch"]


def prepared(scheduler: Any, optimizer: Any, processes: int, patch: pytest.MonkeyPatch) -> Any:
    """Return what Accelerate makes of a scheduler in a training of so many processes."""
    accelerate = pytest.importorskip("accelerate", reason="needs accelerate: make test-frameworks")
    accelerator = accelerate.Accelerator(cpu=True)
    wrapped = accelerator.prepare(optimizer)
    patch.setitem(accelerate.state.PartialState._shared_state, "num_processes", processes)
    return wrapped, accelerator.prepare_scheduler(scheduler)


def test_a_scheduler_that_is_stepped_once_for_each_process_is_named(
    told: tuple[Run, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accelerate does so with what it has prepared: PyTorch's own decays four times as fast."""
    run, heard = told
    training = Scheduled(sgd(), run)
    second = torch.optim.lr_scheduler.ExponentialLR(training.optimizer, gamma=0.5)
    optimizer, second = prepared(second, training.optimizer, 4, monkeypatch)
    for _ in range(2):
        optimizer.step()
        training.follower.step()
        second.step()
    training.optimizer.step()
    assert heard.rates == [(0, 0.25), (1, RAMPED[1] / 16), (2, RAMPED[2] / 16)]
    assert heard.wrong == [(1, "lr", RAMPED[1] / 16, "f64")]


def test_ours_moves_on_once_where_accelerate_steps_it_for_each_process(
    told: tuple[Run, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts updates: prepared or not, each update uses the value of its step."""
    run, heard = told
    training = Scheduled(sgd(), run, on_mismatch="raise")
    optimizer, scheduler = prepared(training.follower, training.optimizer, 4, monkeypatch)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    assert heard.rates == list(enumerate(RAMPED))
    assert training.step == 5


def test_a_rank_that_skipped_an_update_is_one_behind_and_right(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In mixed precision one rank overflows, and its loop does not step the scheduler then.

    Each update of it used the value of its own step, so that no value is wrong: it lists one update
    less than the others, and its position says that it is behind.
    """
    run, other = new_run(lr=RAMP), new_run(lr=RAMP)
    ranks = [Scheduled(sgd(), run), Scheduled(sgd(), other)]
    heard = [Told(run, monkeypatch), Told(other, monkeypatch)]
    for rank, training in enumerate(ranks):
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        (found,) = training.optimizer.param_groups[0]["params"]
        for turn in range(4):
            training.optimizer.zero_grad()
            overflows = turn == 1 and rank == 1
            scaler.scale(found.sum() * (torch.inf if overflows else 1.0)).backward()
            before = scaler.get_scale()
            scaler.step(training.optimizer)
            scaler.update()
            if scaler.get_scale() >= before:
                training.follower.step()
    assert [told.rates for told in heard] == [list(enumerate(RAMPED[:n])) for n in (4, 3)]
    assert [training.step for training in ranks] == [4, 3]
    assert [told.wrong for told in heard] == [[], []]


def test_a_skipped_update_whose_step_is_passed_is_not_listed(told: tuple[Run, Told]) -> None:
    """A loop that steps its scheduler all the same leaps over that value, and claims nothing."""
    run, heard = told
    training = Scheduled(sgd(), run, on_mismatch="raise")
    training.update()
    training.follower.step()  # without an update
    training.update()
    assert heard.rates == [(0, RAMPED[0]), (2, RAMPED[2])]


@both
def test_a_resumed_and_a_rewound_training_are_right(loop: Any, told: tuple[Run, Told]) -> None:
    """What was loaded, in either order, is what the run has there: nothing is a fault."""
    run, heard = told
    training = loop(sgd(), run, on_mismatch="raise")
    state, kept = {}, {}
    for step in range(3):
        if step == 1:
            state = training.follower.state_dict()
            kept = training.optimizer.state_dict()
        training.update()
    kept["param_groups"][0]["lr"] = 99.0
    training.follower.load_state_dict(state)
    training.optimizer.load_state_dict(kept)
    training.update()
    run.rewind(1, changes={"lr": scale(0.5)}, message="try half")
    training.optimizer.load_state_dict(kept)
    training.follower.load_state_dict(state)
    training.update()
    assert heard.rates == [*enumerate(RAMPED[:3]), (1, RAMPED[1]), (1, RAMPED[1] / 2)]
    assert heard.wrong == []


@both
def test_a_step_that_only_makes_state_is_no_fault(loop: Any, told: tuple[Run, Told]) -> None:
    """A distributed checkpoint steps a new optimizer with a rate of zero: nobody overwrote it."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    run, heard = told
    model = torch.nn.Linear(2, 1)
    training = loop(torch.optim.AdamW(model.parameters()), run, on_mismatch="raise")
    get_optimizer_state_dict(model, training.optimizer)
    assert training.optimizer.state
    assert heard.rows == heard.wrong == []

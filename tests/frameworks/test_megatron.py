"""Megatron-core's own scheduler and optimizer, in Megatron-LM's loop, and Bridge's callbacks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import Case, NewCase, Ranks, RunSection
from tests.frameworks.megatron_loop import BATCH, Training

from rheostat.errors import Invalid, StaleCheckpoint

FRAMEWORK = Framework(
    name="Megatron-core",
    package="megatron-core",
    adds='rheostat.megatron.install("moe", create={',
    newest="0.16.1",
    oldest="0.9.0",
)
SAMPLES = {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 1024}
"""A rate that is another one at each sample, and exact: sample / 1024."""


@pytest.fixture
def install() -> Iterator[Any]:
    """Install as a script does before pretrain(), and give Megatron its methods back."""
    import rheostat.megatron

    made: list[Any] = []

    def install(run: Any, **options: Any) -> Any:
        made.append(rheostat.megatron.install(run, **options))
        return made[-1]

    yield install
    for installed in made:
        installed.uninstall()


@pytest.fixture
def new_samples(new_case: NewCase) -> NewCase:
    """Create runs that count samples, four in a cell, and so in an iteration."""

    def create(parameters: Any = None, *, total: int | None = 64, **options: Any) -> Case:
        parameters = parameters or {"lr": SAMPLES}
        return new_case(parameters, total=total, axis="samples", resolution=BATCH, **options)

    return create


def require_ledger(
    case: Case, used: list[float], first: int = 0, generation: int | None = None
) -> None:
    """Require that the updates from sample ``first`` on used what the ledger has, bit for bit."""
    served: dict[int, float] = {}
    for segment in case.control.ledger(generation=generation):
        for index, value in enumerate(segment["values"]["lr"]):
            served[segment["start"] + BATCH * index] = value
    assert used, "no update was made"
    assert used == [served[first + BATCH * index] for index in range(len(used))]


def again(installed: Any, install: Any, case: Case) -> Any:
    """Install as another process does that resumes the training."""
    installed.uninstall()
    return install(case.address)


def test_ledger(new_samples: NewCase, install: Any) -> None:
    """Each update uses what the ledger has at its samples, with a change on the way."""
    case = new_samples()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=32)
    install(case.join())
    training = Training()
    training.train()
    assert training.used[7:9] == [28 / 1024, 16 / 1024]
    assert len(training.used) == 16
    require_ledger(case, training.used)


def test_accumulation(new_samples: NewCase, install: Any) -> None:
    """An update counts with all samples of its micro-batches."""
    case = new_samples({"lr": SAMPLES}, total=96, max_block=8)
    install(case.join())
    training = Training(iterations=6, accumulation=4)
    training.args.micro_batches, training.args.micro_batch_size = 3, 4
    training.train()
    assert training.used == [12 * iteration / 1024 for iteration in range(6)]


def test_amp(new_samples: NewCase, install: Any) -> None:
    """An update that is left out for an overflow counts nothing: its samples' value comes again."""
    case = new_samples()
    install(case.join())
    training = Training(iterations=8)
    training.train(until=3)
    training.optimizer.overflows = True
    training.train()
    assert (training.iteration, training.scheduler.num_steps) == (8, 7 * BATCH)
    require_ledger(case, training.used)


def test_resume(new_samples: NewCase, install: Any) -> None:
    """A checkpoint goes on at its samples, whatever the flags and the arguments are by now."""
    case = new_samples()
    installed = install(case.join())
    first = Training(groups=[{"max_lr": 1.0}], save_interval=5)
    first.train()
    again(installed, install, case)
    resumed = Training(
        groups=[{"max_lr": 0.25}],
        max_lr=0.25,
        lr_warmup_steps=0,
        use_checkpoint_opt_param_scheduler=False,
    )
    resumed.load(first.saved[5])
    assert resumed.scheduler.num_steps == 5 * BATCH
    resumed.train()
    assert resumed.used == first.used[5:]
    require_ledger(case, resumed.used, first=5 * BATCH)


def test_rewind(new_samples: NewCase, install: Any) -> None:
    """A checkpoint from before a rewind has the new generation's values; a later one is refused."""
    case = new_samples()
    installed = install(case.join())
    first = Training(save_interval=5)
    first.train(until=11)
    case.control.rewind(32, changes={"lr": {"edit": "scale", "factor": 0.5}})
    again(installed, install, case)
    resumed = Training()
    with pytest.raises(StaleCheckpoint):
        resumed.load(copy.deepcopy(first.saved[10]))
    resumed.load(first.saved[5])
    resumed.train()
    assert resumed.used[2:4] == [28 / 1024, 16 / 1024]
    require_ledger(case, resumed.used, first=5 * BATCH)


def test_longer(new_samples: NewCase, install: Any) -> None:
    """A run that was extended goes on where it ended, from the last checkpoint."""
    curve = {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}
    case = new_samples({"lr": curve}, total=32)
    installed = install(case.join())
    first = Training(iterations=8)
    first.train()
    case.control.extend_total(64)
    again(installed, install, case)
    resumed = Training(iterations=16)
    resumed.load(first.saved[8])
    resumed.train()
    assert len(resumed.used) == 8
    require_ledger(case, resumed.used, first=32)


def test_stop(new_samples: NewCase, install: Any) -> None:
    """At a stop Megatron-LM ends as after its last iteration, with a checkpoint of that."""
    case = new_samples()
    case.control.stop(effective=32)
    installed = install(case.join())
    training = Training()
    training.train()
    assert installed.ended
    assert training.iteration == training.args.train_iters == len(training.used) == 8
    assert training.saved[8]["opt_param_scheduler"]["rheostat"]["step"] == 32
    require_ledger(case, training.used)


def test_ranks(new_samples: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values, end at one iteration, and agree on what they load."""
    case = new_samples()
    case.control.stop(effective=32)
    told = on_ranks("megatron_loop.py", case.url, case.name)
    for rank in told:
        require_ledger(case, rank["used"])
        assert (rank["iteration"], rank["saved"], rank["ended"]) == (8, [8], True)
        assert rank["refused"] in ("Conflict", "StaleCheckpoint")


def test_groups(new_samples: NewCase, install: Any) -> None:
    """Each group keeps its part of the rate and of the decay, empty ones and tensors too."""
    import torch

    curves = {"lr": SAMPLES, "weight_decay": {"kind": "constant", "value": 0.5}}
    case = new_samples(curves)
    install(case.join())
    tensor = torch.tensor(1.0, dtype=torch.float32)
    groups: list[dict[str, Any]] = [
        {"max_lr": 1.0, "wd_mult": 1.0},
        {"max_lr": 10.0, "min_lr": 1.0, "wd_mult": 0.0},
        {"params": [], "wd_mult": 0.5},
        {"lr": tensor},
    ]
    training = Training(iterations=4, groups=groups)
    training.train()
    rates = [[group["lr"] for group in each] for each in training.used_groups]
    assert rates == [[v, 10 * v, v, v] for v in (0.0, 4 / 1024, 8 / 1024, 12 / 1024)]
    decays = {tuple(group["weight_decay"] for group in each) for each in training.used_groups}
    assert decays == {(0.5, 0.0, 0.25, 0.5)}
    assert training.optimizer.param_groups[3]["lr"] is tensor or not uses_tensors()


def uses_tensors() -> bool:
    """Whether this version fills a rate in place that is a tensor, as the newest do."""
    import inspect

    from megatron.core import optimizer_param_scheduler as module

    return "fill_" in inspect.getsource(module)


def test_multiplied_rates(new_samples: NewCase, install: Any) -> None:
    """A group's ``lr_mult`` counts where Megatron's own scheduler multiplies by it."""
    from rheostat.megatron.groups import uses_lr_mult

    case = new_samples()
    installed = install(case.join())
    training = Training(iterations=3, groups=[{"lr_mult": 2.0}])
    training.train()
    part = 2 if uses_lr_mult(installed.own("step")) else 1
    assert training.used == [part * 4 * index / 1024 for index in range(3)]


def test_own_decay(new_samples: NewCase, install: Any) -> None:
    """What the run has no parameter for stays Megatron's own."""
    install(new_samples().join())
    options: dict[str, Any] = {
        "start_wd": 0.0,
        "end_wd": 0.25,
        "wd_incr_style": "linear",
        "wd_incr_steps": 16,
    }
    training = Training(iterations=4, **options)
    training.train()
    decays = [group["weight_decay"] for [group] in training.used_groups]
    assert decays == [0.0, 0.0625, 0.125, 0.1875]


@pytest.mark.parametrize("name", ["lr/head", "beta1", "batch_size"])
def test_parameters_that_it_cannot_set(new_samples: NewCase, install: Any, name: str) -> None:
    """They are refused, and not left unset; one that is no number of an optimizer stays alone."""
    case = new_samples({"lr": SAMPLES, name: SAMPLES})
    install(case.join())
    if name == "batch_size":
        Training(iterations=4).train()
    else:
        with pytest.raises(Invalid, match=name):
            Training()


def test_gate(new_samples: NewCase, install: Any) -> None:
    """At a gate the update waits for the report of the evaluation, and has what was decided."""
    from rheostat import plateau

    rule = {"halve": plateau(metric="loss", reading="torch", patience=0, factor=0.5, gate=16)}
    case = new_samples({"lr": {"kind": "constant", "value": 1.0}}, controllers=rule)
    installed = install(case.join())
    training = Training(iterations=12)
    training.evaluate = lambda done: done % 4 or installed.report({"loss": 1.0})
    training.train()
    assert training.used[:4] == [1.0] * 4
    assert training.used[-1] < 1.0
    require_ledger(case, training.used)


def test_end_at_a_gate(new_samples: NewCase, install: Any) -> None:
    """What ends the run at a gate ends it before that update, with a checkpoint."""
    from rheostat import early_stop

    rule = {"enough": early_stop(metric="loss", reading="lightning", patience=0, gate=16)}
    case = new_samples({"lr": {"kind": "constant", "value": 1.0}}, controllers=rule)
    installed = install(case.join())
    training = Training()
    training.evaluate = lambda done: done % 4 or installed.report({"loss": 1.0})
    training.train()
    assert installed.ended
    assert len(training.used) % 4 == 0
    assert training.iteration == len(training.used) + 1
    state = training.saved[training.iteration]["opt_param_scheduler"]
    assert state["num_steps"] == state["rheostat"]["step"] == 4 * len(training.used)


def test_training_that_has_ended(new_samples: NewCase, install: Any) -> None:
    """A job that starts again after the end updates nothing, and ends."""
    case = new_samples()
    case.control.stop(effective=32)
    installed = install(case.join())
    first = Training()
    first.train()
    again(installed, install, case)
    resumed = Training()
    resumed.load(first.saved[8])
    resumed.train()
    assert resumed.used == []
    assert (resumed.iteration, resumed.scheduler.num_steps) == (8, 32)


def test_checkpoint_signal(new_samples: NewCase, install: Any) -> None:
    """All ranks save after one update, as Megatron-LM saves, and the run learns where."""
    case = new_samples(signals={"checkpoint": {}, "hello": {}})
    heard: list[str] = []
    revision = case.control.signal("checkpoint", effective=20)
    case.control.signal("hello", effective=24)
    installed = install(case.join(), on_signal=lambda signal: heard.append(signal.name))
    training = Training()
    training.train()
    installed.session.run.flush()
    assert list(training.saved) == [5, 16]
    assert training.args.save_interval == 1000
    assert training.saved[5]["opt_param_scheduler"]["rheostat"]["step"] == 20
    assert heard == ["hello"]
    [outcome] = case.control.outcomes(revision)
    assert (outcome["outcome"], outcome["data"]) == ("done", {"uri": "checkpoints"})


def test_checkpoint_signal_without_a_place(new_samples: NewCase, install: Any) -> None:
    """Where nothing is saved, the outcome says so."""
    case = new_samples(signals={"checkpoint": {}})
    revision = case.control.signal("checkpoint", effective=20)
    installed = install(case.join())
    Training(save=None, iterations=8).train()
    installed.session.run.flush()
    [outcome] = case.control.outcomes(revision)
    assert outcome["outcome"] == "failed"


def test_overwritten(new_samples: NewCase, install: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A rate that something else has set is named, with the samples at which it was used."""
    case = new_samples()
    install(case.join())
    training = Training(iterations=6)
    training.train(until=3)
    training.optimizer.param_groups[0]["lr"] = 7.0
    training.train()
    assert "the update of step 12 finds 7.0 in lr of group 0" in caplog.text


def test_created_with_the_trainers_total(new_samples: NewCase, install: Any) -> None:
    """The run is made when the scheduler is, which knows how many samples there will be."""
    case = new_samples()
    name = f"{case.name}-made"
    body = {"parameters": {"lr": SAMPLES}, "total": "trainer", "resolution": BATCH}
    installed = install(f"{case.url}/{name}", create=body)
    training = Training(iterations=12)
    training.train()
    shown = case.client.control(name).show()
    assert (shown["axis"], shown["total"]) == ("samples", 48)
    assert training.used == [4 * index / 1024 for index in range(12)]
    assert installed.step == 48


def test_checkpoint_of_before(new_samples: NewCase, install: Any) -> None:
    """A checkpoint that Megatron alone has saved begins the run at its samples."""
    curve = {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 4096}
    case = new_samples({"lr": curve}, total=4096, max_block=256)
    before = Training()
    before.train(until=1)
    before.scheduler.num_steps = 2048
    before.save()
    install(case.join())
    training = Training(iterations=1024)
    checkpoint = before.saved[1] | {"iteration": 512}
    training.load(checkpoint)
    training.train(until=516)
    assert training.used == [(2048 + 4 * index) / 4096 for index in range(4)]


def test_bridge(new_samples: NewCase, install: Any) -> None:
    """As a callback it reports the loss and the evaluation, saves at the signal, and ends."""
    from tests.frameworks.bridge_loop import Bridge

    case = new_samples(signals={"checkpoint": {}})
    case.control.signal("checkpoint", effective=12)
    case.control.stop(effective=44)
    installed = install(case.join())
    bridge = Bridge(Training(), [installed])
    bridge.train()
    require_ledger(case, bridge.training.used)
    assert len(bridge.training.used) == bridge.state.train_state.step == 11
    assert list(bridge.training.saved) == [3, 11]
    assert bridge.checkpoint.save_interval == 1000
    served = case.control.reports("lm_loss")
    losses = dict(zip(served["steps"], served["values"], strict=True))
    assert losses == {8 * n: 10.0 - (2 * n - 1) for n in range(1, 6)}
    evaluated = case.control.reports("eval_lm_loss")
    assert evaluated["steps"] == [20, 40]


def test_bridge_that_has_ended(new_samples: NewCase, install: Any) -> None:
    """Bridge's loop does not begin where the run has ended."""
    from tests.frameworks.bridge_loop import Bridge

    case = new_samples()
    case.control.stop(effective=8)
    installed = install(case.join())
    first = Training()
    first.train()
    second = again(installed, install, case)
    resumed = Training()
    resumed.load(first.saved[2])
    bridge = Bridge(resumed, [second])
    bridge.train()
    assert (bridge.state.train_state.step, resumed.used) == (2, [])


def test_loop_of_ones_own(
    new_samples: NewCase, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that is neither asks ``ended``; one that does not is told, and updates no more."""
    case = new_samples()
    case.control.stop(effective=8)
    installed = install(case.join())
    training = Training()
    while not installed.ended:
        training.step()
    assert not training.step()
    assert len(training.used) == 2
    assert caplog.text.count("the loop must ask installed.ended") == 1


def test_uninstall(new_samples: NewCase, install: Any) -> None:
    """Megatron's own methods are there again, and install refuses a second run before that."""
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    own = OptimizerParamScheduler.step
    run = new_samples().join()
    installed = install(run)
    assert OptimizerParamScheduler.step is not own
    with pytest.raises(Invalid, match="uninstall"):
        install(run)
    installed.uninstall()
    assert OptimizerParamScheduler.step is own
    training = Training(iterations=4)
    training.train()
    assert training.used[1:3] == [0.5, 1.0]  # its own warm-up of two iterations


def test_unknown_version(new_samples: NewCase) -> None:
    """A scheduler with other arguments is refused, with what it has and what is known."""
    from rheostat.megatron.installed import require_known

    class Later:
        def __init__(self, optimizer: Any, max_lr: float) -> None:
            """Make one."""

        def step(self, increment: int, tokens: int) -> None:
            """Count."""

    with pytest.raises(Invalid, match=r"step\(self, increment, tokens\)"):
        require_known(Later)


def test_axis(new_case: NewCase, install: Any) -> None:
    """A run that counts steps is refused before anything is trained."""
    with pytest.raises(Invalid, match="samples"):
        install(new_case().join())


def test_no_import_before_use(run_python: Any) -> None:
    """Neither Megatron-core nor PyTorch is loaded with the module."""
    program = (
        "import sys, rheostat.megatron; "
        "print([m for m in ('megatron', 'torch', 'numpy') if m in sys.modules])"
    )
    assert run_python(program) == "[]\n"


def test_docs(run_section: RunSection) -> None:
    """The section's code runs, and prints what the page shows."""
    from tests.frameworks.bridge_loop import Bridge

    def pretrain(*_: Any) -> None:
        Training().train()

    def bridge_pretrain(config: Any, forward_step: Any, callbacks: list[Any]) -> None:
        del config, forward_step
        training = Training(iterations=0x10)
        training.args.iteration = 0
        Bridge(training, callbacks).train()

    names = dict.fromkeys(["datasets_provider", "model_provider", "model_type", "forward_step"])
    known = {"pretrain": pretrain, "bridge_pretrain": bridge_pretrain, "config": None}
    left = run_section("Megatron-core", **names, **known)
    left["installed"].uninstall()

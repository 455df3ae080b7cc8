"""A loop with optax, whose jitted update is compiled once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import RAMP, NewCase, Ranks

from rheostat import Client
from rheostat.errors import Conflict, Invalid, StaleCheckpoint

FRAMEWORK = Framework(
    name="JAX with optax",
    package="optax",
    adds="""
numbers = rheostat.optax.Hyperparams("with-optax", {"lr": "learning_rate"}, total=steps, create={
opt_state = numbers.put(opt_state, step)
""",
    newest="0.2.8",
    oldest="0.2.8",
)
HALF = {"lr": {"edit": "scale", "factor": 0.5}}
LR = {"lr": "learning_rate"}

os.environ.setdefault("JAX_PLATFORMS", "cpu")


class Training:
    """
    One process that trains, as a script of a user has it.

    The gradient is 1, so that an update of SGD lowers the weight by the rate: what was used is
    known from the weight alone, exactly, as the rates are multiples of 1/1024.
    """

    def __init__(self, run: Any, *, wraps: Any = None, **options: Any) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        from rheostat.optax import Hyperparams

        sgd = optax.inject_hyperparams(optax.sgd)(learning_rate=0.0)
        self.tx = sgd if wraps is None else wraps(sgd)
        self.numbers = Hyperparams(run, LR, **options)
        self.params = jnp.ones(())
        self.opt_state = self.tx.init(self.params)
        self.step, self.used, self.traces = 0, list[float](), 0
        self.update = jax.jit(self._update, donate_argnums=(0, 1))

    def _update(self, params: Any, opt_state: Any, gradient: Any) -> Any:
        import optax

        self.traces += 1
        updates, opt_state = self.tx.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def batch(self, gradient: float = 1.0) -> None:
        """Train on a batch with the values of the current step; the caller counts."""
        import numpy as np

        before = float(self.params)
        self.opt_state = self.numbers.put(self.opt_state, self.step)
        self.params, self.opt_state = self.update(self.params, self.opt_state, np.float32(gradient))
        self.used.append(before - float(self.params))

    def train(self, until: int) -> None:
        """Train until a step, or the run's end."""
        while self.step < until and not self.numbers.ended(self.step):
            self.batch()
            self.step += 1

    def resume(self, state: Any) -> None:
        """Go on from a checkpoint."""
        self.step = self.numbers.resume(state)


def test_ledger(new_case: NewCase) -> None:
    """Each update uses what the ledger has at its step, and none of it is compiled again."""
    case = new_case()
    case.control.change(HALF, effective=16)
    training = Training(case.join())
    training.train(40)
    assert training.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(training.used)
    assert training.traces == 1


def test_accumulation(new_case: NewCase) -> None:
    """With `optax.MultiSteps` the step is that of the updates, and not of the batches."""
    import optax

    case = new_case()
    training = Training(case.join(), wraps=lambda tx: optax.MultiSteps(tx, 3))
    for batch in range(24):
        training.step = batch // 3
        training.batch()
    updates = training.used[2::3]
    assert sum(training.used) == sum(updates)
    assert updates == [step / 1024 for step in range(8)]
    case.require_ledger(updates)
    assert training.traces == 1


def test_amp(new_case: NewCase) -> None:
    """An update that is skipped for its gradient is none: its step comes again."""
    import optax

    case = new_case()
    training = Training(case.join(), wraps=lambda tx: optax.apply_if_finite(tx, 5))
    for batch in range(12):
        training.batch(float("inf") if batch == 3 else 1.0)
        training.step = int(training.opt_state.inner_state.count)
    assert training.used.pop(3) == 0.0
    assert training.step == len(training.used) == 11
    case.require_ledger(training.used)


def test_resume(new_case: NewCase) -> None:
    """A checkpoint is words and integers, and goes on at its step with the first time's values."""
    case = new_case()
    first = Training(case.join())
    first.train(5)
    state = first.numbers.state(5)
    first.train(12)
    resumed = Training(case.join())
    resumed.resume(state)
    resumed.train(12)
    assert resumed.used == first.used[5:]
    case.require_ledger(resumed.used, first=5)


def test_rewind(new_case: NewCase) -> None:
    """A checkpoint from before a rewind goes on in the new generation, a later one is refused."""
    case = new_case()
    first = Training(case.join())
    first.train(10)
    case.control.rewind(8, changes=HALF)
    resumed = Training(case.join())
    with pytest.raises(StaleCheckpoint):
        resumed.resume(first.numbers.state(9))
    resumed.resume(first.numbers.state(5))
    resumed.train(12)
    assert resumed.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(resumed.used, first=5)


def test_longer(new_case: NewCase) -> None:
    """A run that was extended goes on where it ended."""
    case = new_case({"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=16)
    first = Training(case.join(), total=16)
    first.train(16)
    case.control.extend_total(32)
    resumed = Training(case.join(), total=32)
    resumed.resume(first.numbers.state(16))
    resumed.params = first.params
    resumed.train(32)
    assert len(resumed.used) == 16
    case.require_ledger(first.used)
    case.require_ledger(resumed.used, first=16)


def test_stop(new_case: NewCase) -> None:
    """At a stop `ended` says so; a loop that does not ask trains on with the last values."""
    case = new_case()
    case.control.stop(effective=8)
    training = Training(case.join())
    training.train(12)
    assert training.step == len(training.used) == 8
    case.require_ledger(training.used)
    training.step = 9
    training.batch()
    assert training.used[-1] == 7 / 1024


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values and end at one step, or both refuse."""
    case, other = new_case(), new_case()
    case.control.stop(effective=8)
    told = on_ranks("optax_ranks.py", case.url, case.name, other.name)
    for rank in told:
        assert rank["ranks"] == 2
        case.require_ledger(rank["used"])
        assert len(rank["used"]) == 8
        assert "do not agree" in rank["apart"]
        assert "1 of 2 failed" in rank["one"]
        assert rank["job"] == told[0]["job"]


def test_blocks_go_through_a_scan(new_case: NewCase) -> None:
    """The values of many steps are an array for `jax.lax.scan`; a block ends where the run does."""
    import jax
    import jax.numpy as jnp

    case = new_case(max_block=16)
    case.control.stop(effective=24)
    training = Training(case.join())
    numbers, tx = training.numbers, training.tx

    def body(carry: Any, row: Any) -> Any:
        params, opt_state = carry
        opt_state = numbers.set(opt_state, row)
        updates, opt_state = tx.update(jnp.ones(()), opt_state, params)
        return (params + updates, opt_state), -updates

    carry, used = (training.params, training.opt_state), list[float]()
    step = 0
    while not numbers.ended(step):
        rows = numbers.block(step, 16)
        assert {str(row.dtype) for row in rows.values()} == {"float32"}
        carry, rates = jax.lax.scan(body, carry, rows)
        used += [float(rate) for rate in rates]
        step += len(rates)
    assert step == 24
    case.require_ledger(used)
    assert [len(row) for row in numbers.block(24, 16).values()] == [0]


def test_a_block_ends_at_a_gate(new_case: NewCase) -> None:
    """It is the report after it that opens the gate."""
    from rheostat.controls import plateau

    halves = plateau(metric="val_loss", patience=0, factor=0.5, gate=8)
    case = new_case(
        {"lr": {"kind": "constant", "value": 0.5}}, max_block=16, controllers={"plateau": halves}
    )
    numbers = Training(case.join()).numbers
    rates: list[float] = []
    while len(rates) < 24 and not numbers.ended(len(rates)):
        rows = numbers.block(len(rates), 16)["learning_rate"]
        assert len(rows) == 8
        rates += map(float, rows)
        numbers.report(len(rates), {"val_loss": 1.0})
    assert rates == [0.5] * 16 + [0.25] * 8


def test_states_of_any_form(new_case: NewCase) -> None:
    """Numbers are found in chains, partitions and masks; a label says which of two is meant."""
    import jax
    import jax.numpy as jnp
    import optax

    from rheostat.optax import Hyperparams

    case = new_case({"lr": RAMP, "lr/head": {"kind": "constant", "value": 0.25}})
    params = {"body": jnp.ones(2), "head": jnp.ones(3)}
    adamw = optax.inject_hyperparams(optax.adamw, static_args=("b1", "b2", "eps"))
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.partition(
            {"body": adamw(learning_rate=0.0), "head": adamw(learning_rate=0.0)},
            {"body": "body", "head": "head"},
        ),
    )
    numbers = Hyperparams(case.join(), {**LR, "lr/head": "head/learning_rate"})
    before = tx.init(params)
    after = numbers.put(before, 3)
    inner = after[1].inner_states
    assert float(inner["body"].inner_state.hyperparams["learning_rate"]) == 3 / 1024
    assert float(inner["head"].inner_state.hyperparams["learning_rate"]) == 0.25
    assert jax.tree.structure(after) == jax.tree.structure(before)
    changed = [
        a is not b for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    ]
    assert sum(changed) == 2


def test_it_does_what_optax_does(new_case: NewCase) -> None:
    """The state is that of `optax.tree.set`, and Adam's bits are those of a schedule of optax."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from rheostat.optax import Hyperparams

    case = new_case()
    params, gradient = jnp.linspace(-1.0, 1.0, 7), jnp.linspace(2.0, -1.0, 7)
    own = optax.inject_hyperparams(optax.adamw, static_args=("b1", "b2", "eps"))(learning_rate=0.0)
    theirs = optax.adamw(lambda count: jnp.float32(count) / 1024)
    numbers = Hyperparams(case.join(), LR)
    mine, other = (params, own.init(params)), (params, theirs.init(params))
    for step in range(10):
        state = numbers.put(mine[1], step)
        wanted = optax.tree.set(mine[1], learning_rate=np.float32(step / 1024))
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), state, wanted))
        updates, state = jax.jit(own.update)(gradient, state, mine[0])
        mine = (optax.apply_updates(mine[0], updates), state)
        updates, state = jax.jit(theirs.update)(gradient, other[1], other[0])
        other = (optax.apply_updates(other[0], updates), state)
    assert mine[0].tobytes() == other[0].tobytes()


def state_of(**arguments: Any) -> Any:
    """Return the state of an optimizer in which something is missing."""
    import jax.numpy as jnp
    import optax

    tx = optax.inject_hyperparams(optax.sgd)(**arguments) if arguments else optax.sgd(0.1)
    return tx.init(jnp.ones(()))


@pytest.mark.parametrize(
    ("fields", "arguments", "words"),
    [
        (LR, {}, r"which has none: make the optimizer as optax.inject_hyperparams\("),
        ({"lr": "rate"}, {"learning_rate": 0.0}, "which has learning_rate"),
        (LR, {"learning_rate": lambda count: count * 0.1}, "a schedule of the optimizer's own"),
        ({"rl": "learning_rate"}, {"learning_rate": 0.0}, "names 'rl', and run .* has lr"),
        ({}, {"learning_rate": 0.0}, "must say what each parameter is"),
        ({"lr": 3}, {"learning_rate": 0.0}, "must be a name"),
    ],
)
def test_refusals(new_case: NewCase, fields: Any, arguments: Any, words: str) -> None:
    """They name what is missing, and say how it would be there."""
    from rheostat.optax import Hyperparams

    run = new_case().join()
    with pytest.raises(Invalid, match=words):
        Hyperparams(run, fields).put(state_of(**arguments), 0)


def test_a_traced_step_says_what_to_use(new_case: NewCase) -> None:
    """A schedule inside of jit cannot ask a service; a step that JAX holds can."""
    import jax
    import jax.numpy as jnp

    run = new_case().join()
    assert run.value("lr", jnp.asarray(4)) == 4 / 1024
    with pytest.raises(Invalid, match=r"rheostat\.optax|whole number"):
        jax.jit(lambda step: run.value("lr", step))(4)


def test_it_creates_the_run_with_the_total(server: str, new_name: Any) -> None:
    """An address with a name needs no client, and the total may be the trainer's."""
    name = new_name()
    body = {"parameters": {"lr": RAMP}, "total": "trainer"}
    training = Training(f"{server}/{name}", create=body, total=48)
    training.train(8)
    assert training.numbers.run.total == 48
    training.numbers.close()


def test_a_start_in_the_middle(new_case: NewCase) -> None:
    """A training without a checkpoint of this says where it begins."""
    case = new_case()
    training = Training(case.join(), start=20)
    training.step = 20
    training.train(24)
    case.require_ledger(training.used, first=20)


def test_it_is_proven(server: str, new_case: NewCase) -> None:
    """P12: what was put is what the service hears, of the float32 that it was."""
    case = new_case({"lr": {"kind": "linear", "start": 1 / 3, "end": 0.0, "steps": 300}})
    with Client(server, worker="7") as client:
        Training(client.run(case.name)).train(24)
    (worker,) = case.control.workers()["items"]
    assert (worker["step"], worker["proven_until"]) == (24, 24)
    assert case.control.mismatches() == []


def test_one_process_is_no_conflict(new_case: NewCase) -> None:
    """What a single process fails with stays what it is."""
    from rheostat.optax.processes import require_one

    with pytest.raises(Conflict, match="process 1 of 2 failed: Invalid"):
        require_one([{"at": ["a", "run_a", 1, 0]}, {"failed": "Invalid: no"}])
    with pytest.raises(StaleCheckpoint):
        Training(new_case().join()).resume({**Training(new_case().join()).numbers.state(3)})


def test_it_is_imported_without_jax(run_python: Any) -> None:
    """Importing loads no framework, and the first use says what to install."""
    program = """
import sys
sys.modules["jax"] = sys.modules["keras"] = None
import rheostat.optax, rheostat.keras
for use in (lambda: rheostat.optax.Hyperparams(None, {}), lambda: rheostat.keras.RheostatCallback):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error)
"""
    said = run_python(program)
    assert "pip install optax" in said
    assert "pip install keras" in said


def test_docs(run_section: Any, tmp_path: Path) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["step"] == 20

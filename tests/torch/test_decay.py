"""The two groups of a model's parameters: those that decay, and those that do not."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from rheostat import Run
from rheostat.errors import Invalid

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")
nn = torch.nn

NewRun = Callable[..., Run]


def left_out(model: Any, **options: Any) -> set[str]:
    """Return the names of those that do not decay, once it is seen that all are in one group."""
    from rheostat.torch import decay_groups

    decay, no_decay = decay_groups(model, **options)
    assert (decay["name"], no_decay["name"], no_decay["weight_decay"]) == ("decay", "no_decay", 0)
    both = [*decay["params"], *no_decay["params"]]
    trained = [each for each in model.parameters() if each.requires_grad]
    assert len(both) == len(trained)
    assert {*map(id, both)} == {*map(id, trained)}
    exempt = {*map(id, no_decay["params"])}
    return {name for name, each in model.named_parameters() if id(each) in exempt}


class RMSNorm2(nn.Module):  # type: ignore[misc,name-defined]
    """A norm that somebody has written, with a gain and a map of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.map = nn.Parameter(torch.ones(4, 4))


class Gain(RMSNorm2):
    """One whose name does not say it, but its base's does."""


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (nn.Linear(4, 4), {"bias"}),
        (nn.Conv2d(4, 4, 1), {"bias"}),
        (nn.LSTM(4, 4), {"bias_ih_l0", "bias_hh_l0"}),
        (
            nn.MultiheadAttention(4, 2, add_bias_kv=True),
            {"in_proj_bias", "out_proj.bias", "bias_k", "bias_v"},
        ),
        (nn.LayerNorm((3, 4)), {"weight", "bias"}),
        (nn.RMSNorm((3, 4)), {"weight"}),
        (nn.GroupNorm(2, 4), {"weight", "bias"}),
        (nn.BatchNorm1d(4), {"weight", "bias"}),
        (nn.SyncBatchNorm(4), {"weight", "bias"}),
        (nn.InstanceNorm2d(4, affine=True), {"weight", "bias"}),
        (RMSNorm2(), {"weight"}),
        (Gain(), {"weight"}),
        (nn.Embedding(4, 4), set()),
        (nn.PReLU(4), set()),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), {"bias"}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_biases_and_norms_are_left_out(module: Any, names: set[str]) -> None:
    """Of every kind, by what PyTorch calls them; everything else decays."""
    assert left_out(module) == names


def transformer() -> Any:
    """Return a model with what is usually asked about."""
    model = nn.Module()
    model.wte = nn.Embedding(8, 4)
    model.pos_embed = nn.Parameter(torch.zeros(1, 8, 4))
    model.block = nn.TransformerEncoderLayer(4, 2, 8)
    model.head = nn.Linear(4, 8, bias=False)
    model.logit_scale = nn.Parameter(torch.ones(()))
    return model


USUAL = {f"block.{name}" for name in ("linear1.bias", "linear2.bias")} | {
    f"block.{name}"
    for name in (
        "self_attn.in_proj_bias",
        "self_attn.out_proj.bias",
        "norm1.weight",
        "norm1.bias",
        "norm2.weight",
        "norm2.bias",
    )
}


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ([], set()),
        ([nn.Embedding], {"wte.weight"}),
        (["pos_embed"], {"pos_embed"}),
        (["wte.*", "*scale"], {"wte.weight", "logit_scale"}),
        ([lambda _, each: each.ndim < 2], {"logit_scale"}),
        (["linear1.weight"], {"block.linear1.weight"}),
        (["linear?.weight"], {"block.linear1.weight", "block.linear2.weight"}),
        ([nn.Embedding, "pos_embed", "head.*"], {"wte.weight", "pos_embed", "head.weight"}),
    ],
)
def test_what_one_says_is_left_out_too(said: Any, more: set[str]) -> None:
    """By a class of modules, a pattern of names, wherever these begin, or a function."""
    assert left_out(transformer(), no_decay=said) == USUAL | more


def test_a_wrapper_around_the_model_changes_nothing() -> None:
    """The names begin otherwise then, as with DistributedDataParallel."""
    wrapped = nn.Sequential()
    wrapped.add_module("module", transformer())
    found = left_out(wrapped, no_decay=["pos_embed", "wte.*"])
    assert found == {f"module.{name}" for name in USUAL | {"pos_embed", "wte.weight"}}


def test_what_the_model_says_is_left_out() -> None:
    """In the way of timm's models, and of those that mark their parameters."""
    model = transformer()
    model.no_weight_decay = lambda: {"pos_embed"}
    model.head.weight._no_weight_decay = True
    assert left_out(model) == USUAL | {"pos_embed", "head.weight"}


@pytest.mark.parametrize("said", [[], [nn.Embedding], ["head.weight"]])
def test_a_shared_parameter_is_there_once(said: Any) -> None:
    """It is left out if that holds in any of its places, the later ones too."""
    model = transformer()
    model.head.weight = model.wte.weight
    assert left_out(model, no_decay=said) == USUAL | ({"wte.weight"} if said else set())


def test_a_shared_module_is_there_once() -> None:
    """A pattern may name it by either way to it."""
    model = nn.Module()
    model.first = model.second = nn.Linear(4, 4, bias=False)
    model.other = nn.Linear(4, 4, bias=False)
    assert left_out(model) == set()
    assert left_out(model, no_decay=["second.weight"]) == {"first.weight"}


def test_what_is_frozen_is_in_neither() -> None:
    """An optimizer that has it would decay what is not trained; a pattern may still name it."""
    model = transformer()
    model.block.requires_grad_(False)
    assert left_out(model, no_decay=["linear1.weight", "pos_embed"]) == {"pos_embed"}


def test_the_order_is_that_of_the_model() -> None:
    """So that an optimizer's checkpoint fits whatever process has made it."""
    from rheostat.torch import decay_groups

    model = transformer()
    places = {id(each): index for index, each in enumerate(model.parameters())}
    for group in decay_groups(model):
        order = [places[id(each)] for each in group["params"]]
        assert order == sorted(order)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"no_decay": "pos_embed"}, "no_decay must be of a list"),
        ({"no_decay": nn.Embedding}, "no_decay must be of a list"),
        ({"no_decay": [5]}, r"no_decay\[0\] must be of a list"),
        ({"no_decay": [dict]}, r"no_decay\[0\] must be of a list"),
        ({"no_decay": ["*", nn.Linear(1, 1)]}, r"no_decay\[1\] must be of a list"),
        (
            {"no_decay": ["pos_embd"]},
            r"no_decay\[0\] matches no parameter: 'pos_embd'; the nearest are pos_embed, ",
        ),
        ({"weight_decay": 0}, "weight_decay must be above 0"),
        ({"weight_decay": math.nan}, "weight_decay must be above 0"),
        ({"weight_decay": True}, "weight_decay must be above 0"),
        ({"weight_decay": "0.1"}, "weight_decay must be above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(argument: Any, message: str) -> None:
    """P10: a misspelt pattern would have decay what was to be left out."""
    with pytest.raises(Invalid, match=message):
        left_out(transformer(), **argument)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ([torch.ones(2)], "model is a list, and no torch.nn.Module"),
        (nn.ReLU(), "model has no parameters that are trained"),
        (nn.Linear(2, 2).requires_grad_(False), "model has no parameters that are trained"),
        (nn.LazyLinear(2), "model has weight, which has no shape"),
    ],
)
def test_a_model_without_parameters_is_refused(model: Any, message: str) -> None:
    """P10: there is nothing to train, or not yet."""
    from rheostat.torch import decay_groups

    with pytest.raises(Invalid, match=message):
        decay_groups(model)


def decays(optimizer: Any) -> list[float]:
    return [group["weight_decay"] for group in optimizer.param_groups]


def test_a_run_sets_the_decay_of_those_that_decay(new_run: NewRun) -> None:
    """The other group keeps its zero, whatever the run's weight decay becomes."""
    from rheostat.torch import RheostatLR, decay_groups

    ramp = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 2}
    run = new_run(lr=0.1, weight_decay=ramp)
    optimizer = torch.optim.SGD(decay_groups(transformer(), 0.1), lr=1.0)
    scheduler = RheostatLR(optimizer, run)
    seen = [decays(optimizer)]
    for _ in range(2):
        optimizer.step()
        scheduler.step()
        seen.append(decays(optimizer))
    assert seen == [[0.25, 0.0], [0.375, 0.0], [0.5, 0.0]]
    assert scheduler.fields == [{"lr": "lr", "weight_decay": "weight_decay"}, {"lr": "lr"}]


def test_a_run_may_name_the_groups(new_run: NewRun) -> None:
    """Then each has its own, the zero too."""
    from rheostat.torch import attach, decay_groups

    run = new_run(lr=0.1, weight_decay__decay=0.5, weight_decay__no_decay=0.25)
    optimizer = torch.optim.AdamW(decay_groups(transformer()))
    attach(optimizer, run)
    optimizer.step()
    assert decays(optimizer) == [0.5, 0.25]


def test_a_decay_that_goes_nowhere_is_told(
    new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    """Every group begins with 0, as with an SGD that was told none: the run's is used by nobody."""
    from rheostat.torch import RheostatLR, attach, decay_groups

    run = new_run(lr=0.1, weight_decay=0.5)
    with caplog.at_level(logging.WARNING, "rheostat"):
        RheostatLR(torch.optim.AdamW(decay_groups(transformer())), run)
        RheostatLR(torch.optim.SGD(decay_groups(transformer()), lr=1.0), run, fields={"lr": "lr"})
        RheostatLR(torch.optim.Rprop(transformer().parameters()), run)  # which has no such field
        RheostatLR(torch.optim.SGD(transformer().parameters(), lr=1.0), new_run(lr=0.1))
        assert "weight_decay" not in caplog.text
        attach(torch.optim.SGD(decay_groups(transformer()), lr=1.0), run)
    assert "has weight_decay, and each parameter group begins with a weight decay of 0" in (
        caplog.text
    )


@pytest.mark.parametrize("name", ["GPT2", "Llama", "Bert"])
def test_the_trainer_of_transformers_leaves_out_the_same(name: str) -> None:
    """Its own rule, of names and classes, is another way to say biases and norms."""
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 16}
    config = getattr(transformers, f"{name}Config")(**small, intermediate_size=8, n_embd=8)
    model = getattr(transformers, f"{name}Model")(config)
    kept = {*transformers.Trainer.get_decay_parameter_names(None, model)}
    assert left_out(model) == {name for name, _ in model.named_parameters()} - kept

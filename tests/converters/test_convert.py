"""What `convert` takes and refuses, whatever the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rheostat.errors import FieldError, Invalid
from rheostat.schedules import convert, evaluate


def refusal(*args: Any, **options: Any) -> FieldError:
    """Return the one error of a conversion that is refused."""
    with pytest.raises(Invalid) as caught:
        convert(*args, **options)
    (error,) = caught.value.errors
    return error


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("torch", "PyTorch"),
        ("megatron", "megatron-core"),
        ("composer", "mosaicml-composer"),
        ("ignite", "pytorch-ignite"),
        ("paddle", "paddlepaddle"),
        ("nemo", "nemo_toolkit"),
        ("olmo_core", "ai2-olmo-core"),
        ("lightning_bolts", "lightning-bolts"),
        ("llm_foundry", "llm-foundry"),
        ("dino", "facebookresearch/dino* (git)"),
    ],
)
def test_a_library_goes_by_its_package_s_name_too(name: str, package: str) -> None:
    """Import names and package names are the same library: both know the same schedulers."""
    unknown = [refusal(library, "?", {}) for library in (name, package)]
    assert unknown[0].field == "name"
    assert unknown[0].bound == unknown[1].bound


def test_defaults_are_the_library_s_own() -> None:
    """Of the same scheduler, PyTorch's default is a third for five steps."""
    values = evaluate(convert("torch", "LinearLR", {}, 0.3), np.array([0, 5]))
    assert values.tolist() == pytest.approx([0.1, 0.3], rel=1e-15)


@pytest.mark.parametrize(
    ("library", "name", "params", "context"),
    [
        ("pytorch_warmup", "RAdamWarmup", {"betas": (0.9, 0.99)}, {}),
        ("pytorch_warmup", "UntunedLinearWarmup", {"betas": (0.9, 0.99)}, {}),
        ("pytorch_warmup", "UntunedExponentialWarmup", {"betas": (0.9, 0.99)}, {}),
        ("fastai", "fit_one_cycle", {"moms": (0.9, 0.8, 0.9)}, {"total": 100}),
    ],
)
def test_tuples_may_be_lists(
    library: str, name: str, params: dict[str, tuple[float, ...]], context: dict[str, Any]
) -> None:
    """JSON has lists alone."""
    lists = {key: list(value) for key, value in params.items()}
    found = [convert(library, name, given, 0.1, **context) for given in (params, lists)]
    assert found[0] == found[1]
    with pytest.raises(Invalid):
        convert(library, name, {key: ["0.9", "0.8"] for key in params}, 0.1, **context)


def test_what_was_meant_is_asked() -> None:
    """A library, a scheduler and a parameter that are nearly right are named."""
    assert "mean torch?" in refusal("torhc", "StepLR", {}).message
    assert "mean StepLR?" in refusal("torch", "step_lr", {}).message
    assert "mean step_size?" in refusal("torch", "StepLR", {"stepsize": 1}, 1.0).message


def test_errors_inside_of_schedulers_say_where() -> None:
    """The path of an error leads to the scheduler that it is in."""
    inner = {"name": "CosineAnnealingLR", "params": {"T_max": 0}}
    outer = {"schedulers": [{"name": "StepLR", "params": {"step_size": 1}}, inner]}
    error = refusal("torch", "ChainedScheduler", outer, 0.1)
    assert error.field == "params.schedulers[1].params"
    assert "cosine, whose steps must be at least 1" in error.message


def test_parameters_of_groups_need_the_group() -> None:
    """A list with a value for each group is read for the group that is asked for."""
    params = {"swa_lr": [0.1, 0.2], "anneal_epochs": 0}
    error = refusal("torch", "SWALR", params, 1.0)
    assert (error.field, error.bound) == ("params.swa_lr", "group: a number from 0 to 1")
    assert convert("torch", "SWALR", params, 1.0, group=1).to_json()["value"] == 0.2
    same = {"swa_lr": [0.1, 0.1], "anneal_epochs": 0}
    assert convert("torch", "SWALR", same, 1.0).to_json()["value"] == 0.1


def test_functions_are_refused_wherever_they_are() -> None:
    """A Python function, a recorded one and one of several are refused with the way out."""
    for function in (lambda t: t, {"expr": "t"}, [{"expr": "t"}, {"expr": "2*t"}]):
        error = refusal("torch", "LambdaLR", {"lr_lambda": function}, 0.1)
        assert error.field == "params.lr_lambda"
        assert '{"kind": "table"' in error.message


def test_growth_ends_before_float64_does() -> None:
    """What grows without end in its library holds where it would pass 1e100."""
    definition = convert("torch", "StepLR", {"step_size": 4, "gamma": 2.0}, 0.001)
    values = evaluate(definition, np.array([0, 4, 41, 10**6]))
    assert values[:3].tolist() == [0.001, 0.002, 0.001 * 2**10]
    assert 1e99 < values[3] <= 1e100

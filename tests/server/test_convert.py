"""`POST /v1/convert`: the schedulers of other libraries over the wire."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.converters.configs.test_documents import HOSTILE

COSINE = {
    "library": "torch",
    "name": "CosineAnnealingLR",
    "params": {"T_max": 100},
    "base_value": 0.1,
}


def test_a_scheduler_becomes_a_definition(http: httpx.Client) -> None:
    """The answer is a definition, which `/v1/evaluate` takes and which has the library's values."""
    definition = http.post("/v1/convert", json=COSINE).json()["definition"]
    assert definition["kind"] == "cosine"
    body = {"definition": definition, "steps": [0, 50, 100, 200]}
    values = http.post("/v1/evaluate", json=body).json()["values"]
    assert values == pytest.approx([0.1, 0.05, 0.0, 0.1], rel=1e-12, abs=1e-16)


def test_packages_and_other_fields(http: httpx.Client) -> None:
    """The package's name does too, and the momentum of a scheduler that cycles it."""
    params = {"max_lr": 0.1, "total_steps": 101, "pct_start": 0.5}
    body = {**COSINE, "library": "PyTorch", "name": "OneCycleLR", "params": params}
    definition = http.post("/v1/convert", json={**body, "hyperparameter": "momentum"}).json()
    assert (definition["definition"]["start"], definition["definition"]["peak"]) == (0.95, 0.85)


def test_what_a_library_knows_beside_the_parameters(http: httpx.Client) -> None:
    """Context goes beside the parameters, and a whole record of values can be sent as it is."""
    record = {"id": "fvcore/linear", "version": "0.1.5", "steps": [0], "values": [1.0], "total": 40}
    body = {
        **record,
        "library": "fvcore",
        "name": "LinearParamScheduler",
        "params": {"start_value": 1.0, "end_value": 0.0},
    }
    definition = http.post("/v1/convert", json=body).json()["definition"]
    assert definition == {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 40}


def test_null_is_the_same_as_nothing(http: httpx.Client) -> None:
    """A client may write out every field that the document says may be null."""
    unset = {"config": None, "steps_per_epoch": None, "total": None, "group": None}
    answers = [http.post("/v1/convert", json={**COSINE, **each}).json() for each in ({}, unset)]
    assert answers[0] == answers[1]
    file = {"library": "megatron", "config": "--lr 1e-4 --train-samples 1000"}
    answer = http.post("/v1/convert", json={**file, "name": None, "params": None, "group": None})
    assert answer.json()["parameters"].keys() >= {"lr"}


def test_an_epoch_s_length_is_sent_beside_the_parameters(http: httpx.Client, problem: Any) -> None:
    """A list of MMEngine with two clocks needs steps_per_epoch, and is converted by iterations."""
    warmup = {"name": "LinearLR", "params": {"start_factor": 0.5, "end": 10, "by_epoch": False}}
    stairs = {"name": "MultiStepLR", "params": {"milestones": [3], "gamma": 0.1}}
    params = {"schedulers": [warmup, stairs]}
    body = {"library": "mmengine", "name": "list", "params": params, "base_value": 0.1}
    (error,) = problem(http.post("/v1/convert", json=body), "invalid")["errors"]
    assert error["field"] == "steps_per_epoch"
    answer = http.post("/v1/convert", json={**body, "steps_per_epoch": 20}).json()
    asked = {"definition": answer["definition"], "steps": [0, 59, 60]}
    values = http.post("/v1/evaluate", json=asked).json()["values"]
    assert values == pytest.approx([0.05, 0.1, 0.01], rel=1e-12)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown library": ({"library": "torhc"}, "library"),
    "an unknown scheduler": ({"name": "CosineLR"}, "name"),
    "an unknown parameter": ({"params": {"T_max": 5, "eta_mni": 0}}, "params.eta_mni"),
    "a missing parameter": ({"params": {}}, "params.T_max"),
    "a parameter of a wrong type": ({"params": {"T_max": "5"}}, "params.T_max"),
    "a boolean for a number": ({"params": {"T_max": True}}, "params.T_max"),
    "a parameter out of bounds": ({"params": {"T_max": 0}}, "params"),
    "a huge parameter": ({"params": {"T_max": 2**63}}, "params.T_max"),
    "no base value": ({"base_value": None}, "base_value"),
    "a base value of a wrong type": ({"base_value": "0.1"}, "base_value"),
    "another field": ({"hyperparameter": "momentum"}, "hyperparameter"),
    "unknown context": ({"totl": 5}, "totl"),
    "context of a wrong type": ({"total": 0}, "total"),
    "parameters that are no object": ({"params": [5]}, "params"),
    "a function": (
        {"name": "LambdaLR", "params": {"lr_lambda": {"expr": "0.9**t"}}},
        "params.lr_lambda",
    ),
    "a wrong scheduler inside": (
        {
            "name": "SequentialLR",
            "params": {"schedulers": [{"name": "StepLR", "params": {}}], "milestones": []},
        },
        "params.schedulers[0].params.step_size",
    ),
    "a plateau that would grow": (
        {"name": "ReduceLROnPlateau", "params": {"factor": 1.5}},
        "params",
    ),
    "a maximum of what nobody names": (
        {"name": "ReduceLROnPlateau", "params": {"mode": "max"}},
        "metric",
    ),
    "a metric that no report can have": (
        {"name": "ReduceLROnPlateau", "params": {}, "metric": "val loss"},
        "metric",
    ),
    "a plateau inside of a schedule": (
        {
            "name": "SequentialLR",
            "params": {
                "schedulers": [{"name": "ReduceLROnPlateau", "params": {}}],
                "milestones": [],
            },
        },
        "params.schedulers[0].name",
    ),
    "no name": ({"name": None}, "name"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_requests_are_refused(wrong: str, http: httpx.Client, problem: Any) -> None:
    """P10: what cannot be converted is a 422 that names the field and its bound."""
    change, field = WRONG[wrong]
    document = problem(http.post("/v1/convert", json={**COSINE, **change}), "invalid")
    (error,) = document["errors"]
    assert error["field"] == field
    assert error["message"]
    assert error["bound"]


def test_a_plateau_becomes_a_controller(http: httpx.Client) -> None:
    """What reacts to a metric has a controller in place of a definition, with its own words."""
    params = {"factor": 0.5, "patience": 3, "min_lr": 1e-6}
    body = {**COSINE, "name": "ReduceLROnPlateau", "params": params, "metric": "dev/loss"}
    answer = http.post("/v1/convert", json=body).json()
    assert set(answer) == {"controller"}
    expected = {"kind": "plateau", "reading": "torch", "metric": "dev/loss", "factor": 0.5}
    assert answer["controller"].items() >= {**expected, "patience": 3, "min": 1e-6}.items()


def test_a_plateau_with_a_warm_up_becomes_both(http: httpx.Client) -> None:
    """The plateau of fairseq counts from the end of its warm-up, a definition beside it."""
    params = {"lr": [0.1], "warmup_updates": 10}
    body = {"library": "fairseq", "name": "reduce_lr_on_plateau", "params": params}
    answer = http.post("/v1/convert", json=body).json()
    assert set(answer) == {"controller", "definition"}
    assert answer["controller"]["start"] == 11
    asked = {"definition": answer["definition"], "steps": [0, 5, 10, 99]}
    values = http.post("/v1/evaluate", json=asked).json()["values"]
    assert values == pytest.approx([0.0, 0.05, 0.1, 0.1], rel=1e-12)


def test_schedulers_inside_of_schedulers_have_an_end(http: httpx.Client, problem: Any) -> None:
    """P10: nesting that would take work without bound is refused."""
    spec: dict[str, Any] = {"name": "ExponentialLR", "params": {"gamma": 0.5}}
    for _ in range(10):
        spec = {"name": "ChainedScheduler", "params": {"schedulers": [spec, spec]}}
    body = {"library": "torch", "base_value": 0.1, **spec}
    problem(http.post("/v1/convert", json=body), "invalid")


def test_a_configuration_file_becomes_parameters(http: httpx.Client) -> None:
    """A DeepSpeed file becomes the parameters of a run, which can be created with them."""
    optimizer = {"type": "AdamW", "params": {"lr": 1e-3, "weight_decay": 0.1}}
    steps = {"total_num_steps": 100, "warmup_num_steps": 10}
    scheduler = {"type": "WarmupCosineLR", "params": steps}
    config = {"optimizer": optimizer, "scheduler": scheduler, "fp16": {"enabled": True}}
    answer = http.post("/v1/convert", json={"library": "deepspeed", "config": config}).json()
    assert set(answer) == {"library", "parameters"}
    body = {"parameters": answer["parameters"]}
    http.put("/v1/runs/converted", json=body).raise_for_status()
    values = http.get("/v1/runs/converted/values/11").json()["parameters"]
    assert values["lr"] == pytest.approx(1e-3 * 0.9996955, rel=1e-4)
    assert values["weight_decay"] == 0.1


def test_a_file_s_plateau_stands_beside_its_parameters(http: httpx.Client) -> None:
    """`TrainingArguments` with a plateau become parameters and a controller of a run."""
    config = {"learning_rate": 1e-3, "lr_scheduler_type": "reduce_lr_on_plateau"}
    answer = http.post("/v1/convert", json={"library": "transformers", "config": config}).json()
    assert set(answer) == {"library", "parameters", "controllers"}
    assert answer["parameters"]["lr"] == {"kind": "constant", "value": 1e-3}
    assert answer["controllers"]["plateau"]["metric"] == "eval_loss"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"library": "optax", "config": {}}, "library"),
        ({"library": "megatron", "config": "--lr 0.1"}, "config.train_samples"),
        ({"library": "transformers", "config": {"max_steps": "9"}}, "config.max_steps"),
        ({"library": "deepspeed", "config": {}, "base_value": 1.0}, "base_value"),
        ({"library": "deepspeed", "config": {}, "driver": "x"}, "driver"),
        ({"library": "deepspeed", "config": {}, "steps_per_epoch": 0}, "steps_per_epoch"),
        ({"library": "deepspeed", "config": 5}, "config"),
        ({"library": "deepspeed", "config": {"lr_decay_style": "cosine"}}, "config.lr_decay_style"),
        ({"library": "transformers", "config": {"lr_warmup": 9}}, "config.lr_warmup"),
        ({"library": "transformers", "config": "lr: 1e-3"}, "config"),
    ],
)
def test_wrong_files_are_refused(
    body: dict[str, Any], field: str, http: httpx.Client, problem: Any
) -> None:
    """P10: what is wrong in a configuration file is named by its path."""
    document = problem(http.post("/v1/convert", json=body), "invalid")
    assert any(error["field"].startswith(field) for error in document["errors"])


def test_the_text_of_a_file_becomes_a_run(http: httpx.Client) -> None:
    """A file is told by its fields, and its run is created with what the answer says."""
    text = "learning_rate: 1e-3\nlr_scheduler_type: cosine\nmax_steps: 100\nweight_decay: 0.1\n"
    text += "warmup_ratio: 0.0\n"
    answer = http.post("/v1/convert", json={"config": text, "file": "sft.yaml"}).json()
    assert (answer.pop("library"), answer["total"]) == ("transformers", 100)
    assert answer == {
        "parameters": {
            "lr": {"kind": "cosine", "start": 1e-3, "end": 0.0, "steps": 100, "periodic": True},
            "weight_decay": {"kind": "constant", "value": 0.1},
        },
        "total": 100,
    }
    http.put("/v1/runs/whole-run", json=answer).raise_for_status()
    words = text.replace("_", "-").replace(": ", " ").split("\n")
    line = [word for flag in words if flag for word in f"--{flag}".split()]
    asked = {"library": "transformers", "config": line, "total": 100}
    assert http.post("/v1/convert", json=asked).json()["parameters"] == answer["parameters"]


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused(case: str, http: httpx.Client) -> None:
    """P10: whatever a file holds, the answer is a refusal, which names the field if it is read."""
    name, text = HOSTILE[case]
    for body in ({"config": text, "file": name}, {"library": "deepspeed", "config": text}):
        kind = {"Content-Type": "application/json"}
        sent = json.dumps(body)  # half a surrogate is no UTF-8
        answer = http.post("/v1/convert", content=sent, headers=kind)
        assert answer.status_code in {400, 413, 422}
        if answer.json()["type"].endswith(":invalid"):
            assert all(error["field"].startswith("config") for error in answer.json()["errors"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"config": {"learning_rate": 1e-3}}, "library"),
        ({"config": "learning_rate: 1e-3"}, "library"),
        ({"config": {"lr_scheduler_type": "cosine", "zero_optimization": {}}}, "library"),
        ({"config": "lr: 1", "file": "x.json"}, "config"),
        ({"config": "lr: 1", "file": 10_001 * "x"}, "file"),
        ({"config": "lr: 1", "file": 5}, "file"),
        ({"name": "StepLR"}, "library"),
        ({"library": "torch", "name": "StepLR", "file": "x.yaml"}, "file"),
    ],
)
def test_a_file_that_tells_no_library_asks_for_it(
    body: dict[str, Any], field: str, http: httpx.Client, problem: Any
) -> None:
    """Where fields of no library are in a file, or of several, or no file is, it is asked for."""
    document = problem(http.post("/v1/convert", json=body), "invalid")
    assert {error["field"] for error in document["errors"]} == {field}


def test_parameters_may_be_left_out_where_there_are_none(http: httpx.Client) -> None:
    """What is missing is named by its own name."""
    body = {"library": "torch", "name": "ExponentialLR", "base_value": 0.1}
    answer = http.post("/v1/convert", json=body)
    assert [error["field"] for error in answer.json()["errors"]] == ["params.gamma"]
    body = {"library": "pytorch_warmup", "name": "RAdamWarmup", "base_value": 0.1}
    assert http.post("/v1/convert", json=body).status_code == 200

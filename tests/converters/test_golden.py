"""
Every record of a library's own values, against the definition that its scheduler becomes.

``golden/<library>.jsonl`` holds a closed collection: its records are never changed, and counted
here. ``further/<library>.jsonl`` holds all others, and new ones. ``exceptions/<library>.json``
holds, by record, where the library's values are not the ones to give, and why:

- ``{"reason", "rtol", "atol"}``: its values are less exact; atol is relative to their peak;
- ``{"reason", "from", "to"}``: its values differ at these steps, the last one excluded;
- ``{"reason", "stride"}``: it counts calls of the scheduler, each of so many steps;
- ``{"reason", "refused": true}``: the converter refuses what the library takes;
- ``{"reason", "accepted": true}``: the converter takes what the library refuses at once.
"""

from __future__ import annotations

import json
from collections import Counter
from math import inf
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.converters.records import CASES, FOLDER, GIVEN, Case, asked

from rheostat.converters import registry
from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

COUNTS = {
    "allennlp": 3,
    "axolotl": 6,
    "big_vision": 3,
    "composer": 18,
    "deepspeed": 10,
    "detectron2": 2,
    "dino": 5,
    "fairseq": 13,
    "fastai": 7,
    "fvcore": 10,
    "ignite": 9,
    "keras": 37,
    "lightning-bolts": 2,
    "litgpt": 1,
    "llm-foundry": 1,
    "maxtext": 2,
    "megatron": 18,
    "mmengine": 22,
    "nanotron": 2,
    "nemo": 14,
    "olmo_core": 12,
    "optax": 41,
    "paddle": 28,
    "pytorch_optimizer": 8,
    "pytorch_warmup": 4,
    "thinc": 5,
    "timm": 27,
    "torch": 115,
    "torchtitan": 3,
    "transformers": 36,
}
"""How many records each library has in the closed collection."""
ACCUMULATING = {
    "mmengine": None,
    "torch": {
        "ChainedScheduler",
        "ConstantLR",
        "CosineAnnealingLR",
        "ExponentialLR",
        "LinearLR",
        "MultiStepLR",
        "PolynomialLR",
        "SequentialLR",
        "StepLR",
        "SWALR",
    },
    "paddle": {"CosineAnnealingDecay", "LinearLR"},
}
"""The schedulers that compute each value from the one before it; None: all of the library."""

EXCEPTIONS: dict[str, Any] = {
    key: value
    for path in sorted((FOLDER / "exceptions").glob("*.json"))
    for key, value in json.loads(path.read_text()).items()
}


def _holds_a_function(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"expr"} or any(map(_holds_a_function, value.values()))
    return isinstance(value, list) and any(map(_holds_a_function, value))


def _outcome(case: Case) -> str:
    exception = EXCEPTIONS.get(case["id"], {})
    if "metrics" in case:
        return "metric-driven"
    at_once = case.get("raises", {}).get("at_step") == "construct"
    if exception.get("refused") or (at_once and not exception.get("accepted")):
        return "refused"
    return "function" if _holds_a_function(case["params"]) else "converted"


def _with(outcome: str) -> pytest.MarkDecorator:
    cases = [case for case in CASES if _outcome(case) == outcome]
    return pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])


def _convert(case: Case) -> Any:
    return convert(case["file"], case["name"], **asked(case))


def _errors(case: Case, exception: Case) -> NDArray[np.float64]:
    """Return by how much each value is further off than is allowed, or 0."""
    steps, expected = np.array(case["steps"], dtype=np.int64), np.array(case["values"])
    names = ACCUMULATING.get(case["file"], set())
    loose = names is None or case["name"] in names
    rtol = exception.get("rtol", 1e-9 if loose else 1e-12)
    atol = exception.get("atol", 1e-12 if loose else 1e-15)
    peak = np.abs(expected).max(initial=0.0)
    places = steps * exception.get("stride", 1)
    off = np.abs(evaluate(_convert(case), places) - expected)
    excess: NDArray[np.float64] = np.maximum(off - (rtol * np.abs(expected) + atol * peak), 0.0)
    if "from" in exception or "to" in exception:
        excess[(steps >= exception.get("from", 0)) & (steps < exception.get("to", inf))] = 0.0
    return excess


@_with("converted")
def test_a_converted_scheduler_gives_its_library_s_values(case: Case) -> None:
    """A definition has the library's own values at every step of the record."""
    excess = _errors(case, EXCEPTIONS.get(case["id"], {}))
    wrong = [case["steps"][i] for i in np.flatnonzero(excess)]
    assert not wrong, f"{_convert(case).to_json()} differs at steps {wrong[:10]}"


@_with("refused")
def test_what_a_library_refuses_is_refused(case: Case) -> None:
    """A configuration that the library refuses is refused, naming the field."""
    with pytest.raises(Invalid) as caught:
        _convert(case)
    assert all(error.field for error in caught.value.errors)


@_with("function")
def test_a_function_is_refused_with_the_way_out(case: Case) -> None:
    """A scheduler with a function inside is refused; the answer says to tabulate it."""
    with pytest.raises(Invalid, match="tabulate it"):
        _convert(case)


@_with("metric-driven")
def test_what_reacts_to_a_metric_has_no_definition(case: Case) -> None:
    """What reacts to metrics is refused where a definition is asked for."""
    with pytest.raises(Invalid, match=r"reacts to a metric|raises the learning rate"):
        _convert(case)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_has_a_reason_and_is_needed(name: str) -> None:
    """Each exception names a record and a reason, and the record fails without it."""
    (case,) = [case for case in CASES if case["id"] == name]
    exception = EXCEPTIONS[name]
    assert len(exception["reason"]) > 20
    if not {"refused", "accepted"} & set(exception):
        assert _errors(case, {}).any()


def test_no_record_is_left_out() -> None:
    """Every record of the closed collection is here, and no name of a record comes twice."""
    counts = Counter(case["file"] for case in GIVEN)
    assert counts == COUNTS, "new records go to tests/converters/golden/further"
    assert len({case["id"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("name", sorted({case["file"] for case in CASES}))
def test_records_are_of_a_library_that_is_registered(name: str) -> None:
    """A file of records is named as a library is called."""
    place = "service/rheostat/converters/registry.py"
    assert registry.find(name), f"{name}.jsonl has records, and {place} no library of this name"


def test_every_record_says_where_its_values_are_from() -> None:
    """A record names the version, and how its values were made."""
    silent = [
        case["id"]
        for case in CASES
        if not (case.get("version") and (case.get("source") or case.get("driver")))
    ]
    assert not silent, f"no version, or neither source nor driver, in the records {silent}"

"""
Plateaus of other libraries behind a gate, on three ranks: each drop at the call of the library.

The records are the libraries' own values, and the metrics that they were given. A gate at every
step makes a run wait for its report, as a training does that calls its scheduler after evaluating.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, islice
from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.converters.records import GIVEN, Case, asked
from tests.fleet.ranks import at_gates, training

CHOSEN = {"torch": 7, "keras": 7, "optax": 5, "paddle": 5, "mmengine": 5, "timm": 1}
"""How many records of each library: 30."""
SHARED = ["optax/plateau/04_neg", "paddle/plateau/06_nan"]
"""That of paddle falls at other calls if a mean is off by an ulp."""
Measured = list[list[str | float]]
"""By rank, what it reports after each step: all of them, or the first alone."""


def falls(case: Case) -> list[int]:
    """Return at which calls, from 1, the library's own value fell."""
    return _falls([case["base_value"], *case["values"]])


def _falls(row: list[float]) -> list[int]:
    return [call for call in range(1, len(row)) if row[call] < row[call - 1]]


PLATEAUS = [case for case in GIVEN if case["file"] in CHOSEN and "metrics" in case and falls(case)]


def chosen() -> list[Case]:
    """Return the first records of each library that fall, but for those with a warm-up."""
    plain = [case for case in PLATEAUS if not case["params"].get("warmup_t")]
    libraries = groupby(plain, lambda case: str(case["file"]))
    return [case for name, cases in libraries for case in islice(cases, CHOSEN[name])]


def of_one_rank(case: Case) -> Measured:
    """Have the first rank report a record's metrics."""
    return [case["metrics"], [], []]


def of_four(case: Case) -> Measured:
    """Have each of four ranks report a part, whose mean is the record's metric to the last bit."""
    rows: Measured = [[], [], [], []]
    for call, metric in enumerate(map(float, case["metrics"])):
        parts = [metric / 2, metric / 2, metric, metric * 2]
        for rank, row in enumerate(rows):
            row.append(str(parts[(rank + call) % 4]))
    return rows


Train = Callable[..., list[dict[str, list[float]]]]


@pytest.fixture
def train(http: httpx.Client) -> Train:
    """Return what trains by records, and returns what each rank read, by run."""

    def trained(
        cases: dict[str, Case], measured: Callable[[Case], Measured], **fields: Any
    ) -> list[dict[str, list[float]]]:
        for name, case in cases.items():
            body = {"library": case["file"], "name": case["name"], **asked(case)}
            answer = http.post("/v1/convert", json=body).raise_for_status().json()
            assert answer.keys() == {"controller"}
            run = {
                "name": name,
                "parameters": {"lr": {"kind": "constant", "value": case["base_value"]}},
                "controllers": {"own": {**answer["controller"], "gate": {"every": 1}, **fields}},
            }
            http.post("/v1/runs", json=run).raise_for_status()
        plan = {name: measured(case) for name, case in cases.items()}
        number = len(next(iter(plan.values())))
        with training(number, at_gates, str(http.base_url), plan) as ranks:
            return ranks.results()

    return trained


def assert_library_s_own(read: list[list[float]], case: Case) -> None:
    """
    Have all ranks read one thing, which falls at the library's calls, to the library's values.

    The library rounds after each fall and the service once for each factor, so that each fall may
    part them by an ulp, and the floor by another one.
    """
    assert all(values == read[0] for values in read)
    assert _falls(read[0]) == falls(case)
    near = 2.0**-52 * (len(falls(case)) + 1)
    assert read[0] == pytest.approx([case["base_value"], *case["values"]], rel=near, abs=0)


@pytest.mark.long
def test_drops_are_at_the_very_call_on_every_rank(train: Train, new_name: Names) -> None:
    """P3, P11: in 30 runs three ranks read what the library's own scheduler makes of a metric."""
    cases = {new_name(): case for case in chosen()}
    found = train(cases, of_one_rank)
    for name, case in cases.items():
        assert_library_s_own([rank[name] for rank in found], case)


@pytest.mark.long
def test_the_mean_of_all_ranks_is_what_falls(train: Train, new_name: Names) -> None:
    """P11: a gate waits for the reports of all, whoever comes last, and their mean decides."""
    cases = {new_name(): case for case in PLATEAUS if case["id"] in SHARED}
    found = train(cases, of_four, sources={"expect": 4, "reduce": "mean"})
    for name, case in cases.items():
        assert_library_s_own([rank[name] for rank in found], case)


def test_the_records_are_worth_it() -> None:
    """They are 30, of both modes, with cool-downs, floors that are met, NaN and infinities."""
    cases = chosen()
    params = [case["params"] for case in cases]
    assert len(cases) == 30
    assert len({case["file"] for case in cases}) == len(CHOSEN)
    assert {"max", "min"} <= {each.get("mode") for each in params}
    assert any(each.get("cooldown") for each in params)
    floors = [each.get("min_lr", each.get("min_value", each.get("lr_min"))) for each in params]
    assert sum(min(case["values"]) == low for case, low in zip(cases, floors, strict=True)) > 2
    assert {"nan", "inf"} <= {metric for case in cases for metric in map(str, case["metrics"])}
    assert len([case for case in PLATEAUS if case["id"] in SHARED]) == len(SHARED)

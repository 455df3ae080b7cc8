"""Trainings of the literature: their files, their published numbers, the page that shows them."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document
from rheostat.schedules import evaluate

ROOT = Path(__file__).parents[2]


def _gallery() -> Any:
    spec = spec_from_file_location("gallery", ROOT / "examples" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(ROOT / "examples"))  # where its picture of a plateau is drawn
    module = module_from_spec(spec)
    sys.modules["gallery"] = module
    spec.loader.exec_module(module)
    return module


GALLERY = _gallery()
TRAININGS = {training.name: training for training in GALLERY.trainings()}
NUMBERS = [
    pytest.param(name, number, planned, id=f"{name}-{number.parameter}-{number.step}")
    for name, training in TRAININGS.items()
    for numbers, planned in ((training.planned, True), (training.trained, False))
    for number in numbers
]
CONFIGURED = list(GALLERY.configured.every())
CHANGED = [name for name, training in TRAININGS.items() if training.changes]


def consumed(name: str, iterations: int) -> list[int]:
    """Return how many samples a client has read before each iteration, by adding up batches."""
    training = TRAININGS[name]
    line = training.body["parameters"]["batch_size"]["of"]
    cells = np.arange(0, line["steps"] + 16, 16, dtype=np.int64)
    batches = training.values("batch_size", cells, planned=True).astype(np.int64).tolist()
    counts = [0]
    for _ in range(iterations):
        counts.append(counts[-1] + batches[min(counts[-1] // 16, len(batches) - 1)])
    return counts


@pytest.mark.parametrize(("name", "number", "planned"), NUMBERS)
def test_a_published_number_is_served(name: str, number: Any, planned: bool) -> None:  # noqa: FBT001
    """A run has its training's published values, to all the digits that were printed."""
    value = TRAININGS[name].value(number.parameter, number.step, planned=planned)
    assert number.agrees(value), f"{number.printed} was published, {value!r} is served"


@pytest.mark.parametrize("training", CONFIGURED, ids=lambda training: training.name)
def test_a_configuration_file_becomes_its_training(training: Any) -> None:
    """The run of a project's file has the values of the formula in the project's own code."""
    values = list(training.values)
    assert len({value.step for value in values}) >= 5
    for parameter, step, value in values:
        ours = evaluate(training.run.parameters[parameter], step)
        assert ours == pytest.approx(value, rel=1e-9, abs=1e-18), (parameter, step)


@pytest.mark.parametrize("training", CONFIGURED, ids=lambda training: training.name)
def test_a_configuration_file_tells_whose_it_is(training: Any) -> None:
    """Its library is told by its fields, or asked for: never taken to be another one."""
    told = library_of(document(training.file.read_text(), name=training.file.name))
    assert told.library in {training.known["library"], None}
    assert told.library or told.why


def test_a_number_that_is_off_does_not_agree() -> None:
    """The comparison sees one unit in the last digit that was printed."""
    number = GALLERY.Number("lr", 0, "5.969E-05")
    assert number.agrees(5.9690e-5)
    assert not number.agrees(5.9699e-5)
    assert not GALLERY.Number("lr", 0, "0").agrees(1e-9)


def test_every_file_is_in_the_gallery() -> None:
    """There is no run without numbers, and no change without a run."""
    names = {path.name for path in GALLERY.FOLDER.glob("*.json")}
    bodies = {f"{name}.json" for name in TRAININGS}
    changes = {f"{name}.changes.json" for name in CHANGED}
    assert names == bodies | changes | {"published.json"}
    assert all(name == training.body["name"] for name, training in TRAININGS.items())


def test_the_page_is_up_to_date() -> None:
    """`docs/gallery.md` and its plots are what `python examples/gallery.py docs` writes."""
    assert (ROOT / "docs" / "gallery.md").read_text() == GALLERY.page()
    plots = {path.name: path.read_text() for path in (ROOT / "docs" / "gallery").glob("*.svg")}
    composed = GALLERY.composed
    assert plots == {
        composed.FILE: composed.picture(composed.course()),
        **dict(plot for training in TRAININGS.values() for plot in GALLERY.plots(training)),
        **dict(plot for each in CONFIGURED for plot in GALLERY.configured.plots(each)),
    }


def test_the_plateau_of_the_gallery_falls_where_its_training_was_cut() -> None:
    """Of the reports that were made, those of steps 1,200 and 2,000 decided; the cuts are 0.3."""
    found = GALLERY.composed.course().simulation
    places = [(each["step"], each["effective"], each["factor"]) for each in found.decisions]
    assert places == [(1200, 1400, 0.3), (2000, 2200, 0.3)]


def test_bloom_is_replayed_by_adding_up_the_batches_that_it_reads() -> None:
    """A client of BLOOM-176B arrives at the published sample counts of eight iterations exactly."""
    counts = consumed("bloom-176b", 94_769)
    published = {12_695: 9_841_584, 31_214: 47_768_496, 31_222: 47_784_880, 31_250: 47_842_224}
    published |= {42_780: 71_455_664, 45_000: 76_002_224, 94_768: 177_927_088}
    published |= {94_769: 177_929_136}
    assert {iteration: counts[iteration] for iteration in published} == published
    assert np.diff(counts).tolist().index(2048) == 12_659 - 1


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("bloom-104b", {12_000: 1_519_744, 14_000: 3_014_320, 16_800: 7_594_208}),
        ("bloom-13b", {29_020: 10_698_064, 33_240: 15_019_344, 43_680: 25_709_904}),
    ],
)
def test_the_prequels_of_bloom_are_replayed(name: str, published: dict[int, int]) -> None:
    """Their batch ramps give their published sample counts exactly."""
    counts = consumed(name, max(published))
    assert {iteration: counts[iteration] for iteration in published} == published


@pytest.mark.parametrize(
    ("samples", "lag", "logged"),
    [
        (10_698_064, 19_000, "9.850E-05"),
        (15_019_344, 39_300, "9.702E-05"),
        (25_709_904, 61_300, "9.135E-05"),
    ],
)
def test_a_scheduler_that_lags_is_read_by_its_own_counter(
    samples: int, lag: int, logged: str
) -> None:
    """BLOOM-13B's scheduler did not count skipped steps: at its own count the logs are right."""
    number = GALLERY.Number("lr", samples, logged)
    training = TRAININGS["bloom-13b"]
    assert not number.agrees(training.value("lr", samples))
    assert number.agrees(training.value("lr", samples - lag))


def test_an_extension_changes_nothing_before_it() -> None:
    """OLMo 3: up to the step of the extension both curves have the same bits, then they part."""
    training = TRAININGS["olmo3-7b"]
    steps = np.arange(597_000, 597_048, dtype=np.int64) * training.spec.resolution
    before = training.values("lr", steps, planned=True)
    after = training.values("lr", steps, planned=False)
    assert (before == after).tolist() == [True] * 47 + [False]


def test_knots_may_lie_between_two_steps() -> None:
    """DAWNBench: half-way through an epoch of 97 steps, 0.2/512 is in force on both sides."""
    training = TRAININGS["cifar10-fast"]
    rising = [training.value("lr", step) for step in (242, 243)]
    falling = [training.value("lr", step) for step in (1406, 1407)]
    assert sum(rising) / 2 == pytest.approx(0.2 / 512, rel=1e-14)
    assert sum(falling) / 2 == pytest.approx(0.2 / 512, rel=1e-14)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_service_takes_every_training(name: str, http: httpx.Client) -> None:
    """The service creates the run, takes its changes, and serves the same values."""
    training = TRAININGS[name]
    http.delete(f"/v1/runs/{name}")
    assert http.post("/v1/runs", json=training.body).status_code == 201
    for change in training.changes:
        answer = http.post(f"/v1/runs/{name}/revisions", json=change)
        assert answer.status_code == 201, answer.text
    for number in training.trained or training.planned:
        cell = number.step - number.step % training.spec.resolution
        served = http.get(f"/v1/runs/{name}/values/{cell}").json()["parameters"]
        assert served[number.parameter] == training.value(number.parameter, number.step)


def test_four_series_are_read_in_one_call(http: httpx.Client) -> None:
    """DINO's learning rate, weight decay, momentum and temperature come in one settling read."""
    training = TRAININGS["dino-vit-s16"]
    body = {**training.body, "name": "dino-in-one-call"}
    run = http.put("/v1/runs/dino-in-one-call", json=body).json()
    url = f"/v1/runs/{run['id']}/values"
    http.post(f"/v1/runs/{run['id']}/join", json={"start": 125_100}).raise_for_status()
    query: dict[str, str | int] = {"generation": 1, "start": 125_100, "count": 1}
    parameters = http.get(url, params=query).json()["parameters"]
    expected = {name: [training.value(name, 125_100)] for name in parameters}
    assert parameters == expected
    assert len(parameters) == 4

"""Pictures: that they are drawn whatever the values, and that nothing is hidden."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from PIL import Image

from rheostat.curve_files import Annotations, Mark
from rheostat.curve_pictures import coordinate, draw
from rheostat.errors import TooLarge
from rheostat.limits import MAX_PANELS

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1000}
EXTREMES = {
    "one value": ([5], [1.0]),
    "nothing but zero": ([0, 1], [0.0, 0.0]),
    "the whole range of float64": ([0, 1, 2], [1.7e308, -1.7e308, 0.0]),
    "positive to the limit": ([0, 1], [1.7e308, 1.0]),
    "the smallest numbers": ([0, 1], [5e-324, 1e-323]),
    "six hundred decades": ([0, 1], [5e-324, 1e300]),
    "a constant near the limit": ([0, 1], [1.7e308, 1.7e308]),
    "neighbours": ([0, 1], [1.0, 1.0 + 2**-52]),
    "the last two steps": ([2**53 - 2, 2**53 - 1], [1.0, 2.0]),
    "all steps": ([0, 2**53 - 1], [1e-5, 1.0]),
    "steps out of order, one twice": ([3, 3, 1], [1.0, 2.0, 3.0]),
}


def pixels(picture: bytes) -> np.ndarray[Any, Any]:
    """Return a PNG's colours, lines × columns × RGB."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)


def blue(picture: bytes) -> np.ndarray[Any, Any]:
    """Say which pixels have the colour of the curve."""
    red, _, blue = np.moveaxis(pixels(picture), 2, 0)
    return np.asarray((blue - red > 120) & (red < 90))


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize(("steps", "values"), EXTREMES.values(), ids=EXTREMES.keys())
def test_whatever_is_finite_is_drawn(kind: str, steps: list[int], values: list[float]) -> None:
    """P10: no finite values, however extreme, make drawing fail or warn."""
    picture = draw(kind, np.array(steps), {"lr": np.array(values)}, Annotations("extreme"))
    assert picture.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_the_http_answer_is_the_picture(http: httpx.Client) -> None:
    """Both kinds of pictures come over HTTP, with their media types."""
    body = {"definition": COSINE, "stop": 1000}
    png = http.post("/v1/evaluate?format=png", json=body)
    svg = http.post("/v1/evaluate", json=body, headers={"accept": "image/svg+xml"})
    assert png.headers["content-type"] == "image/png"
    assert blue(png.content).any()
    assert svg.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(svg.text).tag.endswith("svg")  # noqa: S314 - our own document


def test_the_curve_is_where_its_values_are() -> None:
    """A falling line runs from the upper left to the lower right of its panel."""
    line = draw("png", np.arange(1000), {"lr": np.linspace(1, 0, 1000)}, Annotations())
    rows, columns = np.nonzero(blue(line))
    assert np.corrcoef(rows, columns)[0, 1] > 0.99


def test_a_single_outlier_in_a_million_is_seen() -> None:
    """Two steps in a million that stick out reach as far in the picture as their values."""
    values = np.full(1_000_000, 0.5)
    values[654_321], values[123_456] = 1.0, 0.0
    rows, columns = np.nonzero(blue(draw("png", np.arange(10**6), {"lr": values}, Annotations())))
    assert np.ptp(rows) > 350
    assert columns[rows.argmin()] > columns[rows.argmax()]


def test_past_and_future_look_different() -> None:
    """What is settled stands on a shaded ground, and what is open is dashed."""
    steps, values = np.arange(1000), np.full(1000, 0.9)
    picture = draw("png", steps, {"lr": values}, Annotations(settled_until=500))
    row = np.argmax(blue(picture).sum(axis=1))
    columns = np.nonzero(blue(picture)[row])[0]
    middle = (columns[0] + columns[-1]) // 2
    past, future = blue(picture)[row, columns[0] : middle - 20], blue(picture)[row, middle + 20 :]
    assert past.all()
    assert not future[: columns[-1] - middle - 20].all()
    ground = pixels(picture)[row - 40]
    assert tuple(ground[middle - 40]) != (255, 255, 255) == tuple(ground[middle + 40])


def test_revisions_are_marked_and_named() -> None:
    """A mark is labelled, whatever characters its label has; one outside the picture is not."""
    marks = (Mark(40, "2 ann: $x$ _^{ 火"), Mark(80, "3 bob"), Mark(4000, "4 eve"))
    look = Annotations("gpt_7b $1", "tokens", marks)
    svg = draw("svg", np.arange(100), {"weight_decay": np.ones(100)}, look).decode()
    comments = re.findall(r"<!-- (.*?) -->", svg)
    assert {"gpt_7b $1", "tokens", "weight_decay", "2 ann: $x$ _^{ □", "3 bob"} <= {*comments}
    assert "4 eve" not in comments


@pytest.mark.parametrize(("settled", "told"), [(0, False), (3, True), (30, True), (100, True)])
def test_what_is_settled_is_told(settled: int, *, told: bool) -> None:
    """The ground has its words, beside it where it is narrow; where nothing is settled, none."""
    steps, look = np.arange(100), Annotations(settled_until=settled)
    picture = {kind: draw(kind, steps, {"lr": np.ones(100)}, look) for kind in ("svg", "png")}
    assert (b"<!-- settled: workers have it -->" in picture["svg"]) == told
    ground = (pixels(picture["png"]) == (0xE8, 0xF0, 0xE4)).all(axis=2).sum(axis=1).max()
    assert ground == pytest.approx(1300 * settled / 100, abs=60 * (settled > 0))


def test_many_revisions_stay_apart() -> None:
    """A thousand marks on a tenth of the axis are thin lines with room between them."""
    marks = tuple(Mark(step, f"r{step}") for step in range(5000, 6000))
    alike = [Mark(7000, f"r{number}") for number in range(50)]
    look = Annotations(marks=(*marks, *alike, Mark(8000, "r1"), Mark(8000, "r2")))
    columns = {"lr": np.ones(10_000)}
    row = pixels(draw("png", np.arange(10_000), columns, look))[150]
    red = np.flatnonzero(row[:, 0] - row[:, 2] > 30)
    assert 30 < len(red) < 90
    comments = re.findall(r"<!-- (.*?) -->", draw("svg", np.arange(10_000), columns, look).decode())
    assert len([text for text in comments if text.startswith("r")]) < 10
    assert {"r0 … r49", "r1, r2"} <= {*comments}


def test_one_step_has_one_tick() -> None:
    """The axis of a single step names that step, once."""
    svg = draw("svg", np.array([3]), {"lr": np.array([0.1])}, Annotations()).decode()
    assert re.findall(r"<!-- (.*?) -->", svg)[:2] == ["3", "step"]


def test_a_plan_s_picture_marks_what_is_in_its_range(
    http: httpx.Client, new_name: Callable[[], str]
) -> None:
    """A revision that was in force before the range has no mark in it."""
    name = new_name()
    http.post("/v1/runs", json={"name": name, "parameters": {"lr": COSINE}}).raise_for_status()
    for step in (130, 600):
        body = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "effective": step}
        http.post(f"/v1/runs/{name}/revisions", json=body).raise_for_status()
    svg = http.get(f"/v1/runs/{name}/plan?format=svg&start=200").text
    assert re.findall(r"<!-- (revision .*?) -->", svg) == ["revision 3"]


def test_wide_positive_values_are_on_a_logarithmic_scale() -> None:
    """A decay over six decades is a straight line, for its axis is logarithmic."""
    values = np.geomspace(1, 1e-6, 1000)
    rows, columns = np.nonzero(blue(draw("png", np.arange(1000), {"lr": values}, Annotations())))
    assert np.corrcoef(rows, columns)[0, 1] > 0.99


def test_parameters_are_stacked_up_to_a_limit() -> None:
    """Each parameter has a panel of its own; too many are refused rather than drawn too small."""
    steps = np.arange(10)
    columns = {f"p{number}": np.ones(10) for number in range(MAX_PANELS + 1)}
    one, three = (
        pixels(draw("png", steps, dict([*columns.items()][:number]), Annotations()))
        for number in (1, 3)
    )
    assert three.shape[0] > 2 * one.shape[0]
    with pytest.raises(TooLarge):
        draw("png", steps, columns, Annotations())


def test_the_same_curve_is_the_same_svg() -> None:
    """A picture depends on nothing but what it shows: documents can be compared."""
    columns = {"lr": np.linspace(0, 1, 50)}
    assert draw("svg", np.arange(50), columns, Annotations()) == draw(
        "svg", np.arange(50), columns, Annotations()
    )


@pytest.mark.parametrize(
    ("step", "span", "text"),
    [
        (12_000, 20_000, "12,000"),
        (5_000_010, 50, "5,000,010"),
        (1_500_000, 3_000_000, "1.5M"),
        (4.3e12, 5e12, "4.3T"),
        (4.305e12, 1e10, "4,305B"),
        (0, 5e12, "0"),
    ],
)
def test_coordinates_are_short_but_distinct(step: float, span: float, text: str) -> None:
    """The ticks of an axis are as short as its span allows."""
    assert coordinate(step, span) == text


def test_matplotlib_is_loaded_for_pictures_alone(run_python: Any) -> None:
    """A server that draws nothing does not pay for matplotlib."""
    loaded = run_python("import sys, rheostat.server.app; print('matplotlib' in sys.modules)")
    assert loaded == "False\n"
    assert "matplotlib" in sys.modules

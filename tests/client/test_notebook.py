"""What a notebook shows: pictures that the service drew, tables, and never an error."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from rheostat import AsyncClient, Client, scale
from rheostat.client.notebook import LISTED, Picture, Planned
from rheostat.errors import Invalid, UnknownRun

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
SPEC: dict[str, Any] = {"parameters": {"lr": LINE, "wd": 0.1}, "total": 1000}


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


def test_a_run_is_plotted(real: Client, new_name: Callable[[], str], tmp_path: Path) -> None:
    """The picture is an SVG that shows itself, with the message of each revision; or a file."""
    name = new_name()
    run = real.run(name, create=SPEC)
    run.value("lr", 0)
    run.change({"lr": scale(0.5)}, message="loss <spike>")
    picture = run.plot()
    [shown] = [text for kind, text in picture._repr_mimebundle_().items() if "svg" in kind]
    assert ET.fromstring(shown).tag.endswith("svg")  # noqa: S314 - our own document
    assert picture._repr_svg_() == shown
    real.control(name).plot(tmp_path / "plan.svg", start=0, stop=500)
    assert ET.parse(tmp_path / "plan.svg").getroot().tag.endswith("svg")  # noqa: S314 - likewise
    drawn = run.plot(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").read_bytes() == drawn.data
    assert drawn.data.startswith(b"\x89PNG")
    assert base64.b64decode(drawn._repr_mimebundle_()["image/png"]) == drawn.data
    assert drawn._repr_svg_() is None


def test_a_file_that_is_no_picture_is_refused(
    real: Client, new_name: Callable[[], str], tmp_path: Path
) -> None:
    """By its ending, before anything is asked for; and a picture is no other one."""
    run = real.run(new_name(), create=SPEC)
    for path in (tmp_path / "plan.gif", tmp_path / "plan", "svg/"):
        with pytest.raises(Invalid, match=r"\.svg or \.png"):
            run.plot(path)
    with pytest.raises(Invalid, match="image/svg"):
        run.plot().save(tmp_path / "plan.png")
    with pytest.raises(UnknownRun):
        real.control("nobody-made-it").plot()


def test_runs_clients_and_plans_show_themselves(real: Client, new_name: Callable[[], str]) -> None:
    """A run with its picture, a client with its runs, a plan with its revisions; all as text."""
    name = new_name()
    run = real.run(name, create=SPEC)
    run.change({"lr": scale(0.5)}, effective=10, message="<b>bold</b>")
    for shown in (run._repr_html_(), real.control(name)._repr_html_()):
        assert "data:image/svg+xml;base64," in shown
        assert name in shown
    first = real.runs(limit=LISTED)
    shown = real._repr_html_()
    assert all(each["name"] in shown for each in first)
    assert ("and more" in shown) == (len(real.runs(limit=LISTED + 1)) > LISTED)
    assert real.settings.address in repr(real)
    assert repr(run) == f"<run {name!r} of {real.settings.address}: training, generation 1, lr, wd>"
    plan: Any = run.plan(points=10)
    assert isinstance(plan, Planned)
    assert plan == dict(plan)
    assert "&lt;b&gt;bold" in plan._repr_html_()
    assert "<b>" not in plan._repr_html_()
    assert (
        Planned({"name": "<i>"})._repr_html_()
        == "<pre>{&#x27;name&#x27;: &#x27;&lt;i&gt;&#x27;}</pre>"
    )


def test_showing_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where the service is away or answers nonsense, its address and the trouble are shown."""
    answers: list[Any] = [httpx.Response(404), httpx.Response(200, json={"items": [{}]})]
    answers += [httpx.ConnectError("<away>")]
    for answer in answers:

        def handle(_: httpx.Request, answer: Any = answer) -> httpx.Response:
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, httpx.Response)
            return answer

        with Client("http://test", transport=httpx.MockTransport(handle), retries=0) as client:
            for shown in (client._repr_html_(), client.control("gpt")._repr_html_()):
                assert "http://test" in shown
                assert "<away>" not in shown
    assert not caplog.records


def test_asyncio_shows_what_is_known(server: str) -> None:
    """Nobody waits in an event loop to be shown something: the line of text is all."""

    async def shown() -> tuple[str, str, Picture]:
        async with AsyncClient(server) as client:
            run = await client.run(create=SPEC)
            return client._repr_html_(), run._repr_html_(), await run.plot()

    client, run, picture = asyncio.run(shown())
    assert server in client
    assert "img" not in run
    assert picture.kind == "image/svg+xml"

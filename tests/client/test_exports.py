"""A run as one file: what is written of it, and what is read again without a service."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat import Client, Replay, errors, scale
from rheostat.packing import pack, unpack

if TYPE_CHECKING:
    from tests.conftest import Names

FLOATS = st.floats(allow_nan=False, width=64)


@st.composite
def columns(draw: st.DrawFn) -> list[list[float]]:
    """Return columns of one length."""
    count = draw(st.integers(1, 20))
    return draw(st.lists(st.lists(FLOATS, min_size=count, max_size=count), min_size=1, max_size=4))


@given(columns())
def test_what_is_packed_is_unpacked(values: list[list[float]]) -> None:
    """P1: packing and unpacking gives the same bits, negative zeros and infinities among them."""
    packed = pack(values)
    found = unpack(packed, len(values), len(values[0]))
    assert [each.tobytes() for each in found] == [array("d", each).tobytes() for each in values]


@given(columns())
def test_the_ledger_unpacks_the_same(values: list[list[float]]) -> None:
    """The service's own unpacking, which is NumPy's, reads what the standard library packed."""
    from rheostat.packing import inflated
    from rheostat.server.runs.packed import unpacked

    planes = inflated(pack(values), 8 * len(values) * len(values[0]))
    assert unpacked(planes, len(values[0])).tolist() == values


@pytest.mark.parametrize("width", [1, 3])
def test_no_more_is_unpacked_than_was_said(width: int) -> None:
    """P10: a file that unpacks to more, or to less, is refused before it takes any room."""
    bomb = pack([[0.0] * 1_000_000])
    for count in (1, 2_000_000):
        with pytest.raises(ValueError, match="bytes were expected"):
            unpack(bomb, width, count)


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[Client]:
    """Yield a client."""
    with Client(server, lookahead=0.05) as client:
        yield client


@pytest.fixture
def trained(client: Client, new_name: Names) -> Any:
    """Return a run that was changed, rewound and trained again."""
    curve = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": "90%"}
    create = {"parameters": {"lr": curve, "weight_decay": 0.1}, "total": 1000}
    name = new_name()
    run = client.run(name, create=create)
    for step in range(60):
        run.values(step)
    run.change({"lr": scale(0.5)}, message="loss spike")
    for step in range(60, 300):
        run.values(step)
    run.rewind(40, changes={"lr": scale(0.25)}, message="back")
    run = client.run(name, checkpoint={"id": run.id, "generation": 1, "step": 40})
    for step in range(40, 200):
        run.values(step)
    run.report(150, {"val_loss": 2.5})
    run.flush()
    return run


def test_a_replay_answers_as_the_run_did(trained: Any, tmp_path: Path) -> None:
    """P1: every value of every generation is the ledger's, bit for bit."""
    told = trained.export(tmp_path / "run.json")

    for generation in (1, 2):
        replay = Replay(tmp_path / "run.json", generation=generation)
        [*segments] = trained.ledger(generation=generation)
        assert segments[-1]["start"] + segments[-1]["count"] == replay.settled_until
        for segment in segments:
            for place in range(segment["count"]):
                expected = {name: column[place] for name, column in segment["values"].items()}
                assert replay.values(segment["start"] + place) == expected
    assert told["settled_until"] == Replay(tmp_path / "run.json").settled_until
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_replay_refuses_as_the_run_does(trained: Any, tmp_path: Path) -> None:
    """What a run refuses by a class of error, its file refuses by the same."""
    trained.export(tmp_path / "run.json")
    replay = Replay(tmp_path / "run.json")
    wrong: list[tuple[str, Any]] = [("momentum", 0), ("lr", 0.5)]
    for name, step in wrong:
        for run in (trained, replay):
            with pytest.raises(errors.Invalid):
                run.value(name, step)
    with pytest.raises(errors.StepJump) as refusal:
        replay.value("lr", replay.settled_until)
    assert refusal.value.members["settled_until"] == replay.settled_until
    with pytest.raises(errors.StaleCheckpoint):
        replay.rejoin({"id": replay.id, "generation": 1, "step": 41})
    replay.rejoin({"id": replay.id, "generation": 1, "step": 40})
    assert replay.checkpoint(50) == trained.checkpoint(50)


def test_a_finished_run_ends_there_again(client: Client, new_name: Names, tmp_path: Path) -> None:
    """The loop over a file ends where the run was finished, and says why."""
    run = client.run(new_name(), create={"parameters": {"lr": 0.1}, "total": 1000})
    for step in range(20):
        run.value("lr", step)
    end = run.finish()["end"]
    run.export(tmp_path / "run.json")
    replay = Replay(tmp_path / "run.json")

    assert [*replay.steps(0)] == [*range(end or 0)]
    assert isinstance(replay.ended, errors.Finished)
    with pytest.raises(errors.Finished):
        replay.values(end or 0)


def test_a_replay_needs_no_numpy_and_no_service(trained: Any, tmp_path: Path) -> None:
    """Where httpx alone is installed, and nothing listens, the values are there."""
    trained.export(tmp_path / "run.json")
    program = (
        "import sys, rheostat; run = rheostat.Replay('run.json');"
        " print(run.value('lr', 100).hex(), *sys.modules)"
    )
    command = [sys.executable, "-c", program]
    value, *modules = subprocess.run(
        command, check=True, capture_output=True, cwd=tmp_path, text=True
    ).stdout.split()

    assert float.fromhex(value) == trained.value("lr", 100)
    assert not {name.partition(".")[0] for name in modules} & {"numpy", "pydantic", "fastapi"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot read"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "is no export"),
        ('{"format": "rheostat.run", "version": 2}', "version 2"),
        ('{"format": "rheostat.run", "version": 1}', "no sound export"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, text: str | None, complaint: str) -> None:
    """P10: another file, a cut one or a newer one is an error with a sentence."""
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(errors.Invalid, match=complaint):
        Replay(tmp_path / "run.json")


def test_an_export_that_cannot_be_written(trained: Any, tmp_path: Path) -> None:
    """The older file stays where a newer one cannot be written."""
    with pytest.raises(errors.Invalid, match="cannot write"):
        trained.export(tmp_path / "nowhere" / "run.json")


def test_an_imported_run_is_the_same(
    client: Client, trained: Any, new_name: Names, tmp_path: Path
) -> None:
    """P1: values, plan, history and reports are those of the run, under an id of its own."""
    trained.export(tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    made = client.import_run(document, name=new_name())
    there = client.control(made["name"])

    assert made["id"] != trained.id
    for generation in (1, 2):
        assert values_of(there, generation) == values_of(trained, generation)
    assert there.plan()["parameters"] == trained.plan()["parameters"]
    history: list[Any] = there.history()
    before: list[Any] = trained.history()
    told = ("revision", "kind", "effective", "author", "message", "created_at", "changes")
    assert [[each[key] for key in told] for each in history[:-1]] == [
        [each[key] for key in told] for each in before
    ]
    assert history[-1]["message"] == f"imported: it was {trained.id}"
    assert there.reports("val_loss")["values"] == [2.5]


def values_of(run: Any, generation: int) -> dict[int, list[float]]:
    """Return what was served of a generation, by step."""
    return {
        segment["start"] + place: [column[place] for column in segment["values"].values()]
        for segment in run.ledger(generation=generation)
        for place in range(segment["count"])
    }


def test_an_imported_run_goes_on(
    client: Client, trained: Any, new_name: Names, tmp_path: Path
) -> None:
    """A training joins it, goes on where it was, and is changed as any other."""
    trained.export(tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    name = client.import_run(document, name=new_name())["name"]

    run = client.run(name, start=199)
    changed = run.change({"lr": {"kind": "constant", "value": 0.5}})

    assert run.value("lr", 199) == trained.value("lr", 199)
    assert math.isclose(run.value("lr", changed["effective"]), 0.5)
    with pytest.raises(errors.NameTaken):
        client.import_run(document, name=name)

"""Against a real server: what a call answers is of the type that it names."""

from __future__ import annotations

import inspect
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from tests.conftest import Guarded

from rheostat import Client, plateau, scale, wire
from rheostat.client import Control, Schedules

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1000}
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def calls(client: Client, name: str) -> Iterator[Call]:
    """Yield every call that answers with JSON, in an order in which none is refused."""
    spare, forked = f"{name}-b", f"{name}-c"
    yield client.create_run, (name, {"lr": LINE}), {"total": 1000}
    client.run(name).block(0, 20)
    run = client.control(name)
    yield run.change, ({"lr": scale(0.5)},), {"effective": 100}
    yield run.change, ({"lr": scale(0.5)},), {"effective": 100, "dry_run": True}
    yield run.history, (), {}
    yield run.revision, (2,), {}
    yield run.show, (), {}
    yield run.cancel, (2,), {}
    yield run.extend_total, (2000,), {"dry_run": True}
    yield run.extend_total, (2000,), {}
    yield run.advance, (30,), {}
    yield run.plan, (0, 50), {}
    yield run.brief, (), {}
    yield run.wait_until, ("step", 10), {"timeout": 0}
    yield run.explain, (5,), {}
    yield run.preview, (5, 2), {}
    yield run.ledger, (), {}
    yield from training(client, name)
    yield from listening(client, name)
    worker = client.run(name)
    worker.saved(4)
    worker.flush()
    yield run.checkpoints, (), {}
    yield run.rewind, (8,), {"dry_run": True}
    yield run.rewind, (8,), {}
    yield run.fork, (forked,), {"dry_run": True}
    yield run.fork, (forked,), {}
    yield client.import_run, (exported(run),), {"name": f"{name}-d"}
    yield run.finish, (), {}
    yield client.create_run, (spare, {"lr": LINE}), {"exist_ok": True}
    yield client.runs, (), {}
    yield client.evaluate, (LINE, 3), {}
    yield client.simulate, (plateau(metric="loss"), [(8, 1.0), (16, 2.0)]), {"definition": LINE}
    yield client.evaluate, (LINE, [3, 4]), {}
    yield client.kinds, (), {}
    yield client.kind, ("cosine",), {}
    yield client.controller_kinds, (), {}
    yield client.schedules.put, (name, LINE), {}
    yield client.schedules.list, (), {}
    yield client.schedules.get, (name,), {}
    yield client.schedules.values, (name,), {"start": 0, "stop": 9}
    yield client.schedules.value, (name, 3), {}
    yield run.events, (), {}


def exported(run: Control) -> Any:
    """Return what a run was written as."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        run.export(path)
        return json.loads(path.read_text())


def training(client: Client, name: str) -> Iterator[Call]:
    """Yield the calls that tell of a training, which applied a value that was not served."""
    with Client(client.settings.base_url) as worker:
        run = worker.run(name)
        run.applied(0, {"lr": run.value("lr", 0) / 2})
    control = client.control(name)
    yield control.workers, (), {}
    yield control.mismatches, (), {}


def listening(client: Client, name: str) -> Iterator[Call]:
    """Yield the calls to a training that listens."""
    run = client.control(name)
    yield run.surface, (), {}
    armed = plateau(metric="loss", patience=0, threshold=0.0)
    yield run.arm, ("plateau", armed), {}
    for step, loss in ((8, 1.0), (16, 1.0)):
        client.run(name).report(step, {"loss": loss}, wait=True)
    yield run.controllers, (), {}
    yield run.controller, ("plateau",), {}
    yield run.decisions, ("plateau",), {}
    yield run.reset, ("plateau",), {}
    yield run.disarm, ("plateau",), {}
    yield run.note, ("hm",), {}
    for number in (1, 2):
        yield run.propose, ("change", {"changes": {"lr": scale(0.5)}}), {}
        yield (run.accept if number == 1 else run.decline), (number,), {}
    yield run.proposals, (), {}
    yield run.signal, ("checkpoint",), {"effective": 60}
    yield run.wait, (2,), {"timeout": 0}
    yield run.outcomes, (2,), {}
    yield run.pause, (), {"effective": 30}
    yield run.resume, (40,), {}
    yield run.stop, (), {"effective": 80}


def with_tokens(client: Client, name: str) -> Iterator[Call]:
    """Yield the calls that an admin makes, and those about many runs."""
    client.create_run(name, {"lr": 1.0}, labels={"of": name})
    client.tokens.create(f"{name}-tuner", "operator", limit="changes=2/day")
    yield client.control(name).allowances, (), {}
    yield client.access, (), {}
    yield client.control(name).protect, (["change"],), {}
    yield client.control(name).unprotect, (), {"message": "over"}
    many = (f"of={name}", {"lr": scale(0.5)})
    yield client.change_runs, many, {"dry_run": True}
    yield client.change_runs, many, {}
    yield client.audit, (), {"run": name}
    yield client.purge, ("runs", "1d"), {"selector": f"of={name}", "dry_run": True}


def test_answers_are_of_the_types_that_are_named(
    server: str, guarded: Guarded, new_name: Any
) -> None:
    """Every field of an answer is in its type, and none is missing that it requires."""
    seen = set()
    with Client(server) as client, Client(guarded.url, token=guarded.secrets["admin"]) as admin:
        told = itertools.chain(calls(client, new_name()), with_tokens(admin, new_name()))
        for call, arguments, options in told:
            found = call(*arguments, **options)
            answer = list(found) if isinstance(found, Iterator) else found
            require(answer, returned(call), call.__qualname__)
            seen.add(call.__qualname__)
    assert seen == every_call()


@pytest.mark.parametrize(
    "answer",
    [{"value": 1.0, "values": [1.0]}, {}, {"value": "1"}, [1.0], {"value": None}],
)
def test_what_is_not_of_a_type_is_noticed(answer: Any) -> None:
    """A field too many, one too few and one of another type fail the test above."""
    with pytest.raises(AssertionError):
        require(answer, wire.EvaluatedStep, "evaluate")


def every_call() -> set[str]:
    """Return the names of the calls that answer with a type of `wire`; tokens want an admin."""
    return {
        method.__qualname__
        for cls in (Client, Control, Schedules)
        for _, method in inspect.getmembers(cls, inspect.isfunction)
        if "wire." in str(method.__annotations__.get("return"))
    }


def returned(call: Callable[..., Any]) -> Any:
    """Return the type that a call names: the client does not import it itself."""
    named = type("Returned", (), {"__annotations__": {"it": call.__annotations__["return"]}})
    return get_type_hints(named, {"wire": wire, "Iterator": Iterator})["it"]


def require(value: Any, kind: Any, where: str) -> None:
    """Require that a value is of a type, with all that is in it."""
    assert fits(value, kind), f"{where} answered {value!r:.300}, which is no {kind}"


def fits(value: Any, kind: Any) -> bool:
    """Return whether JSON is of a type."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if hasattr(kind, "__required_keys__"):
        fields = get_type_hints(kind)
        return (
            isinstance(value, dict)
            and kind.__required_keys__ <= value.keys() <= fields.keys()
            and all(fits(item, fields[name]) for name, item in value.items())
        )
    if origin is Union or type(kind).__name__ == "UnionType":
        return any(fits(value, part) for part in parts)
    if str(origin) == "typing.Literal":
        return value in parts
    if origin is list or str(origin) == "<class 'collections.abc.Iterator'>":
        return isinstance(value, list) and all(map(fits, value, itertools.repeat(parts[0])))
    if origin is dict:
        return isinstance(value, dict) and all(fits(item, parts[1]) for item in value.values())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)

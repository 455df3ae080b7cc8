"""Long texts, wherever one may stand: each is read, or refused, in time in proportion to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import httpx
import pytest
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from tests.hostile.ending import SIGNS, ends, text

from rheostat import controllers
from rheostat.controllers import parse_controller
from rheostat.converters import registry
from rheostat.converters.configs import deepspeed, megatron, transformers
from rheostat.converters.core import Context
from rheostat.converters.request import MAX_TEXT, MAX_VALUES
from rheostat.errors import Invalid
from rheostat.schedules import KINDS, convert, convert_config, parse
from rheostat.schedules.kinds.sequence import Part
from rheostat.server.app import create_app
from rheostat.server.settings import Settings

MEGABYTES = 8_000_000
HEAD = 20_000
"""Characters that fit into a request's head, though each takes three there."""

CONVERTERS = [
    (name, scheduler.names[0], tuple(scheduler.parameters))
    for name in registry.NAMES
    if (library := registry.find(name)) is not None
    for scheduler in library.schedulers
]
"""Every converter: its library, its name, and its parameters."""

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    *(("megatron", {name: None}) for name in megatron.Arguments.model_fields),
    *(("transformers", {name: None}) for name in transformers.Arguments.model_fields),
    *(
        ("deepspeed", {section: {name: None}})
        for section in deepspeed.File.model_fields
        for name in deepspeed.Section.model_fields
    ),
]
"""Every field of a configuration file that is read, with the file around it."""


def texts(signs: Sequence[str] = SIGNS) -> Iterator[str]:
    """Yield texts of these signs: as long as may be, and far longer."""
    for sign in signs:
        yield text(sign, MAX_TEXT)
    yield text("a", MEGABYTES)


def asked(*arguments: Any, **context: Any) -> None:
    """Convert a scheduler, or have it refused, in a moment."""
    with ends(0.5), suppress(Invalid):
        convert(*arguments, **context)


@pytest.mark.parametrize(
    ("library", "name", "parameters"), CONVERTERS, ids=[f"{a}.{b}" for a, b, _ in CONVERTERS]
)
def test_long_texts_in_every_parameter(
    library: str, name: str, parameters: tuple[str, ...]
) -> None:
    """P13: no parameter of any converter makes a long text cost more than a moment."""
    drawn = Random(f"{library}.{name}")
    for parameter in parameters:
        for long in texts(drawn.sample(SIGNS, 4)):  # all signs, among the parameters of a library
            asked(library, name, {parameter: long}, 0.1, total=100)
        asked(library, name, {parameter: [text("a", 100)] * 5_000}, 0.1, total=100)
        asked(library, name, {parameter: {text("1", 100): text("(", MAX_TEXT)}}, 0.1, total=100)


@pytest.mark.parametrize(
    ("library", "name", "parameters"), CONVERTERS, ids=[f"{a}.{b}" for a, b, _ in CONVERTERS]
)
def test_long_lists_in_every_parameter(
    library: str, name: str, parameters: tuple[str, ...]
) -> None:
    """P10, P13: long lists of anything are converted or refused, and never fail otherwise."""
    inner: dict[str, Any] = {"name": name, "params": {}}
    many: list[Any] = [
        list(range(3_000)),
        [[i // 2, i] for i in range(1, 2_000)],
        [0.5] * 3_000,
        [inner] * 100,
        {str(i): 0.5 for i in range(1_000)},
    ]
    for parameter in parameters:
        for value in many:
            with ends(1), suppress(Invalid):
                convert(library, name, {parameter: value}, 0.1, total=100)


def test_texts_of_every_sign_reach_the_patterns_of_texts() -> None:
    """P13: what fastai and Composer write as text is read from left to right, once."""
    for sign in SIGNS:
        for length in (100, 1_000, MAX_TEXT):
            for long in (text(sign, length), "1" + text(sign, length), text(sign, length) + ")"):
                schedulers = {"pcts": [0.5, 0.5], "scheds": long}
                asked("fastai", "combine_scheds", schedulers, total=10)
                asked("composer", "LinearScheduler", {"t_max": long}, 0.1, total=10)


@pytest.mark.parametrize("field", ["library", "name", "hyperparameter"])
def test_long_names(field: str) -> None:
    """P13: the names of a conversion may be long, and nobody looks for what was meant."""
    for long in texts():
        names = {"library": "torch", "name": "StepLR", "hyperparameter": "lr", field: long}
        with ends(0.5), pytest.raises(Invalid):
            convert(params={"step_size": 1}, base_value=0.1, **names)


@pytest.mark.parametrize("field", Context.model_fields)
def test_long_texts_around_a_scheduler(field: str) -> None:
    """P13: so may be what surrounds a scheduler."""
    for long in texts():
        asked("torch", "StepLR", {"step_size": 1}, 0.1, **{field: long})
        asked("composer", "LinearScheduler", {}, 0.1, **{field: {"max_duration": long}})


@pytest.mark.parametrize(("library", "config"), CONFIGS)
def test_long_texts_in_configuration_files(library: str, config: dict[str, Any]) -> None:
    """P13: no field of a configuration file makes a long text cost more than a moment."""
    for long in texts():
        filled = {
            key: dict.fromkeys(value, long) if isinstance(value, dict) else long
            for key, value in config.items()
        }
        with ends(0.5), suppress(Invalid):
            convert_config(library, filled, total=100)


def test_long_command_lines() -> None:
    """P13: a command line is read in a moment, whatever it consists of."""
    for sign in (*SIGNS, "--lr ", "--lr=1 ", "'", "'a'", "\\\n"):
        for length in (20_000, 100_000, MEGABYTES):
            with ends(1), suppress(Invalid):
                convert_config("megatron", "--lr 1 " + text(sign, length))


def test_too_many_values_are_refused() -> None:
    """P10: there is a limit to the values of a conversion, and the answer names it."""
    with ends(0.5), pytest.raises(Invalid) as refused:
        convert("torch", "MultiStepLR", {"milestones": [1] * (MAX_VALUES + 1)}, 0.1)
    assert refused.value.errors[0].bound == f"≤ {MAX_VALUES} values"


def test_many_unknown_names_are_refused_with_few_guesses() -> None:
    """P13: what was meant is guessed for the first few unknown names, and for short ones."""
    unknown: dict[str, Any] = {f"step_siz{i}": 1 for i in range(50_000)}
    with ends(0.5), pytest.raises(Invalid) as refused:
        convert("torch", "StepLR", unknown, 0.1)
    assert len(refused.value.errors) <= 50
    assert "did you mean step_size?" in refused.value.errors[0].message
    with ends(0.5), pytest.raises(Invalid) as refused:
        convert("torch", "StepLR", {"step_size": 1}, 0.1, **unknown)
    assert len(refused.value.errors) <= 50


FIELDS = [
    (kind, info.alias or name)
    for kind, cls in KINDS.items()
    for name, info in cls.model_fields.items()
]


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_long_texts_in_every_field_of_every_kind(kind: str, field: str) -> None:
    """P13: no field of a definition, a length or not, makes a long text cost more than a moment."""
    example = KINDS[kind].about.example
    for sign in SIGNS:
        for value in (text(sign, 1_000_000), [text(sign, 100_000)], [[text(sign, 100_000), 1]]):
            with ends(0.5), pytest.raises(Invalid):
                parse({**example, field: value}, total=1000, steps_per_epoch=10)


@pytest.mark.parametrize("field", [info.alias or name for name, info in Part.model_fields.items()])
def test_long_texts_in_every_field_of_a_part(field: str) -> None:
    """P13: nor does a field of a part of a sequence."""
    part = {"schedule": {"kind": "constant", "value": 1}, "steps": 1, field: None}
    for sign in SIGNS:
        data = {"kind": "sequence", "parts": [{**part, field: text(sign, 1_000_000)}]}
        with ends(0.5), pytest.raises(Invalid):
            parse(data, total=1000, steps_per_epoch=10)


CONTROLLERS = [
    (f"{cls.model_fields['kind'].default}", cls.model_fields.get("reading"), info.alias or name)
    for cls in controllers.CONTROLLERS
    for name, info in cls.model_fields.items()
]


@pytest.mark.parametrize(("kind", "reading", "field"), CONTROLLERS)
def test_long_texts_in_every_field_of_every_controller(kind: str, reading: Any, field: str) -> None:
    """P13: nor does a field of a controller, or of an object in one."""
    body = {"kind": kind, "metric": "loss", "above": {"mad": 8}, "when": {"op": "<", "value": 1}}
    body |= {} if reading is None else {"reading": reading.default}
    for sign in SIGNS:
        long = text(sign, 100_000)
        many: list[Any] = [long, [long] * 50, {long: long}, dict.fromkeys("abcdefgh", long)]
        inside = ("after", "late", "every", "expect", "reduce", "mad", "op", "value")
        for value in (*many, *({name: long} for name in inside)):
            with ends(0.5), pytest.raises(Invalid):
                parse_controller({**body, field: value})


ROUTES = [
    (min(route.methods or ()), route)
    for route in create_app(Settings()).routes
    if isinstance(route, APIRoute)
]
PARAMETERS = [
    (method, route.path, field.alias, type(field.field_info).__name__)
    for method, route in ROUTES
    for field in get_flat_params(route.dependant)
]
BODIES = [
    (method, route.path, name)
    for method, route in ROUTES
    if route.body_field is not None
    for name in (
        getattr(route.body_field.field_info.annotation, "model_fields", None)
        or ("name", "parameters", "axis", "labels", "guards", "from", "changes", "message")
    )
]


def url(path: str, **filled: str) -> str:
    """Return a route's path with everything filled in."""
    known = {"run": "nobody", "name": "nothing", "kind": "cosine", "step": "1", "number": "1"}
    for name, value in {**known, **filled}.items():
        path = path.replace("{" + name + "}", value)
    return path


@pytest.mark.parametrize(("method", "path", "name", "place"), PARAMETERS)
def test_long_texts_in_every_parameter_of_every_route(
    method: str, path: str, name: str, place: str, http: httpx.Client
) -> None:
    """P10, P13: whatever stands in a path, a query or a header, it is answered in a moment."""
    for sign in ("a", "1", ".", "=", ",", "%20", "*/*;q=1,", '"a",', "(", "%C3%A9"):
        long = text(sign, HEAD - HEAD % len(sign))
        query = {name: long} if place == "Query" else {}
        headers = {name: long} if place == "Header" else {}
        where = url(path, **({name: long} if place == "Path" else {}))
        sent = where + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        answer = http.request(method, sent, headers=headers)
        assert answer.status_code < 500, answer.text[:500]
        assert answer.elapsed.total_seconds() < 5


@pytest.mark.parametrize(("method", "path", "name"), BODIES)
def test_long_texts_in_every_field_of_every_body(
    method: str, path: str, name: str, http: httpx.Client
) -> None:
    """P10, P13: so is whatever stands in a field of a body."""
    for sign in ("a", "1", "(", " "):
        for value in (text(sign, 1_000_000), {text(sign, 100_000): text(sign, 100_000)}):
            answer = http.request(method, url(path), json={name: value})
            assert 400 <= answer.status_code < 500, answer.text[:500]
            assert answer.elapsed.total_seconds() < 5


HEADERS = ["Accept", "Authorization", "Content-Type", "Host", "Idempotency-Key", "If-Match"]
HEADERS += ["If-None-Match", "Last-Event-ID", "Origin", "Rheostat-Author", "X-Request-Id"]


@pytest.mark.parametrize("header", HEADERS)
def test_long_headers(header: str, http: httpx.Client) -> None:
    """P10, P13: and so is whatever stands in a header that anybody reads."""
    for sign in ("a", " ", ",", "a/b;q=0.5,", '"a",', "Bearer ", "application/", "1", ".", ":"):
        sent = {"Content-Type": "application/json", header: "x" + text(sign, HEAD)[:-1] + "x"}
        for method, path in (("POST", "/v1/evaluate"), ("GET", "/v1/runs/nobody/plan")):
            answer = http.request(method, path, headers=sent, content=b"{}")
            assert 400 <= answer.status_code < 500, answer.text[:500]
            assert answer.elapsed.total_seconds() < 5

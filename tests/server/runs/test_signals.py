"""What a training understands: arguments, their schemas, and the header that tells signals."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.server.test_signals import SIGNALS

from rheostat.errors import Invalid
from rheostat.server.runs.signals import LONGEST_HEADER, TOO_MANY, Signal, header, signal_data
from rheostat.server.runs.spec import StoredRun
from rheostat.server.runs.surface import Argument, SignalForm

SPEC = StoredRun.model_validate({"name": "x", "parameters": {"lr": ""}, "signals": SIGNALS})
VALUES = st.one_of(
    st.integers(-2, 5),
    st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.5]),
    st.booleans(),
    st.text("a€", max_size=70),
    st.none(),
    st.just([1]),
)


@given(
    word=st.sampled_from([*SIGNALS]),
    arguments=st.dictionaries(st.sampled_from(["tag", "keep", "stage", "share", "x"]), VALUES),
)
def test_the_schema_of_a_signal_takes_what_the_service_takes(
    word: str, arguments: dict[str, Any]
) -> None:
    """A form that is made of the schema can send whatever is accepted, and nothing else."""
    form: SignalForm = SPEC.signals[word]
    fits = jsonschema_rs.is_valid(form.schema_of_arguments(), arguments)
    if arguments.get("stage") == 1.0 and type(arguments["stage"]) is float:
        return  # to JSON Schema it is an integer; who declared one is not given a float
    try:
        assert signal_data(SPEC, word, arguments) == {"signal": word, "arguments": arguments}
    except Invalid:
        assert not fits
    else:
        assert fits


@given(st.lists(st.tuples(st.integers(0, 2**53 - 1), st.integers(1, 2**31 - 1)), max_size=80))
def test_a_header_is_whole_or_says_that_it_is_not(pairs: list[tuple[int, int]]) -> None:
    """P10: within a KiB each signal is there, and beyond it none."""
    text = header(Signal(at, revision, "x", {}) for at, revision in pairs)
    assert len(text) <= LONGEST_HEADER
    if text == TOO_MANY:
        assert len(",".join(f"{at}#{revision}" for at, revision in pairs)) > LONGEST_HEADER
    elif pairs:
        assert [tuple(map(int, each.split("#"))) for each in text.split(",")] == pairs


def test_what_a_newer_release_said_is_left_alone() -> None:
    """A field that this release does not know says nothing about what it does know."""
    form = {"text": "save", "icon": "disk", "arguments": {"tag": {"type": "string", "hint": "x"}}}
    stored = {"name": "x", "parameters": {"lr": ""}, "signals": {"save": form}}
    spec = StoredRun.model_validate({**stored, "describe": {"lr": {"text": "rate", "color": 1}}})
    assert spec.signals["save"].arguments["tag"].type == "string"
    assert spec.describe["lr"].text == "rate"


@pytest.mark.parametrize(
    ("argument", "value", "bound"),
    [
        ({"type": "integer"}, 2**53, "<= 9007199254740991"),
        ({"type": "integer"}, -(2**53), ">= -9007199254740991"),
        ({"type": "integer", "min": 2}, 1, ">= 2"),
        ({"type": "number", "max": 0.5}, 0.75, "<= 0.5"),
        ({"type": "number"}, float("nan"), "a finite number"),
        ({"type": "number"}, "1", "a number"),
        ({"type": "string", "min": 2}, "a", "2 to 1024 characters"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "one of a, b"),
        ({"type": "boolean"}, 0, "a boolean"),
    ],
)
def test_a_bound_is_named(argument: dict[str, Any], value: Any, bound: str) -> None:
    """P10: what an argument should have been is said in words, with whole numbers exact."""
    assert Argument.model_validate(argument).refuses(value) == bound


def test_what_was_not_said_is_not_shown() -> None:
    """A form comes back as it was sent, and takes no more room than that."""
    sent = {"arguments": {"stage": {"type": "integer", "min": 1, "max": 3, "required": True}}}
    assert SignalForm.model_validate(sent).to_json() == sent
    with pytest.raises(ValidationError):
        SignalForm.model_validate({"arguments": {"Stage": {"type": "integer"}}})

"""What the clients are told: each option is in all of its places, and is refused out of bounds."""

from __future__ import annotations

import inspect
import math
from dataclasses import MISSING, fields
from typing import Any

import httpx
import pytest

from rheostat import AsyncClient, Client, errors
from rheostat.client.settings import Settings

OTHERS: dict[str, Any] = {
    "base_url": "https://there",
    "token": "rheo_other",
    "timeout": 3.0,
    "deadline": 5.0,
    "pause_deadline": 6.0,
    "gate_deadline": 7.0,
    "retries": 1,
    "lookahead": 7.0,
    "pace": 100.0,
    "author": "ann",
    "proof": None,
    "worker": "node-3:7",
    "beats": False,
    "read": "node",
    "verify": False,
    "cert": "client.pem",
    "headers": {"X-Team": "a"},
    "proxy": "http://proxy:3128",
    "trust_env": False,
    "transport": httpx.MockTransport(lambda _: httpx.Response(204)),
}
"""A value of each option that is not its default."""

FIELDS = {field.name: field.default for field in fields(Settings) if field.init}
OPTIONS = sorted({*FIELDS, *OTHERS, *inspect.signature(AsyncClient).parameters})
NUMBERS = sorted(name for name, other in OTHERS.items() if type(other) in (int, float))
ARGUMENT = "client/_async/client.py, AsyncClient.__init__ (then `make format`)"

of_both = pytest.mark.parametrize("cls", [Client, AsyncClient])


@of_both
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_in_all_of_its_places(cls: type[Client | AsyncClient], name: str) -> None:
    """Settings and clients have the same options, with one default, and say what each is."""
    argument = inspect.signature(cls).parameters.get(name)
    described = (inspect.getdoc(cls.__init__) or "").partition("\nArgs:\n")[2]

    assert name in FIELDS, f"client/settings.py, Settings: no field {name}"
    assert argument is not None, f"{ARGUMENT}: no argument {name}"
    default = MISSING if argument.default is argument.empty else argument.default
    assert default == FIELDS[name], f"{name} has another default in Settings than in {ARGUMENT}"
    assert f"    {name}: " in described, f"{ARGUMENT}: no line of the docstring says what {name} is"
    assert name in OTHERS, f"tests/client/test_settings.py, OTHERS: no other value of {name}"


@of_both
@pytest.mark.parametrize("name", OTHERS)
def test_an_option_is_handed_on(cls: type[Client | AsyncClient], name: str) -> None:
    """What a client is told is in its settings."""
    told = cls(**{"base_url": "http://test", name: OTHERS[name]})

    assert OTHERS[name] != FIELDS[name]
    assert getattr(told.settings, name) == OTHERS[name], f"{ARGUMENT}: {name} is not handed on"


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"base_url"}))
def test_a_copy_from_another_version_can_be_read(name: str) -> None:
    """A pickle that lacks an option has its default, and one that has more is read all the same."""
    kept = Settings(base_url="http://test", author="ann", trust_env=False).__getstate__()
    kept.pop(name, None)
    copy = object.__new__(Settings)

    copy.__setstate__({**kept, "an option of later": 1})

    assert getattr(copy, name) == FIELDS[name]
    assert copy.base_url == "http://test"


@pytest.mark.parametrize("wrong", [-1, math.nan, "1"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_have_bounds(name: str, wrong: Any) -> None:
    """P10: no number is negative, none, or text."""
    try:
        Settings(**{"base_url": "http://test", name: wrong})
    except errors.Invalid as refusal:
        assert refusal.errors[0].field == name  # noqa: PT017 - the failure names the place
    else:
        pytest.fail(f"client/settings.py, Settings.__post_init__: {name} may be {wrong!r}")


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "rheostat:8000"},
        {"base_url": "ftp://rheostat"},
        {"base_url": "http://"},
        {"base_url": "http://test:port"},
        {"base_url": "http://test:0"},
        {"base_url": "http://xn--a"},
        {"timeout": 0},
        {"deadline": -1.0},
        {"deadline": float("nan")},
        {"lookahead": 0.0},
        {"pace": 0.0},
        {"pace": float("nan")},
        {"retries": -1},
        {"retries": 1.5},
        {"pace": "100"},
        {"timeout": None},
        {"author": 5},
        {"base_url": 5},
        {"author": "two\nlines"},
        {"proof": "all"},
        {"proof": True},
        {"worker": ""},
        {"worker": "a b"},
        {"worker": "a" * 129},
        {"worker": 7},
        {"beats": 1},
        {"beats": None},
        {"read": "nodes"},
        {"read": ["node"]},
    ],
)
def test_settings_that_cannot_be_meant(options: dict[str, Any]) -> None:
    """P10: a setting out of bounds is refused by its name."""
    with pytest.raises(errors.Invalid) as refusal:
        Client(**{"base_url": "http://test", **options})

    assert refusal.value.errors[0].field in options

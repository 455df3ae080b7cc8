"""A token in a file: read when it is needed, again when it was replaced, named when it is none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import open_tokens

from rheostat import AsyncClient, Client, scale, token_file
from rheostat.cli.completion.answers import completions
from rheostat.errors import Forbidden, Invalid, Unauthenticated

SPEC = {"parameters": {"lr": {"kind": "linear", "start": 1, "end": 0, "steps": 8}}}


@pytest.fixture(autouse=True)
def looked_at_always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look at files again at once, and begin without what the environment says."""
    monkeypatch.setattr(token_file, "AGAIN", 0.0)
    monkeypatch.delenv("RHEOSTAT_TOKEN", raising=False)
    yield
    token_file._known.clear()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that the environment names, without anything in it."""
    path = tmp_path / "token"
    monkeypatch.setenv("RHEOSTAT_TOKEN_FILE", str(path))
    return path


def exchange(file: Path, secret: str) -> None:
    """Put another token in its place at one moment, as whoever mounts secrets does."""
    new = file.with_name("new")
    new.write_text(f"{secret}\n")
    new.replace(file)


def test_a_training_goes_on_with_a_token_that_was_exchanged(
    guarded: Any, file: Path, new_name: Callable[[], str]
) -> None:
    """A token is replaced under a client that runs, and is used in the middle of an exchange."""
    old, new = new_name(), new_name()
    with open_tokens(guarded.database) as tokens:
        exchange(file, tokens.create(old, "operator")["token"])
        with Client(guarded.url) as client:
            run = client.run(new_name(), create=SPEC)
            assert run.value("lr", 0) == 1.0

            def author() -> str:
                revision = run.change({"lr": scale(0.5)})["revision"]
                return str(run.revision(revision)["author"])

            assert author() == old
            exchange(file, tokens.create(new, "operator")["token"])
            tokens.revoke(old)
            assert author() == new
            file.unlink()
            assert author() == new
            file.write_text("")
            assert author() == new


def test_an_asynchronous_client_looks_again_too(guarded: Any, file: Path) -> None:
    """What is in the file counts for each request of an `AsyncClient`."""

    async def list_tokens() -> None:
        async with AsyncClient(guarded.url) as client:
            exchange(file, guarded.secrets["viewer"])
            with pytest.raises(Forbidden):
                await client.tokens.list()
            exchange(file, guarded.secrets["admin"])
            assert await client.tokens.list()

    asyncio.run(list_tokens())


def test_what_is_given_goes_before_the_file(guarded: Any, file: Path) -> None:
    """An argument, and a header of one's own, say who is asking; the file is not looked at."""
    with Client(guarded.url, token=guarded.secrets["admin"]) as client:
        assert client.tokens.list()
    own = {"authorization": f"Bearer {guarded.secrets['admin']}"}
    with Client(guarded.url, headers=own) as client:
        assert client.tokens.list()


WRONG = {
    "absent": (None, "cannot be read: No such file"),
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "two": (b"rheo_1\nrheo_2\n", "is not one line"),
    "foreign": ("schlüssel".encode(), "cannot be read: it is not ASCII"),
    "long": (b"x" * (token_file.LONGEST + 1), "is longer than 4096 bytes"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_without_a_token_is_named(what: str, file: Path) -> None:
    """P10: a file that has no token is named with what is wrong, and its content is not shown."""
    content, wrong = WRONG[what]
    if content is not None:
        file.write_bytes(content)
    with Client("http://127.0.0.1:1", retries=0) as client, pytest.raises(Invalid) as refusal:
        client.kinds()
    assert str(refusal.value).startswith(f"RHEOSTAT_TOKEN_FILE names {file}, which {wrong}")
    assert "rheo_" not in str(refusal.value)


def test_a_token_in_both_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: of two tokens none is chosen in silence; an empty variable is none."""
    file.write_text("rheo_1\n")
    monkeypatch.setenv("RHEOSTAT_TOKEN", "rheo_2")
    with pytest.raises(Invalid, match=r"RHEOSTAT_TOKEN_FILE and RHEOSTAT_TOKEN are both set"):
        token_file.of_environment()
    monkeypatch.setenv("RHEOSTAT_TOKEN", "")
    assert token_file.of_environment()
    monkeypatch.setenv("RHEOSTAT_TOKEN_FILE", "")
    assert token_file.of_environment() is None


def test_a_file_that_fails_later_is_told_once(
    guarded: Any, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A log says that a file is gone, and not with every request."""
    exchange(file, guarded.secrets["viewer"])
    with Client(guarded.url) as client:
        client.kinds()
        file.unlink()
        client.kinds()
        client.kinds()
    (line,) = [record.getMessage() for record in caplog.records if "names" in record.getMessage()]
    assert "the token that was there goes on being used" in line


def test_a_token_that_is_good_no_more_is_told(guarded: Any, file: Path) -> None:
    """A 401 is raised, as with any token: waiting makes none good."""
    exchange(file, "rheo_" + "0" * 40)
    with Client(guarded.url) as client, pytest.raises(Unauthenticated):
        client.run("gpt")


def test_completion_has_the_token_of_the_file(
    guarded: Any, file: Path, new_name: Callable[[], str]
) -> None:
    """Names of runs are offered to whose token is in a file; one that is none offers nothing."""
    exchange(file, guarded.secrets["worker"])
    name = new_name()
    with Client(guarded.url) as client:
        client.run(name, create=SPEC)
    variables = {**os.environ, "RHEOSTAT_URL": guarded.url}
    assert [offer.word for offer in completions(["run", "show"], name, variables)] == [name]
    file.unlink()
    token_file._known.clear()
    assert completions(["run", "show"], name, variables) == []

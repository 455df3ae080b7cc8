"""A PostgreSQL that does not answer: all are told within seconds, and nothing happens later."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from tests.faults.silent_proxy import SilentProxy

from rheostat.errors import Unavailable
from rheostat.server.runs.revision import Note
from rheostat.server.runs.validation import Limits
from rheostat.server.store.database import Timeouts
from rheostat.server.store.operations import create, revise, show
from rheostat.server.store.store import Store, is_wanted

SHORT = Timeouts(connect=2, statement=1, answer=1.5, operation=3)
BODY = {"name": "gpt", "parameters": {"lr": {"kind": "constant", "value": 1}}}
HALVE = {"lr": [{"edit": "scale", "factor": 0.5}]}
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Behind:
    """A store on a database behind a proxy, and a run in it."""

    def __init__(self, proxy: SilentProxy, url: str) -> None:
        self.proxy = proxy
        name = make_url(url).database
        self.store = Store(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}", Limits(), SHORT)
        self.store.start()
        asyncio.run(self.store.write(create.create, BODY, Note("ann")))

    def revision(self) -> int:
        """Return how often the run has been changed."""
        shown = asyncio.run(self.store.read(show.show, "gpt"))
        return int(shown["revision"])

    def ask(self, changes: int, reads: int) -> list[Any]:
        """Send all at once, and return what became of them; each has to end by itself."""

        async def all_of_them() -> list[Any]:
            store = self.store
            request = revise.RevisionRequest(HALVE)
            work: list[Any] = [store.write(revise.revise, "gpt", request) for _ in range(changes)]
            work += [store.read(show.show, "gpt") for _ in range(reads)]
            return [*await asyncio.gather(*work, return_exceptions=True)]

        return asyncio.run(asyncio.wait_for(all_of_them(), 30))

    def wait(self) -> None:
        """Return when it is ready."""
        until = time.monotonic() + 30
        while asyncio.run(self._reasons()):
            assert time.monotonic() < until

    async def _reasons(self) -> Any:
        self.store._probe = None  # of another loop
        return await self.store.reasons()


@pytest.fixture
def behind(database: str) -> Iterator[Behind]:
    """Return a store that reaches its database through a proxy of its own."""
    path = database.partition("host=")[2]
    patient = Store(database, Limits())  # making the schema may take longer than the short times
    patient.start()
    patient.close()
    with SilentProxy.to_socket(f"{path}/.s.PGSQL.5432") as proxy:
        behind = Behind(proxy, database)
        yield behind
        proxy.resume()
        behind.store.close()


def refused(answers: list[Any]) -> set[str]:
    """Return the reasons of refusals; there is nothing else."""
    assert {type(answer) for answer in answers} == {Unavailable}, answers
    return {answer.members["reason"] for answer in answers}


@pytest.mark.parametrize("fault", [SilentProxy.silence, SilentProxy.vanish])
@pytest.mark.parametrize("end", [SilentProxy.resume, SilentProxy.reset])
def test_a_host_that_died_without_a_word(
    behind: Behind, fault: Callable[[SilentProxy], None], end: Callable[[SilentProxy], None]
) -> None:
    """P5, P9: all are refused; a standby is used at once; what was refused is never done."""
    assert not any(isinstance(answer, Exception) for answer in behind.ask(2, 2))
    before = behind.revision()
    fault(behind.proxy)
    assert refused(behind.ask(7, 40)) <= {"database-away", "writer-stuck", "busy"}
    assert "database-away" in asyncio.run(behind._reasons())
    behind.proxy.replace()
    behind.wait()
    assert behind.revision() == before
    end(behind.proxy)  # what was sent into the silence arrives, or its connections end
    time.sleep(0.5)
    assert behind.revision() == before
    assert not any(isinstance(answer, Exception) for answer in behind.ask(1, 1))
    assert behind.revision() == before + 1


def test_a_frozen_database(behind: Behind, database: str) -> None:
    """P9: it takes connections, as its kernel does for it, and says nothing."""
    before = behind.revision()
    with frozen(Path(database.partition("host=")[2])):
        assert refused(behind.ask(7, 40)) <= {"database-away", "writer-stuck", "busy"}
        assert asyncio.run(behind._reasons())
    behind.wait()
    assert behind.revision() == before


@contextmanager
def frozen(data: Path) -> Iterator[None]:
    """Stop PostgreSQL with all its processes."""
    first = int((data / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    processes = [first, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_what_a_caller_who_has_left_had_asked_for_is_not_done(behind: Behind) -> None:
    """P9: neither while the database is away nor when it is back."""
    before = behind.revision()
    behind.proxy.silence()
    there = True

    async def leave() -> list[Any]:
        nonlocal there
        is_wanted.set(lambda: there)
        request = revise.RevisionRequest(HALVE)
        asked = [
            asyncio.create_task(behind.store.write(revise.revise, "gpt", request)) for _ in "ab"
        ]
        await asyncio.sleep(0.2)
        there = False
        behind.proxy.resume()
        return [*await asyncio.gather(*asked, return_exceptions=True)]

    answers = asyncio.run(leave())
    done = sum(not isinstance(answer, Exception) for answer in answers)
    # only the one that had begun before its caller left may have been done
    assert behind.revision() - before == done <= 1


def test_failures_are_one_line_without_what_was_sent(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes to the log names no value of a request, and says why in one line."""
    behind.proxy.silence()
    secret = {**BODY, "name": "hidden", "labels": {"team": "hush"}}
    with pytest.raises(Unavailable):
        asyncio.run(behind.store.write(create.create, secret, Note("ann")))
    behind.proxy.reset()
    behind.proxy.resume()
    behind.wait()  # the writer has come to an end with it
    said = [record for record in caplog.records if record.name == "rheostat.store"]
    assert said
    for record in said:
        message = record.getMessage()
        assert "\n" not in message
        assert record.exc_info is None
        assert not any(word in message for word in ("hush", "hidden", "sqlalche.me", "SELECT"))


def test_a_process_that_starts_without_its_database_waits_for_it(behind: Behind) -> None:
    """P9: it refuses, then serves what it finds: nobody has to restart it."""
    behind.proxy.vanish()
    port, name = behind.proxy.port, make_url(str(behind.store._database.url)).database
    late = Store(f"postgresql://postgres@127.0.0.1:{port}/{name}", Limits(), SHORT)
    late.start(anyway=True)
    with pytest.raises(Unavailable) as refused:
        asyncio.run(late.read(show.show, "gpt"))
    assert refused.value.members["reason"] == "database-away"
    assert asyncio.run(late.reasons()) == ["database-away"]
    behind.proxy.replace()
    until = time.monotonic() + 30
    while asyncio.run(late.reasons()):
        late._probe = None  # of another loop
        assert time.monotonic() < until
        time.sleep(0.1)
    assert asyncio.run(late.read(show.show, "gpt"))["revision"] == 1
    late.close()

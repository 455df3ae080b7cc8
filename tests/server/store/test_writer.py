"""The writer: group commit, and who is told what when something fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from rheostat.errors import Conflict, Unavailable
from rheostat.server.store.database import Database
from rheostat.server.store.write_lock import WriteLock
from rheostat.server.store.writer import Writer


class Session:
    """A transaction whose operations share nothing but the connection."""

    def __init__(self, connection: Connection) -> None:
        self.execute = connection.execute

    def expect(self, run_ids: Collection[str]) -> None:
        """Need nothing of runs."""

    def flush(self) -> None:
        """Keep nothing back."""

    def committed(self) -> None:
        """Tell nobody."""


class Bench:
    """A writer on an SQLite file with a table of numbers, and a count of its commits."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'numbers.db'}")
        with self.database.write() as connection:
            connection.execute(text("CREATE TABLE numbers (number INTEGER UNIQUE)"))
        self.commits = 0
        event.listen(self.database.engine, "commit", self._count)
        self.doubts = 0
        self.writer = Writer(self.database, Session, on_failure=self._doubt)

    def _doubt(self) -> None:
        self.doubts += 1

    def _count(self, _connection: Connection) -> None:
        self.commits += 1

    def numbers(self) -> list[int]:
        """Return what is stored."""
        with self.database.read() as connection:
            query = text("SELECT number FROM numbers ORDER BY number")
            return list(connection.execute(query).scalars())


def inserting(number: int) -> Callable[[Session], int]:
    """Return the operation that stores a number, and returns it."""

    def insert(session: Session) -> int:
        session.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
        return number

    return insert


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a writer that has not started."""
    bench = Bench(tmp_path)
    yield bench
    bench.writer.close()
    bench.database.close()


def test_waiting_operations_share_a_commit(bench: Bench) -> None:
    """Fifty operations that wait are one transaction."""
    futures = [bench.writer.submit(inserting(n)) for n in range(50)]
    bench.writer.start()
    assert [future.result(30) for future in futures] == list(range(50))
    assert bench.commits == 1


def test_a_refusal_does_not_disturb_the_group(bench: Bench) -> None:
    """Its caller gets it, and the others are committed."""

    def refuse(_session: Session) -> None:
        raise Conflict("no")

    refused = bench.writer.submit(refuse)
    stored = bench.writer.submit(inserting(1))
    bench.writer.start()
    with pytest.raises(Conflict):
        refused.result(30)
    assert stored.result(30) == 1
    assert bench.numbers() == [1]


def test_a_failure_fails_alone(bench: Bench) -> None:
    """The group is rolled back, and each of its operations is run again by itself."""
    first, twin, last = (bench.writer.submit(inserting(n)) for n in (1, 1, 2))
    bench.writer.start()
    assert first.result(30) == 1
    with pytest.raises(IntegrityError):
        twin.result(30)
    assert last.result(30) == 2
    assert bench.numbers() == [1, 2]


def test_a_commit_of_unknown_outcome_is_not_repeated(bench: Bench) -> None:
    """P4: nobody is told that it worked, and nothing is done twice."""
    runs: list[int] = []

    def fail(_connection: Connection) -> None:
        raise OSError("the disk is gone")

    def count(session: Session) -> int:
        runs.append(1)
        return inserting(len(runs))(session)

    event.listen(bench.database.engine, "commit", fail)
    futures = [bench.writer.submit(count) for _ in range(2)]
    bench.writer.start()
    for future in futures:
        with pytest.raises(OSError, match="the disk is gone"):
            future.result(30)
    assert (len(runs), bench.doubts) == (2, 1)


def test_an_answer_is_given_after_the_commit(bench: Bench) -> None:
    """P4: whoever has the answer finds its effect in the database."""
    bench.writer.start()
    for number in range(20):
        bench.writer.submit(inserting(number)).result(30)
        assert bench.numbers()[-1] == number


def test_a_caller_who_has_gone_leaves_the_writer_alone(bench: Bench) -> None:
    """A cancelled operation that has not begun is not run."""
    gone = bench.writer.submit(inserting(1))
    gone.cancel()
    bench.writer.start()
    assert bench.writer.submit(inserting(2)).result(30) == 2
    assert bench.numbers() == [2]


def test_closing_finishes_what_was_accepted(bench: Bench) -> None:
    """Operations that were queued before are committed."""
    started = threading.Event()
    bench.writer.submit(lambda _connection: started.wait(30))
    last = bench.writer.submit(inserting(2))
    bench.writer.start()
    started.set()
    bench.writer.close()
    assert last.result(0) == 2
    assert bench.numbers() == [2]


def test_an_operation_that_was_given_up_in_time_is_never_done(bench: Bench) -> None:
    """P9: who was told that nothing was changed finds nothing changed, whenever it begins."""
    given_up = bench.writer.enqueue(inserting(1))
    assert given_up.give_up()
    bench.writer.start()
    assert bench.writer.submit(inserting(2)).result(30) == 2
    assert bench.numbers() == [2]


def test_an_operation_whose_caller_has_left_is_not_begun(bench: Bench) -> None:
    """The caller is looked for when its turn has come, not when it asked."""
    there = True
    left = bench.writer.submit(inserting(1), is_wanted=lambda: there)
    stays = bench.writer.submit(inserting(2))
    there = False
    bench.writer.start()
    assert stays.result(30) == 2
    with pytest.raises(Unavailable, match="nothing was changed"):
        left.result(30)
    assert bench.numbers() == [2]


def test_nothing_begins_before_there_is_a_transaction(bench: Bench) -> None:
    """While the turn is another process's, an operation can be given up for certain."""
    turn = WriteLock(Path(str(bench.database.url.database)))
    bench.writer.start()
    with turn.held():
        waiting = bench.writer.enqueue(inserting(1))
        time.sleep(0.2)
        assert bench.writer.oldest() >= 0.1
        assert waiting.give_up()
    assert bench.writer.submit(inserting(2)).result(30) == 2
    assert bench.numbers() == [2]
    turn.close()


def test_one_that_is_given_up_too_late_takes_nobody_with_it(bench: Bench) -> None:
    """Before its transaction commits it is left out, and the others of its group are done."""
    given_up = bench.writer.enqueue(inserting(1))

    def give_up(session: Session) -> int:
        given_up.give_up()
        return inserting(2)(session)

    other = bench.writer.submit(give_up)
    bench.writer.start()
    assert other.result(30) == 2
    with pytest.raises(Unavailable, match="nothing was changed"):
        given_up.future.result(30)
    assert bench.numbers() == [2]


def test_those_who_give_up_leave_nothing_in_the_queue(bench: Bench) -> None:
    """While the writer stands still for hours, those who come and go take no memory."""
    for number in range(1000):
        bench.writer.enqueue(inserting(number)).give_up()
    assert bench.writer.oldest() == 0
    assert len(bench.writer._queue._small) <= 1

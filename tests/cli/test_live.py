"""The live screen of `rheostat run watch`: what it shows, and that a terminal survives it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rich.console import Console
from tests.cli.conftest import Command, Settle
from tests.cli.test_screen import ACTS, HOSTILE, SHOWN
from tests.cli.test_workers import ETA, answer

from rheostat.cli.views import live, revisions
from rheostat.cli.views.screen import Frame, Screen
from rheostat.server.routes.controllers import ARMED
from rheostat.server.routes.proposals import OPEN
from rheostat.server.routes.revisions import HALVED
from rheostat.server.routes.runs import STATE

ALTERNATE, NORMAL, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
"""What a terminal is told: another screen, the old one again, and to show the cursor."""


PLANNED = {
    "steps": [0, 50_000, 100_000],
    "parameters": {"lr": [3e-4, 1.65e-4, 3e-5]},
    "settled_until": 4096,
}


def sight(**run: Any) -> Any:
    """Return what is seen of a run that has something of everything."""
    stop = {"revision": 4, "effective": 50_000, "hold": True, "told": False}
    return {
        "run": {**STATE, "total": 100_000, "settled_until": 43_210, "stops": [stop], **run},
        "controllers": [ARMED],
        "proposals": [OPEN],
        "workers": answer(wrong=1, last=81_912, eta=[ETA] * 9),
        "recent": [HALVED],
        "plan": PLANNED,
        "seen": 0.0,
        "pace": 31.25,
        "trouble": None,
    }


def drawn(seen: Any, width: int = 80) -> str:
    """Return the picture, without colours."""
    console = Console(width=width, color_system=None, highlight=False, emoji=False, markup=False)
    frame = Frame(console)
    live.run(frame, seen)
    with console.capture() as captured:
        console.print(frame.picture())
    return captured.get()


def test_all_that_matters_is_on_one_screen() -> None:
    """Where it is, how fast, what holds it, controllers, proposals, and what was done last."""
    text = drawn(sight())
    said = " ".join(text.split())
    assert text.startswith("gpt-7b  live  generation 1")
    for part in (
        "settled until step 43,210 of 100,000",
        "43% 31.2/s, 30 min left",
        "workers 8 alive, 1 wrong, at 81,912 to 81,920, proven until 81,664",
        "revision 7 at step 90,112: 0 of 8 have come to it, the last is 8,192 steps, about 43",
        "at step 50,000, 6,790 to go, by revision 4",
        ARMED["config"]["metric"],
        "Waiting for a yes",
        "Done last",
        "▲ workers",
    ):
        assert part in said, part


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(width: int) -> None:
    """No line is wider, whatever has long names and messages, and long lists end soon."""
    long = {**HALVED, "message": "long " * 800, "author": "a" * 200}
    many = {**sight(pending=[long] * 50), "recent": [long] * 8}
    lines = drawn(many, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "… and 44 more" in lines


def test_a_run_that_nobody_trains_has_no_line_of_workers() -> None:
    """What is not there takes no room, nor does it leave a blank line."""
    nobody = answer(alive=0, first=None, last=None, pace=None, proven_until=None)
    text = drawn({**sight(stops=[]), "workers": nobody})
    assert "workers" not in text
    assert "\n\n\n" not in text


def test_what_was_done_is_told_in_the_words_of_a_history(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is in force, and a stop that a rewind has lifted, are not called otherwise here."""
    first, second = (
        {**STATE["generations"][0], "generation": 1, "settled_until": 2000},
        {**STATE["generations"][0], "generation": 2, "parent": 1, "settled_until": 2000},
    )
    here = {"generation": 2, "generations": [first, second], "stops": []}
    changed = {**HALVED, "generation": 1, "state": "settled", "left_by": None}
    stopped = {**changed, "revision": 9, "kind": "stop", "changes": {}, "left_by": 2}
    recent: Any = [changed, {**stopped, "effective": 1500, "state": "dropped"}]
    seen = {**sight(**here), "recent": recent}
    live_words = " ".join(drawn(seen, 200).split())
    revisions.history(Screen(), recent, recent, run=seen["run"], origin=None)
    history_words = " ".join(capsys.readouterr().out.split())
    for words in (live_words, history_words):
        assert "in force" in words
        assert "lifted by the rewind to generation 2" in words


def test_nothing_that_others_wrote_acts() -> None:
    """Names, messages and reasons are shown as what they are."""
    seen = sight(name=HOSTILE)
    seen["recent"] = [{**HALVED, "message": HOSTILE, "author": HOSTILE}]
    seen["proposals"] = [{**OPEN, "message": HOSTILE}]
    seen["trouble"] = HOSTILE
    text = drawn(seen, 500)
    assert text.count(SHOWN) >= 5
    assert not ACTS.search(text)


def test_a_service_that_is_away_is_said() -> None:
    """What was seen last stays, with why it is old."""
    text = drawn({**sight(), "trouble": "no answer from http://there"})
    assert "No answer, seen last at that time: no answer from http://there" in text


@contextmanager
def terminal(url: str, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[..., str]]]:
    """Run a command on a terminal of 80 columns, and read from it until a text has come."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    seen = bytearray()

    def until(text: str, seconds: float = 60.0) -> str:
        end = time.monotonic() + seconds
        while text.encode() not in seen and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen.extend(os.read(master, 65_536))
                except OSError:  # the other end is closed
                    break
        assert text.encode() in seen, seen.decode(errors="replace")
        return seen.decode(errors="replace")

    with subprocess.Popen(
        [sys.executable, "-m", "rheostat.cli", *words],
        env={**environment, "RHEOSTAT_URL": url, "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        try:
            yield process, until
        finally:
            process.kill()
            os.close(master)


def test_a_terminal_sees_what_happens(
    operator: Command, server: str, run: str, settle: Settle
) -> None:
    """A change, a pause and the end appear by themselves; then the old screen is back."""
    with terminal(server, "run", "watch", run) as (process, until):
        assert ALTERNATE in until("settled until step 100 of 1,000")
        operator(f"run change {run} lr scale 0.5 -m half")
        until("half")
        operator(f"run pause {run} --at 200")
        until("at step 200, 100 to go")
        settle(run, 200)
        until("paused")
        operator(f"run finish {run}")
        text = until("finished")
        assert process.wait(60) == 0
        text = until(NORMAL)
    assert CURSOR in text
    assert not re.search(r"Traceback|Error", text)


def test_ctrl_c_leaves_the_terminal_as_it_was(server: str, run: str) -> None:
    """The cursor and the old screen are back, with the last picture, and the exit code is 130."""
    with terminal(server, "run", "watch", run) as (process, until):
        until("Done last")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        before, _, after = until(CURSOR).rpartition(NORMAL)
        assert ALTERNATE in before
        assert "Traceback" not in after

"""What docs/hooks.md says of receiving messages works as it stands there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

from tests.ports import free_port
from tests.server.hooks.test_posting import hook

from rheostat import wire
from rheostat.server.hooks import messages, signing
from rheostat.server.hooks.posting import Posted, Poster
from rheostat.server.hooks.targets import Networks

PAGE = (Path(__file__).parents[1] / "docs/hooks.md").read_text()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SECRET,) = re.findall(r'b64decode\("(.*?)"\)', PROGRAM)


def send(port: int, secret: str) -> Posted:
    """Send a message to whoever listens on a port of this machine, as soon as somebody does."""

    async def until_somebody_listens() -> Posted:
        poster = Poster(Networks.parse(["127.0.0.1"]))
        to = hook(f"http://127.0.0.1:{port}/", secrets=(secret,))
        content = messages.trial("a", "2026-01-01T12:00:00Z")
        end = time.monotonic() + 30
        while True:
            posted = await poster.post(to, "msg_1", content)
            if posted.status is not None or time.monotonic() > end:
                await poster.close()
                return posted
            await asyncio.sleep(0.05)

    return asyncio.run(until_somebody_listens())


def test_the_receiver_of_the_page_knows_our_messages() -> None:
    """Its program takes what is signed with its secret, and nothing that is not."""
    port = free_port()
    program = PROGRAM.replace("9000", str(port))
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert send(port, f"whsec_{SECRET}").status == 204
        assert send(port, signing.new_secret()).status == 401
        assert running.stdout is not None
        assert running.stdout.readline() == b"msg_1 hook.test\n"
    finally:
        running.kill()
        running.communicate()


def test_the_page_has_every_event() -> None:
    """Whoever sets a hook finds each word on the page."""
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    assert {*re.findall(r"`([a-z-]+)`", rows)} >= {*get_args(wire.HookEvent)}

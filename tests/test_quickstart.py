"""The five minutes of docs/quickstart.md, gone through as they are written."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/quickstart.md").read_text()
NUMBER = re.compile(r"step ([\d,]+)")


def commands() -> list[str]:
    """Return the commands of the page, as they are typed."""
    return re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)


def typed(line: str, folder: Path, environment: dict[str, str]) -> str:
    """Type a line in the folder of the training, and return what it prints."""
    words = shlex.split(line)
    assert words[0] == "rheostat"
    command = [sys.executable, "-m", "rheostat.cli", *words[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_five_minutes_go_as_they_are_told(tmp_path: Path) -> None:
    """The script trains without a server, and a command changes its rate where it says."""
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "train.py").write_text(
        script.replace("rheostat.local()", "rheostat.local(linger=0)").replace("0.02", "0.05")
    )
    start, change, *looks = commands()
    assert start == "python train.py"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RHEOSTAT_")}
    rates: dict[int, float] = {}
    with subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as training:
        assert training.stdout is not None
        try:
            first = training.stdout.readline()
            assert re.fullmatch(r"rheostat\.db is served at http://127\.0\.0\.1:\d+\n", first)
            assert training.stdout.readline() == "step 0  lr 0.1000\n"
            server = json.loads((tmp_path / "rheostat.db.endpoint").read_text())
            environment |= {"RHEOSTAT_URL": server["url"], "RHEOSTAT_TOKEN": server["token"]}
            said = typed(change, tmp_path, environment)
            found = NUMBER.search(said)
            assert found, said
            effective = int(found[1].replace(",", ""))
            while not rates or max(rates) < effective:
                _, step, _, rate = training.stdout.readline().split()
                rates[int(step)] = float(rate)
            for line, told in zip(looks, ("cosine", "too fast", "Step 300"), strict=True):
                assert told in typed(line, tmp_path, environment)
        finally:
            training.kill()
    for at, value in rates.items():
        planned = 0.05 * (1 + math.cos(math.pi * at / 2000))
        assert abs(value - planned * (0.5 if at >= effective else 1.0)) < 5.1e-5  # four digits

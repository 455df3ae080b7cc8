"""
Draws the pictures of `docs/page`: each view at three widths, in both themes.

    python -m tests.page.pictures docs/page

It starts a server with a made-up day of trainings on it, and needs playwright, Pillow and Chromium.
"""

from __future__ import annotations

import io
import math
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright
from tests.conftest import RunningServer, open_tokens
from tests.page.conftest import QUICK, chromium, sign_in
from tests.page.training import BODY, Training

WIDTHS = {"wide": (1280, 800), "middle": (820, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
COLOURS = 96
"""In a picture, so that a hundred of them are no burden on the repository."""

WARM = {
    "kind": "warmup",
    "steps": 500,
    "then": {"kind": "cosine", "start": 4e-4, "end": 4e-5, "steps": "rest"},
}
GPT: dict[str, Any] = {
    "name": "gpt-7b",
    "parameters": {
        "lr": WARM,
        "weight_decay": 0.1,
        "momentum": {"kind": "linear", "start": 0.85, "end": 0.95, "steps": 20_000},
    },
    "total": 20_000,
    "labels": {"team": "nlp", "stage": "pretrain"},
    "about": "7 B parameters on the second mixture.\nThe spike at 9,000 came from a bad shard.",
    "goal": {"metric": "val_loss", "target": 2.1},
    "describe": {"lr": {"text": "peak rate of AdamW", "takes_effect": "step"}},
    "signals": BODY["signals"],
    "controllers": {
        "plateau": {"kind": "plateau", "metric": "val_loss", "factor": 0.5, "patience": 4},
        "spike": {
            "kind": "guard",
            "metric": "loss",
            "above": {"sigma": 6},
            "changes": {"lr": {"edit": "scale", "factor": 0.5}},
        },
    },
}
LONG = "a-very-long-name-that-somebody-made-of-a-date-2026-11-29T16-50-00-and-a-host-and-a-seed-17"
CURVES = (
    {"kind": "cosine", "start": 3e-4, "end": 3e-5, "steps": "rest"},
    {"kind": "wsd", "peak": 6e-4, "warmup": "5%", "decay": "20%"},
    {"kind": "linear", "start": 1e-3, "end": 0, "steps": "rest"},
    {"kind": "one_cycle", "peak": 1e-3, "start": 1e-4, "end": 1e-6, "steps": "rest"},
)


class Day:
    """What has happened on the server before its page is looked at."""

    def __init__(self, url: str, secret: str | None = None) -> None:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        self.http = httpx.Client(base_url=f"{url}/v1", timeout=60, headers=headers)
        self.chance = random.Random(7)

    def send(self, method: str, path: str, body: Any = None, author: str = "ann") -> Any:
        """Ask for something, which must be done."""
        answer = self.http.request(method, path, json=body, headers={"Rheostat-Author": author})
        assert not answer.is_error, answer.text
        return answer.json() if answer.content else None

    def settle(self, run: str, generation: int, start: int, stop: int) -> None:
        """Read values as a worker does."""
        for begin in range(start, stop, 250):
            asked = {"generation": generation, "start": begin, "count": 250}
            answer = self.http.get(f"/runs/{run}/values", params=asked)
            assert not answer.is_error, answer.text

    def others(self) -> None:
        """Make the runs that fill a list."""
        for number in range(28):
            name = f"{self.chance.choice(['llama', 'vit', 'mamba', 'dit'])}-{number:02}"
            body = {
                "name": LONG if number == 4 else name,
                "parameters": {"lr": self.chance.choice(CURVES)},
                "total": self.chance.choice([2000, 5000, 40_000]),
                "labels": {
                    "team": self.chance.choice(["nlp", "vision"]),
                    "stage": self.chance.choice(["pretrain", "mid", "decay"]),
                },
            }
            author = self.chance.choice(["ann", "bob", "eve"])
            run = self.send("POST", "/runs", body, author)
            self.settle(run["id"], 1, 0, 250 * self.chance.randrange(8))
            self._fate(number, run["id"])

    def _fate(self, number: int, run: str) -> None:
        match number % 7:
            case 1 | 4:
                change = {"lr": {"edit": "scale", "factor": self.chance.choice([0.5, 0.8, 2])}}
                said = {"changes": change, "message": self.chance.choice(["spike", "too slow", ""])}
                self.send("POST", f"/runs/{run}/revisions", said, "bob")
            case 2:
                self.send("POST", f"/runs/{run}/pause", {"message": "a look at the data"}, "eve")
            case 5:
                self.send("POST", f"/runs/{run}/finish", {})

    def gpt(self) -> str:
        """Train a run that spikes, is rewound, and goes on; return its id."""
        run = self.send("POST", "/runs", GPT)["id"]
        self.settle(run, 1, 0, 4000)
        decay = {"weight_decay": {"edit": "ramp", "to": 0.05, "steps": 2000}}
        self.send("POST", f"/runs/{run}/revisions", {"changes": decay, "message": "as planned"})
        self.settle(run, 1, 4000, 9500)
        self.report(run, 1, 0, 9500, spike=9000)
        for step in range(1000, 9001, 1000):
            self.save(run, 1, step)
        note = {"text": "NaN in layer 7 on rank 2", "step": 9100, "level": "error"}
        self.send("POST", f"/runs/{run}/notes", note, "rank-2")
        halve = {"lr": {"edit": "scale", "factor": 0.5}}
        back = {"to": 8000, "changes": halve, "message": "a bad shard: skip it, slower"}
        self.send("POST", f"/runs/{run}/rewind", back, "bob")
        self.settle(run, 2, 8000, 11_500)
        self.report(run, 2, 8000, 11_500)
        self.save(run, 2, 9000)
        signal = {"signal": "switch-data", "arguments": {"stage": 2}}
        self.send("POST", f"/runs/{run}/signals", signal)
        ramp = {"lr": {"edit": "ramp", "to": 0, "steps": 3000, "shape": "1-sqrt"}}
        cool = {"changes": ramp, "effective": 16_000, "message": "cool down"}
        self.send("POST", f"/runs/{run}/revisions", cool)
        return str(run)

    def act(self, run: str, agent: httpx.Client) -> None:
        """Have an agent change a run, ask for more than it may, and suggest the rest."""
        path = f"/v1/runs/{run}"
        slower = {"lr": {"edit": "scale", "factor": 0.7}}
        body = {"changes": slower, "message": "loss rises on the new mixture"}
        agent.post(f"{path}/revisions", json=body).raise_for_status()
        self.settle(run, 2, 11_500, 11_750)
        hold = {"lr": {"edit": "hold", "steps": 300}}
        body = {"changes": hold, "message": "see whether it lasts"}
        agent.post(f"{path}/revisions", json={**body, "effective": 12_500}).raise_for_status()
        ramp = {"weight_decay": {"edit": "ramp", "to": 0.05, "steps": 1000}}
        body = {"changes": ramp, "message": "gradients shrink: less decay"}
        agent.post(f"{path}/revisions", json=body)  # which it may not
        asked = {"kind": "change", "body": body}
        agent.post(f"{path}/proposals", json=asked).raise_for_status()

    def save(self, run: str, generation: int, step: int) -> None:
        """Say that a checkpoint was saved."""
        saved = {"step": step, "tag": f"step-{step}", "uri": f"s3://ckpt/gpt-7b/{step}"}
        body = {"generation": generation, "source": "rank-0", **saved, "bytes": 84_000_000_000}
        self.send("POST", f"/runs/{run}/checkpoints", body)

    def report(self, run: str, generation: int, start: int, stop: int, spike: int = 0) -> None:
        """Report losses that fall, and maybe one that does not."""
        points = []
        for step in range(start + 25, stop, 25):
            metrics = {"loss": self.loss(step) + (spike and step > spike) * 2.5}
            if step % 500 == 0:
                metrics["val_loss"] = self.loss(step) + 0.08
            points.append({"step": step, "metrics": metrics})
        for begin in range(0, len(points), 100):
            body = {"generation": generation, "reports": points[begin : begin + 100]}
            self.send("POST", f"/runs/{run}/reports", body)

    def loss(self, step: int) -> float:
        """Return what a training of this length might measure."""
        return 2 + 3 * math.exp(-step / 2500) + self.chance.gauss(0, 0.04)


View = tuple[str, Callable[[Any], None]]


def click(name: str) -> Callable[[Any], None]:
    """Return what opens a dialog."""

    def open_dialog(page: Any) -> None:
        page.get_by_role("button", name=name).first.click()
        page.locator("dialog .effect, dialog .effects").first.wait_for()
        page.wait_for_timeout(400)

    return open_dialog


def refused(page: Any) -> None:
    """Type what is refused."""
    click("Change…")(page)
    page.get_by_label("factor").fill("-1")
    page.locator("dialog .fault").first.wait_for()


def asked_why(page: Any) -> None:
    """Ask for the reason of a value, in a range."""
    page.get_by_role("button", name="Around now").click()
    page.get_by_label("Why at step").fill("11200")
    page.keyboard.press("Enter")
    page.locator(".why dl").wait_for()
    page.wait_for_timeout(400)


def rare(name: str) -> Callable[[Any], None]:
    """Return what opens a dialog of the menu, and fills in what it is about."""

    def open_dialog(page: Any) -> None:
        page.get_by_label("More", exact=True).click()
        page.get_by_role("button", name=name).click()
        if name == "Total…":
            page.get_by_role("textbox", name="total").fill("30000")
            page.locator("dialog .effect").wait_for()
        page.wait_for_timeout(400)

    return open_dialog


def arming(page: Any) -> None:
    """Begin to arm a guard."""
    page.get_by_role("button", name="Arm…").click()
    page.get_by_label("kind", exact=True).select_option("guard")
    page.get_by_label("metric").fill("loss")
    page.get_by_label("sigma").fill("6")


def turned_away(page: Any) -> None:
    """Sign in with what is no token."""
    page.get_by_label("Token").fill("rheo_" + "0" * 40)
    page.get_by_role("button", name="Sign in").click()
    page.locator(".trouble").wait_for()


def signed_in(who: str, then: Callable[[Any], None] | None = None) -> Callable[[Any], None]:
    """Return what signs in, and goes on."""

    def prepare(page: Any) -> None:
        sign_in(page, SECRETS[who])
        page.locator(".history .item").first.wait_for()
        page.wait_for_timeout(1500)
        if then:
            then(page)

    return prepare


def past_its_limit(page: Any) -> None:
    """Try, as an agent, what comes too soon."""
    page.get_by_role("button", name="Change…").click()
    page.locator("dialog .trouble").wait_for()
    page.get_by_label("message").fill("still too fast")


def menu(page: Any) -> None:
    """Open the menu of what is ordered rarely."""
    page.get_by_label("More", exact=True).click()


def with_curves(page: Any) -> None:
    """Wait for the curves of all rows, for which a busy service takes several answers."""
    page.wait_for_function(
        "() => document.querySelectorAll('.spark').length =="
        " document.querySelectorAll('tbody tr:not(.room)').length",
        timeout=90_000,
    )


def filtered(page: Any) -> None:
    """Leave nothing in the list."""
    page.get_by_label("Filter").fill("team=audio")
    page.locator(".empty").wait_for()


def nothing(_page: Any) -> None:
    """Look at it as it comes."""


VIEWS: dict[str, View] = {
    "runs": ("/", with_curves),
    "none": ("/", filtered),
    "run": ("/runs/gpt-7b", nothing),
    "why": ("/runs/gpt-7b", asked_why),
    "change": ("/runs/gpt-7b", click("Change…")),
    "refused": ("/runs/gpt-7b", refused),
    "workers": ("/runs/gpt-7b/workers", nothing),
    "controllers": ("/runs/gpt-7b/controllers", nothing),
    "tree": ("/runs/gpt-7b/tree", nothing),
    "rewind": ("/runs/gpt-7b/tree", click("Rewind…")),
    "arm": ("/runs/gpt-7b/controllers", arming),
    "menu": ("/runs/gpt-7b", menu),
    "total": ("/runs/gpt-7b", rare("Total…")),
    "delete": ("/runs/gpt-7b", rare("Delete…")),
    "definition": ("/runs/gpt-7b/definition", nothing),
    "new": ("/new", nothing),
    "long": (f"/runs/{LONG}", nothing),
    "login": ("/", turned_away),
    "agents": ("/runs/gpt-7b/agents", signed_in("ann")),
    "limited": ("/runs/gpt-7b", signed_in("tuner", past_its_limit)),
}
GUARDED = {"login", "agents", "limited"}
"""Views of a server that asks for a token."""

SECRETS: dict[str, str] = {}
"""Of the tokens of that server, by their names."""

LIMIT = "changes=3/day, gap=500, parameters=lr, edits=scale|hold, ratio=2"


def palette(shot: Image.Image) -> Image.Image:
    """Return the colours that a picture has most of, as they are: what PIL makes are others."""
    found = sorted(shot.getcolors(1 << 24) or [], reverse=True)[:COLOURS]
    most: list[Any] = [colour for _, colour in found]
    most += most[:1] * (256 - len(most))
    made = Image.new("P", (1, 1))
    made.putpalette([channel for colour in most for channel in colour])
    return made


def draw(folder: Path, url: str, guarded: str, only: list[str]) -> None:
    """Write the pictures, of a server and of one that asks for a token."""
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for width, (across, down) in WIDTHS.items():
            size = {"width": across, "height": down}
            window = browser.new_context(viewport=size, reduced_motion="reduce")
            page = window.new_page()
            for name, (path, prepare) in VIEWS.items():
                if only and name not in only:
                    continue
                page.emulate_media(color_scheme="light")
                window.clear_cookies()
                page.goto((guarded if name in GUARDED else url) + path)
                page.locator(".list, .empty, .head, .compose, .narrow").first.wait_for()
                page.wait_for_timeout(1200)
                prepare(page)
                for theme in THEMES:
                    page.emulate_media(color_scheme=theme)
                    page.wait_for_timeout(150)
                    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                    small = shot.quantize(palette=palette(shot), dither=Image.Dither.NONE)
                    small.save(folder / f"{name}-{width}-{theme}.png", optimize=True)
        browser.close()


def with_tokens(folder: Path) -> Path:
    """Make a folder whose database has tokens, without which no server asks for any."""
    folder.mkdir()
    with open_tokens(f"sqlite:///{folder / 'rheostat.db'}") as tokens:
        SECRETS["ann"] = tokens.create("ann", "admin")["token"]
        SECRETS["tuner"] = tokens.create("tuner", "operator", limit=LIMIT)["token"]
    return folder


def main(folder: str, *only: str) -> None:
    """Make the day, and draw it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        server = RunningServer(Path(place), {}, QUICK)
        stack.callback(server.close)
        day = Day(server.url)
        day.others()
        day.gpt()
        training = Training(server.url, "gpt-7b", ranks=4, start=11_500, wrong_at=11_600, pace=0.05)
        stack.callback(training.close)
        training.until(11_700, 60)
        guarded = RunningServer(with_tokens(Path(place) / "guarded"), {"auth": "true"}, QUICK)
        stack.callback(guarded.close)
        watched = Day(guarded.url, SECRETS["ann"])
        tuner = {"Authorization": f"Bearer {SECRETS['tuner']}"}
        with httpx.Client(base_url=guarded.url, timeout=60, headers=tuner) as agent:
            watched.act(watched.gpt(), agent)
        draw(Path(folder), server.url, guarded.url, list(only))


if __name__ == "__main__":
    main(*sys.argv[1:])

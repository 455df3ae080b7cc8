"""`rheostat run checkpoints`, and going back to one, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rheostat.cli.views.text import size

if TYPE_CHECKING:
    from tests.cli.conftest import Command


class Saver:
    """Says what a run's workers have saved."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http = http
        self.id = http.get(f"/v1/runs/{name}").json()["id"]

    def __call__(self, step: int, tag: str = "last", generation: int = 1, **more: Any) -> None:
        """Say that a checkpoint was saved."""
        saved = {"generation": generation, "step": step, "tag": tag, "source": "rank-0", **more}
        self.http.post(f"/v1/runs/{self.id}/checkpoints", json=saved).raise_for_status()


@pytest.fixture
def save(http: httpx.Client, run: str) -> Saver:
    """Return what says that a checkpoint of the run was saved."""
    return Saver(http, run)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of a table."""
    return [line.split() for line in text.splitlines()[1:]]


def test_checkpoints_are_listed(operator: Command, run: str, save: Saver) -> None:
    """The furthest first, with size and place; one beyond a rewind is off the line."""
    assert "No checkpoint is known" in operator(f"run checkpoints {run}").out
    save(40, "best", uri="s3://ckpt/40", bytes=84_113_620_992)
    save(80)
    operator(f"run rewind {run} 60")
    found = rows(operator(f"run checkpoints {run}").out)
    assert [row[:3] for row in found] == [["80", "last", "1"], ["40", "best", "1"]]
    assert "off" in found[0]
    assert found[1][-4:] == ["84.1", "GB", "on", "s3://ckpt/40"]
    assert len(rows(operator(f"run checkpoints {run} --tag best").out)) == 1
    (only,) = operator(f"run checkpoints {run} --tag last --json").json
    assert (only["step"], only["on_line"]) == (80, False)


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (84_113_620_992, "84.1 GB")],
)
def test_sizes_are_for_people(count: int, written: str) -> None:
    """In powers of a thousand, to three digits."""
    assert size(count) == written


def test_a_rewind_warns_first_and_says_from_what_to_resume(
    operator: Command, run: str, save: Saver
) -> None:
    """The warning names the nearest, and how to go there: once, and on standard error."""
    save(40, "best", uri="s3://ckpt/40")
    done = operator(f"run rewind {run} 60")
    warning = "Warning: no checkpoint of step 60 is known: the nearest before it is 'best', of step"
    assert done.err.count(warning) == 1
    assert f"rheostat run rewind {run} 40" in done.err
    assert "resume from:  'best' of step 40 in generation 1, saved" in done.out
    assert "(s3://ckpt/40)" in done.out
    assert operator(f"run rewind {run} 40").err == ""
    as_json = operator(f"run rewind {run} 20 --json").json
    assert as_json["warnings"] == ["no checkpoint at or below step 20 is known"]


def test_whoever_saves_nothing_is_not_warned(operator: Command, run: str) -> None:
    """Of a training that tells of no checkpoints their lack says nothing."""
    done = operator(f"run rewind {run} 60")
    assert (done.code, done.err) == (0, "")
    assert "resume from" not in done.out


def test_a_person_is_asked_whether_to_go_on(
    operator: Command, run: str, save: Saver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal, if there is a warning, unless --yes is given; a no changes nothing."""
    save(40)
    monkeypatch.setattr("rheostat.cli.commands.branching.at_terminal", lambda: True)
    refused = operator(f"run rewind {run} 60", stdin="n\n")
    assert refused.code == 1
    assert "Go on all the same?" in refused.err
    assert operator(f"run show {run} --json").json["generation"] == 1
    assert operator(f"run rewind {run} 40").code == 0
    assert operator(f"run rewind {run} 39 --yes").code == 0
    assert operator(f"run rewind {run} 38", stdin="y\n").code == 0
    assert operator(f"run show {run} --json").json["generation"] == 4


def test_a_rewind_goes_to_a_tag(operator: Command, run: str, save: Saver) -> None:
    """The newest on the line, which it names; a change may follow."""
    for step in (20, 40):
        save(step)
    save(90)
    operator(f"run rewind {run} 60")
    done = operator(f"run rewind {run} --to-checkpoint last lr scale 0.5 -m 'try half'")
    assert "Checkpoint 'last' of step 40 in generation 1, saved" in done.err
    assert "the newest of 2 of this tag." in done.err
    assert done.out.startswith("Generation 3 goes on from step 40 of generation 2.")
    newest = operator(f"run history {run} --json").json[-1]
    assert (newest["effective"], newest["message"]) == (40, "try half")
    assert newest["changes"] == {"lr": [{"edit": "scale", "factor": 0.5}]}


def test_the_newest_of_a_tag_is_the_one_saved_last(
    operator: Command, run: str, save: Saver
) -> None:
    """A training that was restarted, and saved again further back, is there and not ahead."""
    save(80)
    save(50)
    assert "from step 50 of" in operator(f"run rewind {run} --to-checkpoint last").out


def test_within_a_cell_a_rewind_goes_to_its_end(
    operator: Command, new_name: Any, settle: Any, http: httpx.Client
) -> None:
    """A run of cells of 8 whose checkpoint is at 20 is rewound to 24, which a join takes."""
    name = new_name()
    operator(f"run create {name} lr 0.5 --resolution 8")
    settle(name, 8)
    Saver(http, name)(20)
    done = operator(f"run rewind {name} --to-checkpoint last --json").json
    assert (done["from"], done["checkpoint"]["step"], done["warnings"]) == (24, 20, [])
    warned = operator(f"run rewind {name} 48 --from-generation 1").err
    assert f"rheostat run rewind {name} 24 --from-generation 1" in warned


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("rewind {run}", 2, "give a STEP, or --to-checkpoint TAG"),
        ("rewind {run} soon", 2, "'soon' is not a whole number of steps"),
        ("rewind {run} 30 --to-checkpoint last", 2, "give a STEP or --to-checkpoint, not both"),
        ("fork {run} b --step 3 --to-checkpoint last", 2, "give --step or --to-checkpoint"),
        ("rewind {run} --to-checkpoint best", 1, "no checkpoint 'best' of {run} is known"),
        ("rewind {run} --to-checkpoint last", 1, "add --from-generation 1"),
        ("fork {run} b --to-checkpoint last", 1, "add --generation 1"),
    ],
)
def test_a_tag_that_cannot_be_gone_to_is_explained(
    operator: Command, run: str, save: Saver, line: str, code: int, said: str
) -> None:
    """With what would go; the run stays where it is."""
    save(80)
    operator(f"run rewind {run} 60")
    refused = operator(f"run {line.format(run=run)}")
    assert refused.code == code
    assert said.format(run=run) in refused.err
    assert operator(f"run show {run} --json").json["generation"] == 2


def test_a_checkpoint_beyond_a_rewind_is_reached_from_its_generation(
    operator: Command, run: str, save: Saver
) -> None:
    """As the refusal says."""
    save(80)
    operator(f"run rewind {run} 60")
    done = operator(f"run rewind {run} --to-checkpoint last --from-generation 1")
    assert done.out.startswith("Generation 3 goes on from step 80 of generation 1.")
    assert operator(f"run checkpoints {run} --json").json[0]["on_line"]


def test_a_fork_goes_from_a_tag(operator: Command, run: str, save: Saver, new_name: Any) -> None:
    """It says from what to resume, and lists what belongs to its past."""
    save(40, "best", uri="s3://ckpt/40")
    name = new_name()
    done = operator(f"run fork {run} {name} --to-checkpoint best lr scale 0.5")
    assert f"Run {name} is ready" in done.out
    assert "goes on from step 40" in done.out
    assert "resume from:  'best' of step 40 in generation 1 of run_" in done.out
    assert rows(operator(f"run checkpoints {name}").out)[0][:2] == ["40", "best"]


def test_a_dry_run_says_what_would_be_dropped(
    operator: Command, run: str, save: Saver, new_name: Any
) -> None:
    """Revisions by what they change and whose they are; nothing is done."""
    save(40, "best")
    operator(f"run change {run} lr scale 0.5 --at 500 -m 'loss spike'")
    shown = operator(f"run rewind {run} 60 --dry-run")
    assert "Generation 2 would go on from step 60 of generation 1." in shown.out
    assert "Last checkpoint there: 'best' of step 40" in shown.out
    assert "It would drop 1 revision:" in shown.out
    assert "lr scale 0.5" in shown.out
    assert "loss spike" in shown.out
    assert shown.out.endswith("Nothing has been changed.\n")
    shown = operator(f"run fork {run} {new_name()} --step 40 --dry-run")
    assert "It would not have 1 revision:" in shown.out
    assert shown.out.endswith("Nothing has been made.\n")
    assert operator(f"run show {run} --json").json["generation"] == 1

"""
The manual of the converters, made from their tables.

``python -m rheostat.converters.docs docs`` writes ``docs/converters.md``; a test fails when
it is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Final

from rheostat.converters.configs import projects
from rheostat.converters.configs.documents import SYNTAXES
from rheostat.converters.configs.project import Project
from rheostat.converters.core import Library
from rheostat.converters.registry import NAMES, files

_MOST_SIGNS: Final = 4
"""Fields and flags of a project that the manual names."""
HEAD = """\
# Converters

A scheduler as its own library configures it becomes a definition that gives the same values, and
a plateau or an early stopping a controller that decides at the same reports: in Python, over HTTP
and on the command line.

```python
from rheostat.schedules import convert, evaluate

definition = convert("torch", "CosineAnnealingLR", {"T_max": 100}, 0.1)
evaluate(definition, range(101))
```

```
POST /v1/convert  {"library": "torch", "name": "CosineAnnealingLR", "params": {"T_max": 100},
                   "base_value": 0.1}
rheostat convert torch CosineAnnealingLR T_max=100 --base 0.1
```

`params` is what the scheduler's constructor is given, by name, with the library's own defaults;
schedulers inside of others are `{"name", "params"}`. There may be 100,000 values, and texts of
10,000 characters. `base_value` is the value that the optimizer
starts from. `hyperparameter` is `lr` unless it is said. What else a library knows goes beside
them: `total` (fvcore, Detectron2, fastai), `steps_per_epoch` (MMEngine, and fairseq's fixed
schedule), `group` where parameters differ between groups, and so on; what a scheduler does not ask
for changes nothing.
`rheostat.torch.definition_of(scheduler)` reads a live scheduler of PyTorch, and what it returns
may stand in `create={"parameters": {"lr": …}}`, as a number may.

What reacts to a metric has no definition, for its values are no function of the step. It becomes a
controller, which a run is armed with; where its library has a warm-up in the same class, or a
schedule that it scales, that is the definition beside it.

```python
from rheostat.converters import conversion
from rheostat.controllers import simulate

found = conversion("torch", "ReduceLROnPlateau", {"factor": 0.5, "patience": 1})
found.controller.document  # {"kind": "plateau", "metric": "val_loss", "reading": "torch", …}
simulate(found.controller, [(100, 0.9), (200, 0.9), (300, 0.9)]).values  # [1.0, 1.0, 0.5]
```

```
POST /v1/convert  {"library": "keras", "name": "EarlyStopping", "params": {"patience": 3}}
rheostat convert keras EarlyStopping patience=3 --metric val_loss > stop.json
rheostat run arm gpt @stop.json
```

The answer has `controller`, and `definition` where there is one. The metric is called as its
library calls it (`monitor`, `metric_name` and the like), or as `metric` says, which comes first:
what counts is the name in the reports. Where the library names none it is `val_loss`, unless the
greatest value is the best: then `metric` is required. Whose rules count is the `reading`: a library
that none of them follows report by report is refused. What counts epochs there, as a start, needs
`steps_per_epoch`. A patience counts reports, so report as often as the library would look. Values
are compared in float64; where a library compares in float32, as Keras and Lightning do, its own may
differ at a tie. A controller reduces or stops as soon as it can, some steps after the report; with
a `gate` it does so at the very step, as the library does. `rheostat.torch.controller_of` reads a
live plateau or early stopping, of PyTorch, Lightning, Keras, transformers, Composer and others.

A whole configuration file becomes a run: its parameters (learning rate, weight decay, momentum,
batch size), the controllers of what reacts to a metric, and the lengths that it states.

```python
from rheostat.converters import config_conversion

found = config_conversion("megatron", "--lr 6e-5 --lr-decay-style cosine --train-samples 220000000")
found.parameters["lr"], found.controllers, found.total, found.axis
```

```
POST /v1/convert  {"library": "transformers", "config": "lr_scheduler_type: cosine\\nmax_steps: 9"}
rheostat convert --config sft.yaml > run.json
rheostat run create gpt @run.json --guard lr.max=1e-3
rheostat run create gpt --config sft.yaml
```

- The file's ending tells its syntax: @SYNTAXES@. A text without a name is tried in this order.
  `config` over HTTP, and in Python, is also data that was read already, or a list of words.
- **Nothing is executed.** Python is read as assignments of literals, of `dict(…)`, of names that
  were assigned before, of their members and of sums and products of these; a call is refused by its
  line. What is imported stands for its path, as `type=LinearLR` does, and for no value. The files
  that `_base_` or `read_base()` names are not read: what they may set is asked for. A script is
  read as words: what it assigns literally is filled in, arrays too, and functions and aliases count
  where they are called; a value that needs more, as `$(…)`, a trap, a sourced file or the
  environment, is refused where its flag is read.
- YAML is read as PyYAML's safe loader does, with `1e-4` as a number. A key that stands twice, a tag
  of Python and a second document are refused, and a date stays text. What stands under a project's
  own tag, as PaddleDetection's `!PiecewiseDecay`, is an object with that one key.
- The project is told by fields that no other one has. Where there are none, or those of two, the
  library is asked for; so it is where projects that share such fields, as ms-swift those of
  `TrainingArguments`, would fill in other values for what the file leaves out.
- `total` and `steps_per_epoch` say what a file leaves to the trainer; one that states its length
  must not be contradicted. Guards are yours to add.
- What says nothing about a schedule is ignored; what sounds like a schedule and is not read is
  refused, with the likely spelling.

A step is the number of completed steps, 0 first, as the library itself counts them. Values are the
mathematical ones: where a library computes in float32, its own differ in the eighth digit. What
resumes a training, as `last_epoch`, changes nothing: a definition counts from the beginning. Each
chapter ends with the parameters that change nothing; all others act, or are refused. An unknown
parameter, and whatever the library itself refuses, is refused with the reason; so is what has no
definition: a function (tabulate it: kind `table`).
"""


COMPARED = """\
## Beside the libraries

`make compare` draws configurations of every class at random, ends of ranges among them, runs each
in the library itself, and compares all of its steps, to a relative 1e-9. *Equal* are those that a
library takes for some steps and then fails at, too, up to there; *failing there* are those that it
cannot begin or go through, and that are refused. What is *refused* though the library takes it is
told below, with its reason.

<!-- compared -->
{}<!-- end of compared -->

Whole files it draws too, written as users of the project write them, in YAML, TOML, JSON, Python or
shell, which bash itself runs. The project's own code reads the same text, and its own trainer or
scheduler is stepped: every parameter, every step and the length must be the same, to a relative
1e-9, or to 1e-6 of the greatest value where the project computes in float32. Of axolotl the count
of the steps is repeated, and of timm, diffusers, OpenCLIP, torchtune and Megatron what their
scripts do beside the package. Not compared so are Detectron2, fairseq, GPT-NeoX, kohya's scripts
and nanochat, which are in no package that pip installs as it is; Levanter, whose package is of
2023; and MaxText, MMCV, nanotron, OpenRLHF, PaddleDetection, RLlib, Ultralytics and verl, whose
packages need much more than their schedules do. Of these the table of the files says what they
were checked against.

<!-- compared files -->
{}<!-- end of compared files -->
"""
MARKS = re.compile(r"(?<=<!-- compared -->\n).*(?=<!-- end of compared -->)", re.DOTALL)
MARKS_OF_FILES = re.compile(
    r"(?<=<!-- compared files -->\n).*(?=<!-- end of compared files -->)", re.DOTALL
)
"""Where the figures of the last comparison stand: of schedulers, and of whole files."""


def manual(current: str = "") -> str:
    """Return the manual, as Markdown, with the figures that the current one has."""
    figures = (marks.search(current) for marks in (MARKS, MARKS_OF_FILES))
    compared = COMPARED.format(*(found[0] if found else "" for found in figures))
    chapters = (_chapter(module, others) for module, others in NAMES.items())
    syntaxes = ", ".join(
        f"{syntax.name} ({' '.join(f'`{ending}`' for ending in syntax.endings)})"
        for syntax in SYNTAXES
    )
    return "\n".join([HEAD.replace("@SYNTAXES@", syntaxes), *_files(), compared, *chapters])


def _files() -> Iterator[str]:
    """Yield the chapter of the projects whose files are read."""
    yield "## Configuration files\n"
    yield "| project | what is read | told by fields or flags | values checked against | refused |"
    yield "|---|---|---|---|---|"
    for project in sorted(projects.every(), key=lambda each: each.name):
        cells = [f"`{project.name}`", _read(project), _signs(project)]
        yield f"| {' | '.join(map(_cell, [*cells, project.checked, project.refused]))} |"
    yield ""


def _read(project: Project) -> str:
    """Return what the docstring of a project's file says, after its title."""
    said = cleandoc(import_module(project.conversion.__module__).__doc__ or "")
    return " ".join(said.partition("\n\n")[0].split()).rstrip(".")


def _signs(project: Project) -> str:
    """Return a few of the fields and flags that tell a project, or what else tells it."""
    names = sorted({*project.signs, *project.flags})
    if not names:
        return cleandoc(project.tells.__doc__ or "").removeprefix("Return the ").rstrip(".")
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_SIGNS])
    return shown + (" …" if len(names) > _MOST_SIGNS else "")


def _chapter(module: str, others: tuple[str, ...]) -> str:
    loaded, *_ = [import_module(f"rheostat.converters.{file}") for file in files(module)]
    title, _, about = cleandoc(loaded.__doc__ or "").replace("``", "`").partition(": ")
    names = ", ".join(f"`{name}`" for name in (module, *others))
    lines = [f"## {title}", "", " ".join(about.split()), "", f"Library: {names}.", ""]
    return "\n".join([*lines, *_table(loaded.library)]) + "\n"


def _table(library: Library) -> Iterator[str]:
    yield "| scheduler | becomes | notes |"
    yield "|---|---|---|"
    for item in library.items:
        names = ", ".join(f"`{name}`" for name in item.names)
        yield f"| {names} | {_cell(item.becomes)} | {_cell(item.notes)} |"
    if ignored := list(_ignored(library)):
        yield from ("", "Accepted, and changes nothing:", "", *ignored)


def _ignored(library: Library) -> Iterator[str]:
    """Yield a line for each parameter that changes nothing, of all schedulers that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in library.items:
        for mark in item.ignored():
            found.setdefault(mark, []).append(item.names[0])
    for (name, why), schedulers in found.items():
        having = [item for item in library.items if name in item.parameters]
        these = ", ".join(f"`{scheduler}`" for scheduler in schedulers)
        of = "" if len(having) == len(schedulers) else f" of {these}"
        yield f"- `{name}`{of} {why}"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1]) / "converters.md"
    page.write_text(manual(page.read_text()))

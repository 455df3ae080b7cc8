"""
The gallery's trainings from configuration files: what comes out, and its project's own numbers.

``examples/configurations`` has for each a small file with the facts of a public one, and beside it
``NAME.expected.json``: where the facts are from, what the file leaves to the trainer, and values
that were computed by the formula in the project's own code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from rheostat.converters import ConfigConversion, config_conversion
from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document
from rheostat.schedules import evaluate
from rheostat.schedules.manual import svg

FOLDER: Final = Path(__file__).parent / "configurations"
INTRODUCTION: Final = """\
## From configuration files

Whole configuration files, as users of these projects have them: small ones of our own, with the
facts of public ones. Each becomes a run by one command, and its values are those of the formula in
its project's own code.
"""


class Value(NamedTuple):
    """A value by its project's formula."""

    parameter: str
    step: int
    value: float


@dataclass(frozen=True)
class Configured:
    """A training whose configuration file is converted."""

    file: Path
    known: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file.stem

    @cached_property
    def run(self) -> ConfigConversion:
        """What the file becomes."""
        lengths = self.known["lengths"]
        return config_conversion(self.known["library"], self.file.read_text(), **lengths)

    @property
    def values(self) -> Iterator[Value]:
        """The values that are known."""
        for parameter, known in self.known["parameters"].items():
            for step, value in zip(known["steps"], known["values"], strict=True):
                yield Value(parameter, step, value)

    @property
    def end(self) -> int:
        """The last step that is drawn."""
        return self.run.total or max(value.step for value in self.values)


def every() -> Iterator[Configured]:
    """Yield the trainings by their names."""
    for known in sorted(FOLDER.glob("*.expected.json")):
        stem = known.name.removesuffix(".expected.json")
        (file,) = (path for path in FOLDER.glob(f"{stem}.*") if path != known)
        yield Configured(file, json.loads(known.read_text()))


def plots(training: Configured) -> Iterator[tuple[str, str]]:
    """Yield the names and the SVG of a training's plots."""
    for parameter, definition in training.run.parameters.items():
        steps = np.linspace(0, training.end, 480).astype(np.int64)
        values = evaluate(definition, steps)
        if values.min() < values.max():
            title = f"{parameter} of {training.known['training']}"
            yield f"{training.name}-{parameter.replace('/', '-')}.svg", svg(steps, values, title)


def sections() -> str:
    """Return what the gallery says of them."""
    return "\n".join([INTRODUCTION, *map(_section, every())])


def _section(training: Configured) -> str:
    known, file = training.known, training.file.name
    links = f"[{file}](../examples/configurations/{file})"
    names = [name for name, _ in plots(training)]
    images = "".join(f"![{name.removesuffix('.svg')}](gallery/{name})\n" for name in names)
    rows = "".join(
        f"| `{each.parameter}` | {each.step:,} | {each.value!r} |"
        f" {evaluate(training.run.parameters[each.parameter], each.step)!r} |\n"
        for each in training.values
    )
    return f"""\
### {known["training"]}

Facts: {known["source"]}. File: {links}. {_capital(known["how"])}.

```
{_command(training)}
```

{images}
| parameter | step | by its formula | served |
|---|---|---|---|
{rows}"""


def _command(training: Configured) -> str:
    lengths = training.known["lengths"].items()
    options = [f"--{name.replace('_', '-')} {length}" for name, length in lengths]
    file = f"--config examples/configurations/{training.file.name}"
    if library_of(document(training.file.read_text(), name=training.file.name)).library is None:
        options.insert(0, f"--library {training.known['library']}")
    return " ".join(["rheostat run create", training.name, file, *options])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".")

"""TrainingArguments in YAML, as scripts with HfArgumentParser read them, in a real training."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import transformers
from tests.converters.compare.files import hugging
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_json, as_yaml
from transformers import HfArgumentParser, TrainingArguments

VERSION = transformers.__version__


def drawn(rng: Random) -> File:
    """Return a file, and how many updates an epoch of its data has."""
    samples = rng.randint(1, 30)
    given = {"output_dir": "out", **hugging.arguments(rng)}
    epoch = hugging.updates(given, samples)
    text, name = rng.choice(((as_yaml, "train.yaml"), (as_json, "train.json")))
    return File(text(rng, given), name, {"steps_per_epoch": epoch}, samples)


def trained(file: File) -> Training | None:
    """Train."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_text(file.text)
        parser = HfArgumentParser(TrainingArguments)
        read = parser.parse_yaml_file if path.suffix == ".yaml" else parser.parse_json_file
        try:
            (arguments,) = read(path)
            arguments.output_dir = folder
            return hugging.trained(arguments, file.data)
        except (ValueError, TypeError, ZeroDivisionError):
            return None

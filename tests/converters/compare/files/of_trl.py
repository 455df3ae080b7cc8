"""Files of TRL's trainers, which its own TrlParser reads; the Trainer trains by its arguments."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import among, fields
from tests.converters.compare.files import hugging
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml
from trl import ScriptArguments, SFTConfig, TrlParser

VERSION = version_of("trl")
_OWN = fields(
    {"dataset_name": among("trl-lib/Capybara"), "dataset_train_split": among("train")},
    packing=among(False),
    completion_only_loss=among(False),
    assistant_only_loss=among(False),
    bf16=among(False),
)


def drawn(rng: Random) -> File:
    """Return a file with a rate, and how many updates an epoch of its data has."""
    samples = rng.randint(1, 30)
    given = {"learning_rate": 2e-5, **_OWN(rng), "output_dir": "out", **hugging.arguments(rng)}
    given.setdefault("bf16", False)
    epoch = hugging.updates(given, samples)
    return File(as_yaml(rng, given), "sft.yaml", {"steps_per_epoch": epoch}, samples)


def trained(file: File) -> Training | None:
    """Train."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_text(file.text)
        parser = TrlParser((ScriptArguments, SFTConfig))
        try:
            words = ["--config", str(path), "--output_dir", folder]
            _, arguments = parser.parse_args_and_config(args=words)
            return hugging.trained(arguments, file.data)
        except (ValueError, TypeError, ZeroDivisionError):
            return None

"""Files of LLaMA-Factory, whose `create_custom_scheduler` fills in stages before the Trainer's."""

from __future__ import annotations

import tempfile
from logging import getLogger
from random import Random
from types import SimpleNamespace
from typing import Any

import transformers
import yaml
from tests.converters.compare.alone import place_of, stand_in, version_of
from tests.converters.compare.draws import among, fields, real, whole
from tests.converters.compare.files import hugging
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("llamafactory")
_FOLDER = place_of("llamafactory")
stand_in("llamafactory", _FOLDER)
stand_in("llamafactory.train", _FOLDER / "train")
stand_in("llamafactory.hparams", FinetuningArguments=None, ModelArguments=None)
stand_in("llamafactory.extras", logging=SimpleNamespace(get_logger=getLogger))
stand_in("llamafactory.extras.constants", IGNORE_INDEX=0, SWANLAB_CONFIG="")
stand_in("llamafactory.extras.misc", get_device_name=None)
_OPTIONAL = ("is_apollo_available", "is_galore_available", "is_ray_available")
stand_in("llamafactory.extras.packages", None, **dict.fromkeys(_OPTIONAL, lambda: False))
_LOADERS = ("find_all_linear_modules", "load_model", "load_tokenizer", "load_valuehead_params")
stand_in("llamafactory.model", **dict.fromkeys(_LOADERS))
from llamafactory.train.trainer_utils import create_custom_scheduler  # noqa: E402

_WSD = fields(
    {},
    num_stable_steps=whole(0, 9),
    num_decay_steps=whole(1, 9),
    min_lr_ratio=real(0.0, 0.9),
    num_cycles=among(0.5),
)
_OWN = fields(
    {"stage": among("sft", "pt", "dpo"), "finetuning_type": among("lora", "full")},
    lora_target=among("all"),
    plot_loss=among(True),
    cutoff_len=among(2048),
    template=among("llama3"),
    dataset=among("identity"),
)


class _Trainer(transformers.Trainer):  # type: ignore[misc]  # without types here
    """A Trainer that makes its scheduler as LLaMA-Factory's do."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Fill in the stages first."""
        create_custom_scheduler(self.args, num_training_steps, optimizer)
        return super().create_scheduler(num_training_steps, optimizer)


def drawn(rng: Random) -> File:
    """Return a file, and how many updates an epoch of its data has."""
    samples = rng.randint(1, 30)
    own = hugging.arguments(rng, {**hugging.KWARGS, "warmup_stable_decay": _WSD})
    given = {**_OWN(rng), "output_dir": "saves/llama3", **own}
    epoch = hugging.updates(given, samples)
    return File(as_yaml(rng, given), "llama3_lora_sft.yaml", {"steps_per_epoch": epoch}, samples)


def trained(file: File) -> Training | None:
    """Train with the fields that TrainingArguments has."""
    known = transformers.TrainingArguments.__dataclass_fields__
    read = yaml.safe_load(file.text)
    if "warmup_ratio" in read:  # which the transformers that LLaMA-Factory asks for still takes
        if read["warmup_ratio"] >= 1:
            return None
        read["warmup_steps"] = read.pop("warmup_ratio")
    given = {k: v for k, v in read.items() if k in known}
    with tempfile.TemporaryDirectory() as folder:
        try:
            arguments = transformers.TrainingArguments(**{**given, "output_dir": folder})
            return hugging.trained(arguments, file.data, _Trainer)
        except (ValueError, TypeError, ZeroDivisionError):
            return None

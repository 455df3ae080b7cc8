"""GPT-NeoX 1.0 and 2.0: the same files, whose curves were others before August 2023."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rheostat.converters.configs import gpt_neox
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import ConfigConversion, TrainingLengths


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return what the file becomes, with the schedule of these releases."""
    return gpt_neox.conversion(config, lengths, gpt_neox.RELEASED)


PROJECT = Project(
    "gpt_neox_v2",
    conversion,
    signs=(),
    tells=gpt_neox.tells_an_older_one,
    embeds={"deepspeed"},
    checked="the function of AnnealingLR at the tag v2.0, from its text",
    refused="as in gpt_neox, and a warm-up of more than half of the decay",
)

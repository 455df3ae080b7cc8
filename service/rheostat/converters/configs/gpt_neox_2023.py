"""GPT-NeoX of September 2023 to May 2026: the same files, whose first update had no rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rheostat.converters.configs import gpt_neox
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import ConfigConversion, TrainingLengths


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """Return what the file becomes, with a warm-up that begins at 0."""
    return gpt_neox.conversion(config, lengths, from_zero=True)


PROJECT = Project(
    "gpt_neox_2023",
    conversion,
    signs=(),
    tells=gpt_neox.tells_an_older_one,
    embeds={"deepspeed"},
    checked="the function of AnnealingLR before May 2026, from its text",
    refused="as in gpt_neox",
)

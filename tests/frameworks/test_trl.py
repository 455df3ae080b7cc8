"""The trainers of TRL are Trainers: the same line, the same cells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection
from tests.frameworks.test_accelerate import reset
from tests.frameworks.trainers import (
    BATCHES,
    Build,
    arguments,
    require_alike,
    test_accumulation,
    test_amp,
    test_ledger,
    test_longer,
    test_resume,
    test_rewind,
    test_stop,
    train,
)

__all__ = [
    "test_accumulation",
    "test_amp",
    "test_ledger",
    "test_longer",
    "test_resume",
    "test_rewind",
    "test_stop",
]

FRAMEWORK = Framework(
    name="TRL",
    package="trl",
    adds='rheostat.transformers.attach(trainer, "sft", create={',
    newest="1.16.0",
    oldest="1.16.0",
)
WORDS = ("<pad>", "<eos>", "<unk>", "the", "rate", "falls", "and", "rises")


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Have each training make an accelerator of its own, as a process of its own would."""
    yield
    reset()


def language() -> tuple[Any, Any]:
    """Return a language model of some hundred weights, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")  # noqa: S106
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )
    return LlamaForCausalLM(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def rows(row: dict[str, Any]) -> Any:
    """Return the data of an epoch, the same row again and again."""
    from datasets import Dataset

    return Dataset.from_list([row] * (BATCHES * int(os.environ.get("WORLD_SIZE", "1"))))


def fine_tuning(folder: Path, **others: Any) -> Any:
    """Return a supervised fine-tuning of 12 batches in an epoch on each process."""
    import torch
    from trl import SFTConfig, SFTTrainer

    reset()
    model, tokenizer = language()
    return SFTTrainer(
        model,
        SFTConfig(**arguments(folder, bf16=False, max_length=8, **others)),
        train_dataset=rows({"text": "the rate falls and rises"}),
        processing_class=tokenizer,
        optimizers=(torch.optim.SGD(model.parameters(), lr=1.0), None),
    )


@pytest.fixture
def build() -> Build:
    """Make supervised fine-tunings."""
    return fine_tuning


def test_preferences(new_case: NewCase, tmp_path: Path) -> None:
    """``DPOTrainer``, which has a second model beside the one that is trained, follows too."""
    import torch
    from trl import DPOConfig, DPOTrainer

    case = new_case()
    case.control.stop(effective=8)
    model, tokenizer = language()
    trainer = DPOTrainer(
        model,
        ref_model=language()[0],
        args=DPOConfig(**arguments(tmp_path, bf16=False, max_length=8)),
        train_dataset=rows({"prompt": "the rate", "chosen": "falls", "rejected": "rises"}),
        processing_class=tokenizer,
        optimizers=(torch.optim.SGD(model.parameters(), lr=1.0), None),
    )
    used = train(trainer, case.join())
    assert len(used) == 8
    case.require_ledger(used)


def test_ranks(new_case: NewCase, on_ranks: Ranks, tmp_path: Path) -> None:
    """Two processes use the same values, and end at one step."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("transformers_ranks.py", case.address, tmp_path, "trl")
    require_alike(told, case, 8)


def test_docs(run_section: RunSection, tmp_path: Path) -> None:
    """The section does what it says."""
    trainer = fine_tuning(tmp_path)
    names = run_section(FRAMEWORK.name, trainer=trainer)
    assert names["trainer"].state.global_step == BATCHES

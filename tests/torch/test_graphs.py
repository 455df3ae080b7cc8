"""CUDA graphs: what is captured is replayed as it was, and no hook hears of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from rheostat import Run
from rheostat.errors import Invalid

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have PyTorch say that a graph is being captured, as it does on a device that can."""

    def begin() -> None:
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)

    return begin


def optimizer(lr: Any) -> Any:
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return torch.optim.AdamW([weight], lr=lr, weight_decay=0.5)


def test_numbers_that_a_graph_keeps_are_told(
    capture: Callable[[], None],
    new_run: Callable[..., Run],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P12: a weight decay is no tensor, and stays as it was; a rate in a tensor goes on."""
    from rheostat.torch import RheostatLR

    captured, plain = optimizer(torch.tensor(0.5)), optimizer(torch.tensor(0.5))
    kept = RheostatLR(captured, new_run(lr=0.1, weight_decay=0.25))
    other = RheostatLR(plain, new_run(lr=0.1))
    with caplog.at_level(logging.WARNING, "rheostat"):
        captured.step()
        assert caplog.text == ""
        capture()
        plain.step()
        assert caplog.text == ""
        captured.step()
    assert "keeps weight_decay of group 0 as they are at step 0" in caplog.text
    assert (kept.last_epoch, other.last_epoch) == (0, 0)


def test_attach_is_not_captured(capture: Callable[[], None], new_run: Callable[..., Run]) -> None:
    """P9: its steps would stand still, without a word."""
    from rheostat.torch import attach

    found = optimizer(0.5)
    handle = attach(found, new_run(lr=0.1))
    found.step()
    capture()
    with pytest.raises(Invalid, match=r"optimizer is captured in a CUDA graph.*take RheostatLR"):
        found.step()
    assert handle.step == 1

"""The examples in the docstrings of the PyTorch adapter are run, too."""

from __future__ import annotations

import pytest
from tests.test_docstrings import let_clients_go, run_examples, with_examples

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")


@pytest.mark.parametrize("name", [n for n in with_examples() if n.startswith("rheostat.torch")])
def test_examples_print_what_they_show(name: str, server: str) -> None:
    """Every example in a docstring of the adapter does what stands below it."""
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    model = torch.nn.Sequential(torch.nn.Embedding(2, 2))
    model.pos_embed = torch.nn.Parameter(torch.zeros(2))
    model.head = torch.nn.Linear(2, 1)
    run_examples(name, server, optimizer=optimizer, model=model, torch=torch)
    del optimizer  # a run that was attached to it goes with it
    let_clients_go()

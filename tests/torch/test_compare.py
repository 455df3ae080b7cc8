"""A small share of `make compare`: random configurations in the libraries that are installed."""

from __future__ import annotations

import pytest
from tests.converters.compare.trials import LIBRARIES, compared, installed

COUNT, SEED = 4, 2
FOUND = {library: own for library in LIBRARIES if (own := installed(library)) is not None}


@pytest.mark.parametrize(
    ("library", "name"),
    [(library, name) for library, own in FOUND.items() for name in own.SCHEDULERS],
)
@pytest.mark.filterwarnings("ignore")
def test_random_configurations_have_the_library_s_own_values(library: str, name: str) -> None:
    """Every class has equal values at every step, or fails there, or is refused with a reason."""
    outcome = compared(library, FOUND[library], name, COUNT, SEED)
    assert not outcome.different, outcome.different[0]
    assert outcome.tried == outcome.equal + outcome.failed + outcome.refusals == COUNT

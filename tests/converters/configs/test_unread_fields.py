"""Fields that are not read: nearly the spelling of one that is, or of a schedule."""

from __future__ import annotations

import pytest

from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.errors import Invalid


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("gamma", "gama"),
        ("GAMMA", "GAMA"),
        ("GAMMA", "gamma"),
        ("IMS_PER_BATCH", "IMS_PER_BACH"),
        ("batchSize", "batchSise"),
        ("batchSize", "batch_size"),
        ("OptimizerBuilder", "OptimizerBuilde"),
        ("batch-size", "batch_size"),
    ],
)
def test_a_misspelled_field_is_found_however_names_are_written(field: str, given: str) -> None:
    """Names are compared in lower case with underscores, and the right one is asked about."""
    read = Read("a project", (field,))
    check_unknown({field: 1, "dataset": "x"}, read)
    with pytest.raises(Invalid) as caught:
        check_unknown({given: 1}, read)
    assert caught.value.errors[0].field == f"config.{given}"
    assert f"did you mean {field}?" in caught.value.errors[0].message

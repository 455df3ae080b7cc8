"""The address of a database is shown without its secrets."""

from __future__ import annotations

import pytest

from rheostat.errors import Invalid
from rheostat.server.settings import Settings
from rheostat.server.store.addresses import require_quoted, without_secrets
from rheostat.server.store.opening import open_store

SECRET = "s3cret"  # noqa: S105
SOUND = [
    "postgresql://ann:s3cret@host/db",
    "postgresql://ann:s3cret@host:5432/db?sslmode=require",
    "postgresql://host/db?user=ann&password=s3cret",
    "postgresql://host/db?password=s3cret&user=ann",
    "postgresql://host/db?user=ann@srv&password=s3cret",
    "postgresql:///db?host=/tmp&PASSWORD=s3cret",
    "postgresql://ann@host/db?sslpassword=s3cret&sslkey=/k.pem",
    "postgresql+psycopg://ann:s3cret@[::1]:5432/db",
    "postgresql://:s3cret@host/db",
]
UNQUOTED = [
    "postgresql://ann:p@s3cret@host/db",
    "postgresql://ann:s3cret@s3cret@host",
    "postgresql://ann:p/s3cret@host/db",
    "postgresql://ann:p?s3cret@host/db",
    "postgresql://ann:p?s3cret=x@host/db?a=b",
    "postgresql://ann@s3cret@host/db",
    "postgresql://ann:p s3cret@host/db",
]


@pytest.mark.parametrize("url", [*SOUND, *UNQUOTED])
def test_no_password_is_shown(url: str) -> None:
    """P10: no part of a password stays in what is shown, in a text neither."""
    assert SECRET not in Settings(database=url).safe_database.replace(" ", "")
    assert SECRET not in without_secrets(f"cannot open {url.replace(' ', '')} now")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///rheostat.db",
        "sqlite:////tmp/a@b.db",
        "postgresql://ann@host/db",
        "postgresql:///db?host=/tmp&user=ann@srv",
    ],
)
def test_what_is_no_secret_is_shown(url: str) -> None:
    """People find the database by what they are shown."""
    assert Settings(database=url).safe_database == url


@pytest.mark.parametrize("url", UNQUOTED)
def test_password_that_is_not_quoted_is_refused(url: str) -> None:
    """A password that would be read as a part of the host is refused before it is looked up."""
    with pytest.raises(Invalid, match="percent-encoded") as error:
        open_store(Settings(database=url))

    assert SECRET not in str(error.value) + repr(error.value.errors)


@pytest.mark.parametrize("url", [*SOUND, "sqlite:////tmp/a@b.db", "postgresql:///db?user=a@b"])
def test_addresses_that_are_sound_pass(url: str) -> None:
    """What a URL may hold is not refused."""
    require_quoted(url)

"""Opening the database that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rheostat.errors import Refused, RheostatError
from rheostat.server.settings import Settings
from rheostat.server.store.addresses import require_quoted, without_secrets
from rheostat.server.store.database import Database
from rheostat.server.store.failures import line
from rheostat.server.store.patience import UNHURRIED
from rheostat.server.store.store import Store


def open_store(settings: Settings) -> Store:
    """
    Return the store, started, for a command that somebody waits for.

    Raises `Invalid` for a URL that can be no database, and `RheostatError` if it is not to be had.
    """
    require_quoted(settings.database)
    try:
        store = Store(settings.database, settings.limits, UNHURRIED)
    except Refused:
        raise
    except Exception as error:  # drivers have many classes, and their message is clear
        raise _cannot("open", settings, error) from error
    try:
        store.start()
    except Exception as error:
        store.close()
        raise _cannot("open", settings, error) from error
    return store


def require_usable(store: Store, settings: Settings) -> None:
    """Raise `RheostatError` if a server could not do its work on a store."""
    try:
        store.require_usable()
    except Exception as error:
        raise _cannot("serve from", settings, error) from error


@contextmanager
def keeping_open(settings: Settings) -> Iterator[None]:
    """Hold on to the database file for processes that open it, so that none takes another one."""
    database = Database(settings.database)
    try:
        database.keep_open()
        yield
    finally:
        database.close()


def _cannot(verb: str, settings: Settings, error: Exception) -> RheostatError:
    reason = without_secrets(line(error))
    return RheostatError(f"cannot {verb} the database {settings.safe_database}: {reason}")

"""Opening the database that the settings name."""

from __future__ import annotations

from rheostat.errors import Refused, RheostatError
from rheostat.server.addresses import require_quoted, without_secrets
from rheostat.server.settings import Settings
from rheostat.server.store.store import Store


def open_store(settings: Settings) -> Store:
    """
    Return the store, started.

    Raises `Invalid` for a URL that can be no database, and `RheostatError` if it is not to be had.
    """
    require_quoted(settings.database)
    try:
        store = Store(settings.database, settings.limits)
        store.start()
    except Refused:
        raise
    except Exception as error:  # drivers have many classes, and their message is clear
        reason = str(error).strip().splitlines()[0]
        message = f"cannot open the database {settings.safe_database}: {without_secrets(reason)}"
        raise RheostatError(message) from error
    return store

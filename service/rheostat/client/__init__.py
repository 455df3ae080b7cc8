"""
The thin client: httpx and the standard library, nothing else.

`AsyncClient` is in ``rheostat.client.asynchronous``, so that only who uses it loads asyncio.
"""

from rheostat.client.client import Client
from rheostat.client.control import Control
from rheostat.client.operations import Schedules
from rheostat.client.run import Run

__all__ = ["Client", "Control", "Run", "Schedules"]

"""``/v1/runs/{run}/mismatches``: values that workers applied and were not given."""

from __future__ import annotations

from starlette.responses import Response

from rheostat import wire
from rheostat.errors import UnknownRun
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.requests import Cursor, Limit, Run, StoreDep, cursor_of, number_of
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import mismatch
from rheostat.server.tokens import Role

mismatches = router("workers")

MISMATCHES = JsonAnswer(
    wire.MismatchPage,
    {
        "items": [
            {
                "number": 1,
                "worker": "17",
                "generation": 1,
                "parameter": "lr",
                "step": 5000,
                "expected": "0.0002998613912040573",
                "found": "0.0005997227824081146",
                "dtype": "f64",
                "at": "2026-01-01T12:00:00.000000+00:00",
            }
        ],
        "next": None,
    },
)


@mismatches.get(
    "/v1/runs/{run}/mismatches",
    summary="List values that workers applied and were not given",
    responses={200: MISMATCHES.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_mismatches(
    run: Run, store: StoreDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """
    Return which workers applied other values than the ledger has, in the order of their numbers.

    Of each window that differs the first such step of each parameter is listed, with both values.
    """
    items, after = await store.read(mismatch.page, run, number_of(cursor), limit)
    return MISMATCHES.send(
        {"items": items, "next": None if after is None else cursor_of(str(after))}
    )

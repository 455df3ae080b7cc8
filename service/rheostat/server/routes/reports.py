"""``/v1/runs/{run}/reports``: metrics as workers report them."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.controllers import bits_of_value, value_of_json
from rheostat.errors import (
    FieldError,
    Invalid,
    RateLimited,
    StaleGeneration,
    UnknownGeneration,
    UnknownMetric,
    UnknownRun,
)
from rheostat.limits import MAX_NUMBER, MAX_REPORTED, MAX_STEP, METRIC, REPORTS_PER_SECOND
from rheostat.server.http.access import needs
from rheostat.server.http.answers import NO_STORE, TEXT, JsonAnswer
from rheostat.server.http.approval import free
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.requests import (
    Generation,
    RequestBody,
    Run,
    RunId,
    Start,
    Stop,
    StoreDep,
    body_examples,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import report, reported
from rheostat.server.store.operations.report import Point, ReportRequest
from rheostat.server.store.operations.reported import Wanted
from rheostat.server.tokens import Role

reports = router("reports")

REDUCED: wire.Decision = {
    "controller": "plateau",
    "step": 8000,
    "value": 2.3124,
    "decision": "change",
    "revision": 7,
    "proposal": None,
    "effective": 8200,
    "generation": 1,
    "message": "val_loss has not been better than 2.3007 (step 7,000) for 4 reports",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "event": 23,
}
REPORTED = JsonAnswer(
    wire.Reported,
    {
        "kept": 2,
        "repeated": 0,
        "late": 0,
        "differs": [{"metric": "accuracy", "step": 8000, "kept": 0.61, "given": 0.612}],
        "ignored": [],
        "again": False,
        "decisions": [REDUCED],
        "off_gate": [],
        "warnings": [],
        "watched": ["val_loss"],
        "settled_until": 8128,
    },
)
REPORTS = JsonAnswer(
    wire.Reports,
    {
        "metric": "val_loss",
        "steps": [7000, 8000],
        "values": [2.3007, "NaN"],
        "sources": ["main", "main"],
        "next": 412,
    },
)

Value = Annotated[
    Any,
    Field(
        json_schema_extra={
            "anyOf": [
                {"type": "number"},
                {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
            ]
        }
    ),
]
Metric = Annotated[str, Field(pattern=f"^{METRIC}$")]


class ReportBody(RequestBody):
    """Metrics at one step."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """They measure the model after the values of all steps below were applied."""

    metrics: Annotated[dict[Metric, Value], Field(min_length=1, max_length=MAX_REPORTED)]
    """Their values, by name: numbers, or `NaN`, `Infinity` or `-Infinity` as text."""


class Reporting(RequestBody):
    """Metrics as a worker reports them."""

    generation: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """Generation that the worker trains in."""

    source: Annotated[str, Field(pattern=f"^{METRIC}$")] = "main"
    """Who measured."""

    reports: Annotated[list[ReportBody], Field(min_length=1, max_length=MAX_REPORTED)]
    """In any order; at most 256 values in all."""

    def request(self) -> ReportRequest:
        """Return what is reported; raise `Invalid` for a wrong value, or too many."""
        count = sum(len(each.metrics) for each in self.reports)
        if count > MAX_REPORTED:
            message = f"the request has {count} values, and at most {MAX_REPORTED} are taken"
            wrong = [FieldError("reports", message, count, f"<= {MAX_REPORTED}")]
            raise Invalid(message, errors=wrong)
        points = [
            Point(
                item,
                each.step,
                name,
                bits_of_value(value_of_json(value, f"reports[{item}].metrics.{name}")),
            )
            for item, each in enumerate(self.reports)
            for name, value in each.metrics.items()
        ]
        return ReportRequest(self.generation, self.source, points)


@reports.post(
    "/v1/runs/{run}/reports",
    summary="Report metrics",
    responses={200: REPORTED.shown()},
    openapi_extra=body_examples(
        validation={
            "generation": 1,
            "reports": [{"step": 8000, "metrics": {"val_loss": 2.3124, "accuracy": 0.61}}],
        },
        diverged={
            "generation": 1,
            "source": "rank-3",
            "reports": [{"step": 8100, "metrics": {"train_loss": "NaN"}}],
        },
    ),
)
@needs(Role.WORKER)
@unaudited("a worker reports; what controllers decide is in the run's history")
@free("a worker says what it measured; what armed controllers decide was approved with them")
@refuses(UnknownRun, UnknownGeneration, StaleGeneration, RateLimited)
async def report_metrics(
    run: RunId,
    body: Reporting,
    store: StoreDep,
    request: Request,
) -> Response:
    """
    Keep the values of metrics, and do what the run's controllers decide on them.

    A value is written once: the same one may come again, and of two that differ the first stays.
    Once this is answered, what was decided is as durable as the reports.
    """
    rates = request.app.state.report_rates
    rates.require(run, f"more than {REPORTS_PER_SECOND} requests with reports a second")
    answer = await store.write(report.report, body.request(), run)
    rates.count(run)
    told = [each["decision"] for each in answer["decisions"]]
    request.app.state.metrics.count_reports(answer["kept"], told)
    return REPORTED.send(answer)


@reports.get(
    "/v1/runs/{run}/reports",
    summary="Read a metric",
    responses={
        200: {
            "description": "The reports.",
            "content": {**REPORTS.shown()["content"], "text/csv": {"schema": TEXT}},
        }
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownGeneration, UnknownMetric)
async def read_reports(
    run: Run,
    store: StoreDep,
    metric: Annotated[
        str,
        Query(
            max_length=128,
            pattern=r"^[^\x00]+$",
            description="The metric.",
            examples=["val_loss"],
        ),
    ],
    generation: Generation = None,
    start: Start = 0,
    stop: Stop = None,
    points: Annotated[int, Query(ge=2, le=100_000, description="The most reports.")] = 1000,
    after: Annotated[
        int | None,
        Query(ge=0, le=2**63 - 1, description="`next` of the answer before, to ask what is new."),
    ] = None,
    format: Annotated[  # noqa: A002 - its name on the wire
        Literal["json", "csv"], Query(description="The form of the answer.")
    ] = "json",
) -> Response:
    """
    Return a metric along the past of a generation, by step and source.

    More than `points` are thinned so that whatever sticks out stays. With `after` the answer has
    the next ones in the order in which they were kept, and leaves none out: ask again with `next`.
    """
    wanted = Wanted(metric, generation, start, stop, points, after)
    found = await store.read(reported.reported, run, wanted)
    if format == "csv":
        headers = {**NO_STORE, "Content-Type": "text/csv; charset=utf-8"}
        return Response(_csv(found), headers=headers)
    return REPORTS.send(found)


def _csv(found: wire.Reports) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", found["metric"], "source"])
    writer.writerows(zip(found["steps"], found["values"], found["sources"], strict=True))
    return text.getvalue()

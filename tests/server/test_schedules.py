"""The library: named definitions whose versions never change."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 8}
CONSTANT = {"kind": "constant", "value": 0.25}


def put(http: httpx.Client, name: str, definition: Any, **headers: str) -> httpx.Response:
    """Keep a definition."""
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return http.put(f"/v1/schedules/{name}", json={"definition": definition}, headers=names)


def test_versions_are_kept(http: httpx.Client, new_name: Any) -> None:
    """Each new definition is a new version, and the earlier ones can be read as they were."""
    name = new_name()
    first = put(http, name, LINE, rheostat_author="ann")
    second = put(http, name, CONSTANT)
    assert (first.status_code, second.status_code) == (201, 201)
    assert http.get(f"/v1/schedules/{name}").json() == second.json()
    assert http.get(first.headers["location"]).json() == first.json()
    assert (first.json()["version"], second.json()["version"]) == (1, 2)
    assert (first.json()["author"], second.json()["author"]) == ("ann", None)
    assert first.json()["definition"] == LINE


def test_the_same_definition_is_the_same_version(http: httpx.Client, new_name: Any) -> None:
    """A definition equal to the newest one makes no version, however it is written."""
    name = new_name()
    first = put(http, name, LINE)
    again = put(http, name, {"steps": 8, "end": 0, "start": 1, "kind": "linear"})
    assert again.status_code == 200
    assert again.json() == first.json()
    assert put(http, name, CONSTANT).json()["version"] == 2
    assert put(http, name, LINE).json()["version"] == 3


def test_lengths_are_resolved_when_they_are_stored(http: httpx.Client, new_name: Any) -> None:
    """A version holds whole steps, so that what it means never depends on a run."""
    definition = {"kind": "linear", "start": 1, "end": 0, "steps": "50%"}
    body = {"definition": definition, "total": 16}
    stored = http.put(f"/v1/schedules/{new_name()}", json=body).json()
    assert stored["definition"] == LINE


def test_if_match_guards_against_lost_updates(
    http: httpx.Client, new_name: Any, problem: Any
) -> None:
    """A writer who states what it has seen does not overwrite what it has not."""
    name = new_name()
    problem(put(http, name, LINE, if_match="*"), "precondition-failed")
    tag = put(http, name, LINE, if_none_match="*").headers["etag"]
    problem(put(http, name, CONSTANT, if_none_match="*"), "precondition-failed")
    assert put(http, name, CONSTANT, if_match=f'"x", {tag}').status_code == 201
    refused = problem(put(http, name, LINE, if_match=tag), "precondition-failed")
    assert refused["version"] == 2
    assert http.get(f"/v1/schedules/{name}").json()["version"] == 2


def test_of_writers_at_once_one_wins(server: str, new_name: Any) -> None:
    """Of eight writers who all saw the same version, one makes the next, and seven are told."""
    name, statuses = new_name(), []
    with httpx.Client(base_url=server, timeout=60) as http:
        tag = put(http, name, LINE).headers["etag"]

        def write(value: float) -> None:
            definition = {"kind": "constant", "value": value}
            statuses.append(put(http, name, definition, if_match=tag).status_code)

        threads = [threading.Thread(target=write, args=(value,)) for value in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] + [412] * 7
        assert http.get(f"/v1/schedules/{name}").json()["version"] == 2


def test_the_list_is_paged_by_name(http: httpx.Client, new_name: Any) -> None:
    """Pages follow each other by opaque cursors; each schedule is there once, by its newest."""
    names = sorted(new_name() for _ in range(5))
    for name in names:
        put(http, name, LINE)
        put(http, name, CONSTANT)
    page = http.get("/v1/schedules", params={"limit": 2}).json()
    listed = page["items"]
    while page["next"] is not None:
        page = http.get("/v1/schedules", params={"limit": 2, "cursor": page["next"]}).json()
        listed += page["items"]
    assert [item["name"] for item in listed] == sorted({item["name"] for item in listed})
    ours = [item for item in listed if item["name"] in names]
    assert [(item["name"], item["version"]) for item in ours] == [(name, 2) for name in names]


def test_a_removed_schedule_is_gone(http: httpx.Client, new_name: Any, problem: Any) -> None:
    """A removed schedule is unknown with all its versions."""
    name = new_name()
    tag = put(http, name, LINE).headers["etag"]
    stale = {"if-match": '"0-0"'}
    problem(http.delete(f"/v1/schedules/{name}", headers=stale), "precondition-failed")
    assert http.delete(f"/v1/schedules/{name}", headers={"if-match": tag}).status_code == 204
    for path in ("", "?version=1", "/values", "/values/0"):
        problem(http.get(f"/v1/schedules/{name}{path}"), "unknown-schedule")
    problem(http.delete(f"/v1/schedules/{name}"), "unknown-schedule")


def test_versions_are_not_used_again(http: httpx.Client, new_name: Any) -> None:
    """A version names one definition for ever, also after the schedule was deleted."""
    name = new_name()
    constants = [{"definition": {"kind": "constant", "value": value}} for value in (1, 2)]
    first = http.put(f"/v1/schedules/{name}", json=constants[0])
    http.delete(f"/v1/schedules/{name}").raise_for_status()
    second = http.put(f"/v1/schedules/{name}", json=constants[1])
    assert (first.json()["version"], second.json()["version"]) == (1, 2)


def test_values_of_a_version(http: httpx.Client, new_name: Any) -> None:
    """A range, a single step and an earlier version give the values of their definition."""
    name = new_name()
    put(http, name, LINE)
    put(http, name, CONSTANT)
    path = f"/v1/schedules/{name}/values"
    asked = {"start": 2, "stop": 9, "stride": 3, "version": 1}
    answer = http.get(path, params=asked).json()
    assert answer == {"name": name, **asked, "values": [6 / 8, 3 / 8, 0]}
    one = http.get(f"{path}/3", params={"version": 1}).json()
    assert one == {"name": name, "version": 1, "step": 3, "value": 5 / 8}
    assert http.get(f"{path}/3").json()["value"] == 0.25


def test_a_whole_curve_by_default(http: httpx.Client, new_name: Any) -> None:
    """Without a range the answer is the curve to its end, or 1,000 steps of an unending one."""
    finite, unending = new_name(), new_name()
    put(http, finite, LINE)
    put(http, unending, {**LINE, "kind": "cosine", "periodic": True})
    values = http.get(f"/v1/schedules/{finite}/values").json()["values"]
    assert values == [1 - t / 8 for t in range(9)]
    assert http.get(f"/v1/schedules/{unending}/values").json()["stop"] == 1000


def test_a_long_curve_needs_a_stride_but_in_pictures(
    http: httpx.Client, new_name: Any, problem: Any
) -> None:
    """A curve of 4.3T steps is too large for one answer, but can be seen."""
    name = new_name()
    put(http, name, {"kind": "cosine", "start": 3e-4, "end": 3e-5, "steps": "4.3T"})
    path = f"/v1/schedules/{name}/values"
    problem(http.get(path), "too-large")
    answer = http.get(path, params={"stride": 10**11}).json()
    assert (len(answer["values"]), answer["values"][0]) == (44, 3e-4)
    assert http.get(path, params={"format": "png", "stride": 10**9}).content[1:4] == b"PNG"


@pytest.mark.parametrize(
    "wrong", ["stop=0", "start=5&stop=5", "stride=0", "start=-1", f"version={2**64}"]
)
def test_wrong_ranges_are_refused(
    wrong: str, http: httpx.Client, new_name: Any, problem: Any
) -> None:
    """P10: a range without a step in it is refused, by the parameter that makes it so."""
    name = new_name()
    put(http, name, LINE)
    document = problem(http.get(f"/v1/schedules/{name}/values?{wrong}"), "invalid")
    assert document["errors"][0]["field"] == wrong.rsplit("&", maxsplit=1)[-1].partition("=")[0]


def test_wrong_definitions_are_not_kept(http: httpx.Client, new_name: Any, problem: Any) -> None:
    """P10: a definition that is refused leaves nothing behind."""
    name = new_name()
    problem(put(http, name, {**LINE, "steps": 0}), "invalid")
    problem(put(http, name, {"kind": "follow", "parameter": "lr"}), "invalid")
    problem(http.get(f"/v1/schedules/{name}"), "unknown-schedule")

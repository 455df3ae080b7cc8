"""What an agent is offered, what it is answered, and what it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import pytest
from mcp.shared.exceptions import MCPError
from tests.mcp.conftest import Agent, Service, told

from rheostat import Client, wire
from rheostat.errors import Forbidden, Unauthenticated, Unreachable
from rheostat.mcp.server import answer
from rheostat.mcp.tools import TOOLS, Tools

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
LOOKS = {
    *("list_runs", "brief", "curves", "explain", "history", "workers", "preview_change", "wait"),
}
PROPOSES = {*LOOKS, "propose_change"}
NOTES = {*PROPOSES, "note"}
ACTS = {"change", "pause", "stop", "signal"}
Answer = dict[str, Any]


class Trial(NamedTuple):
    """What a tool is asked of a run, and whether its answer is right."""

    arguments: Answer
    right: Callable[[Answer], bool]


def _on_the_line(answer: Answer) -> bool:
    line = zip(answer["steps"], answer["parameters"]["lr"], strict=True)
    return all(value == pytest.approx(max(1 - step / 1000, 0), abs=1e-6) for step, value in line)


def _halved(answer: Answer) -> bool:
    pairs = zip(answer["before"]["lr"], answer["after"]["lr"], strict=True)
    pasts = [step < 100 for step in answer["steps"]]
    return all(
        after == pytest.approx(before if past else before / 2, abs=1e-6)
        for past, (before, after) in zip(pasts, pairs, strict=True)
    )


TRIALS: dict[str, Trial] = {
    "list_runs": Trial({"limit": 100}, lambda told: told["runs"][0]["settled_until"] == 100),
    "brief": Trial({}, lambda told: told["parameters"][0]["value"] == 0.9),
    "curves": Trial(
        {},
        lambda told: (
            _on_the_line(told)
            and len(told["steps"]) == 60
            and told["metrics"] == {"loss": {"steps": [50], "values": [3.0]}}
        ),
    ),
    "explain": Trial({"step": 50}, lambda told: told["parameters"]["lr"]["value"] == 0.95),
    "history": Trial({"last": 1}, lambda told: told["revisions"][0]["kind"] == "create"),
    "workers": Trial({}, lambda told: (told["alive"], told["items"]) == (0, [])),
    "preview_change": Trial(
        {"changes": HALVE}, lambda told: told["effective"] == 100 and _halved(told)
    ),
    "wait": Trial({"until": "step", "number": 50}, lambda told: told["held"] and told["over"]),
    "propose_change": Trial(
        {"changes": HALVE, "why": "flat"},
        lambda told: (told["proposal"], told["state"], told["message"]) == (1, "open", "flat"),
    ),
    "note": Trial({"text": "hm"}, lambda told: told["revision"] == 2),
    "change": Trial(
        {"changes": HALVE, "why": "flat", "expected_revision": 1},
        lambda told: (told["revision"], told["effective"]) == (2, 100),
    ),
    "pause": Trial({"why": "look"}, lambda told: told["effective"] == 100),
    "stop": Trial({"why": "done", "effective": 300}, lambda told: told["effective"] == 300),
    "signal": Trial(
        {"signal": "checkpoint", "why": "keep it"}, lambda told: told["effective"] == 100
    ),
}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_answers(name: str, mode: str, service: Service) -> None:
    """Each tool does what it says, by the protocol of today and by that of before."""
    assert name in TRIALS, f"{name} has no trial in {__name__}"
    trial = TRIALS[name]
    run = service.run(labels={"of": f"{name}-{mode}"})
    agent = service.agent("operator", limit="changes=9/day", changes=True, mode=mode)
    where = {"selector": f"of={name}-{mode}"} if name == "list_runs" else {"run": run}
    answer = agent.ask(name, **where, **trial.arguments)
    assert trial.right(answer), answer


def test_looking_changes_nothing(service: Service) -> None:
    """A viewer's tools, all of them, leave the run as it was: no revision, nothing settled."""
    run = service.run()
    agent = service.agent("viewer")
    for name in LOOKS - {"list_runs"}:
        agent.ask(name, run=run, **TRIALS[name].arguments)
    state = service.admin.control(run).show()
    assert (state["revision"], state["settled_until"], state["proposals"]["open"]) == (1, 100, 0)


def test_a_history_begins_with_the_newest(service: Service) -> None:
    """So many of the newest revisions, each with who and why, and what a note says."""
    run = service.run()
    service.admin.control(run).change(HALVE, message="flat")
    service.admin.control(run).note("hm")
    found = service.agent("viewer").ask("history", run=run, last=2)["revisions"]
    assert [(each["revision"], each["kind"]) for each in found] == [(3, "note"), (2, "change")]
    assert [each["message"] for each in found] == ["hm", "flat"]
    assert found[1]["author"] == service.admin.access()["name"]


OFFERS: list[tuple[str, str | None, bool, set[str]]] = [
    ("viewer", None, False, LOOKS),
    ("viewer", None, True, LOOKS),
    ("proposer", None, True, PROPOSES),
    ("worker", None, True, NOTES),
    ("operator", None, False, NOTES),
    ("operator", None, True, NOTES | ACTS),
    ("admin", None, True, NOTES | ACTS),
    ("operator", "changes=1/day", False, NOTES),
    ("operator", "changes=1/day", True, NOTES | ACTS),
    ("operator", "acts=change", True, NOTES | {"change", "pause"}),
    ("operator", "acts=stop|signal", True, NOTES | {"stop", "signal", "pause"}),
]


@pytest.mark.parametrize(("role", "limit", "changes", "offered"), OFFERS)
def test_what_a_token_cannot_use_is_not_there(
    role: str, limit: str | None, offered: set[str], service: Service, *, changes: bool
) -> None:
    """By role and limit; a tool that is hidden is as unknown as one that never was."""
    options = {} if limit is None else {"limit": limit}
    agent = service.agent(role, changes=changes, **options)
    assert agent.names() == offered
    for name in [*sorted(TOOLS.keys() - offered)[:2], "delete_run"]:
        with pytest.raises(MCPError, match=f"there is no tool '{name}' here"):
            agent.call(name, run="gpt", why="x")


def test_every_tool_is_for_somebody() -> None:
    """The table above has each tool, so that a new one gets its place in it."""
    assert set(TOOLS) == NOTES | ACTS == set(TRIALS)


def test_every_argument_is_described(service: Service) -> None:
    """Schemas are sound, take nothing else, and say of each argument what it is for."""
    tools = service.agent("admin", changes=True).talk(lambda program: program.list_tools()).tools
    assert len(tools) == len(TOOLS)
    for tool in tools:
        schema = tool.input_schema
        validator = jsonschema_rs.Draft202012Validator(schema)  # which refuses what is none
        assert schema["additionalProperties"] is False
        assert all(each["description"] for each in schema["properties"].values())
        assert tool.description
        of_a_run = {"run": "gpt"} if "run" in schema["properties"] else {}
        assert validator.is_valid({**of_a_run, **TRIALS[tool.name].arguments})
        hints = tool.annotations
        assert hints is not None
        assert hints.read_only_hint == (tool.name in LOOKS)
        assert hints.destructive_hint == (tool.name in ACTS)


def test_changes_are_not_made_in_python_either(service: Service) -> None:
    """Without `allow_changes` a program that calls the methods itself is refused, too."""
    tools = Tools(service.client("operator"))
    with pytest.raises(Forbidden, match="changes are not allowed here"):
        tools.change(service.run(), HALVE, "flat")


REFUSED: list[tuple[str, Answer, str, str]] = [
    ("brief", {"run": "nobody"}, "unknown-run", "nobody"),
    ("brief", {"run": ".."}, "invalid", "run is '..'"),
    ("brief", {}, "invalid", "run"),
    ("brief", {"run": None}, "invalid", "run"),
    ("brief", {"verbose": True}, "invalid", "verbose"),
    ("explain", {"step": "soon"}, "invalid", "step"),
    ("explain", {"step": -1}, "invalid", "step"),
    ("explain", {"step": 2**60}, "invalid", "step"),
    ("curves", {"start": 9, "stop": 3}, "invalid", "stop"),
    ("history", {"last": 0}, "invalid", "from 1 to 100"),
    ("list_runs", {"run": None, "limit": 101}, "invalid", "from 1 to 100"),
    ("list_runs", {"run": None, "selector": "=,="}, "invalid", "selector"),
    ("wait", {"until": "noon"}, "invalid", "until"),
    ("wait", {"until": "step"}, "invalid", "number is required"),
    ("wait", {"until": "end", "timeout": 61}, "invalid", "from 0 to 60 seconds"),
    ("wait", {"until": "end", "timeout": "NaN"}, "invalid", "from 0 to 60 seconds"),
    ("wait", {"until": "revision", "number": 9}, "unknown-revision", "9"),
    ("wait", {"until": "proposal", "number": 9}, "unknown-proposal", "9"),
    ("preview_change", {"changes": {"lr": {"edit": "scael"}}}, "invalid", "did you mean"),
    ("preview_change", {"changes": {"rate": 1}}, "invalid", "rate"),
    ("preview_change", {"changes": "lr scale 0.5"}, "invalid", "changes"),
    ("propose_change", {"changes": HALVE, "why": " "}, "invalid", "why"),
    ("propose_change", {"changes": HALVE}, "invalid", "why"),
    ("note", {"text": "x" * 5000}, "invalid", "text"),
    ("change", {"changes": HALVE, "why": "x", "effective": 5}, "too-late", "step 5 is settled"),
    ("change", {"changes": {"lr": 2}, "why": "x"}, "guard-violated", "lr"),
    ("change", {"changes": {}, "why": "x"}, "invalid", "changes"),
    (
        *("change", {"changes": HALVE, "why": "x", "expected_revision": 7}),
        *("revision-mismatch", "7"),
    ),
    ("stop", {"why": "x", "effective": 5}, "too-late", "step 5 is settled"),
    ("pause", {"why": ""}, "invalid", "why"),
    ("signal", {"signal": "explode", "why": "x"}, "invalid", "explode"),
]


@pytest.fixture(scope="module")
def refusing(service: Service) -> tuple[Agent, str]:
    """Return an agent that may do all, and a run on which it is refused."""
    run = service.run(signals={"checkpoint": {}})
    return service.agent("operator", changes=True), run


@pytest.mark.parametrize(("name", "arguments", "code", "said"), REFUSED)
def test_a_refusal_is_an_answer_that_can_be_read(
    name: str, arguments: Answer, code: str, said: str, refusing: tuple[Agent, str]
) -> None:
    """The code, a sentence that names what is wrong, and the fields with values and bounds."""
    agent, run = refusing
    whole = {"run": run, **arguments} if arguments and "run" not in arguments else arguments
    given = {key: value for key, value in whole.items() if value is not None or name == "brief"}
    answer = agent.refused(name, **given)
    assert answer["error"] == code, answer
    assert said in str(answer)
    if code == "invalid":
        assert all(each["field"] and each["message"] for each in answer["fields"])
    if code == "too-late":
        assert answer["earliest"] == 100


def test_every_tool_is_refused_in_some_way() -> None:
    """Each has a line in the table of refusals, but for one that takes no more than a run."""
    assert set(TOOLS) - {name for name, *_ in REFUSED} == {"workers"}


def test_past_its_limit_it_is_told_what_is_left(service: Service) -> None:
    """`limit-reached`: what the limit is, and what it leaves; the same may be proposed."""
    run = service.run()
    agent = service.agent("operator", limit="changes=5/day, gap=500, edits=scale", changes=True)
    assert agent.ask("change", run=run, changes=HALVE, why="flat")["effective"] == 100
    for changes, field in ((HALVE, "effective"), ({"lr": {"edit": "hold"}}, "changes.lr")):
        answer = agent.refused("change", run=run, changes=changes, why="still flat")
        assert answer["error"] == "limit-reached"
        assert [each["field"] for each in answer["fields"]] == [field]
        left = answer["left"]
        assert (left["left"], left["from_step"], left["made"]) == (4, 600, 1)
        assert agent.ask("propose_change", run=run, changes=changes, why="x")["state"] == "open"
    use = agent.ask("brief", run=run)["allowance"]
    assert (use["left"], use["from_step"]) == (4, 600)
    assert agent.ask("change", run=run, changes=HALVE, why="x", effective=600)["revision"] == 3


def test_a_protected_run_makes_a_proposal_of_a_change(service: Service) -> None:
    """It is an error, since nothing was done, and names the proposal that waits for a person."""
    run = service.run()
    service.admin.control(run).protect()
    agent = service.agent("operator", changes=True)
    answer = agent.refused("change", run=run, changes=HALVE, why="flat")
    assert (answer["error"], answer["proposal"]) == ("needs-approval", 1)
    assert agent.ask("wait", run=run, until="proposal", number=1, timeout=0)["held"] is False


def test_runs_of_others_are_not_there(service: Service) -> None:
    """A token for some runs lists those, and all others are unknown to each tool."""
    ours, theirs = service.run(labels={"team": "ours"}), service.run(labels={"team": "theirs"})
    agent = service.agent("operator", runs="team=ours", changes=True)
    assert [each["name"] for each in agent.ask("list_runs")["runs"]] == [ours]
    for name in TOOLS.keys() - {"list_runs"}:
        answer = agent.refused(name, run=theirs, **TRIALS[name].arguments)
        assert (answer["error"], "theirs" in str(answer)) == ("unknown-run", False)


def test_a_token_that_expires_is_said_to(service: Service) -> None:
    """From its very time on, each tool says that it has expired, and when."""
    end = datetime.now(UTC) + timedelta(seconds=1.5)
    run = service.run()
    agent = service.agent("viewer", expires_at=end.isoformat())
    found: Answer = {}
    while datetime.now(UTC) < end + timedelta(seconds=5) and "error" not in found:
        found = _direct(agent.tools, "brief", run=run)
    assert (found["error"], "expired at" in found["detail"]) == ("unauthenticated", True)
    with pytest.raises(Unauthenticated, match="expired at"):
        agent.names()


def _direct(tools: Tools, name: str, **arguments: Any) -> Answer:
    """Return what a tool answers, as the server of the protocol sends it."""
    return told(answer(tools, name, arguments))[0]


def test_a_service_that_is_gone_is_said_to_be(service: Service) -> None:
    """Once it serves: an error that says where nobody answers. Before: it does not begin."""
    with Client("http://127.0.0.1:1", retries=0) as nobody:
        tools = Tools(nobody, allow_changes=True)
        for name, trial in TRIALS.items():
            where = {} if name == "list_runs" else {"run": "gpt"}
            found = _direct(tools, name, **where, **trial.arguments)
            assert (found["error"], "127.0.0.1:1" in found["detail"]) == ("unreachable", True)
            assert ("done" in found) == (name not in LOOKS)  # it may have been: twice is too often
        with pytest.raises(Unreachable):
            tools.names()


ANSWERED: list[Callable[[httpx.Request], httpx.Response]] = [
    lambda _: httpx.Response(200, html="<html>Sign in to the hotel</html>"),
    lambda _: httpx.Response(502, text="bad gateway"),
    lambda _: httpx.Response(200, json={}),
    lambda _: httpx.Response(200, json={"items": [{}], "steps": 3, "before": [], "runs": None}),
    lambda _: httpx.Response(200, content=b'{"x": "\\ud800' + b"y" * 1_000_000 + b'"}'),
    lambda _: httpx.Response(200, json={str(n): ["z" * 100] * 100 for n in range(1000)}),
    lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
]


@pytest.mark.parametrize("answered", ANSWERED, ids=range(len(ANSWERED)))
@pytest.mark.parametrize("name", TOOLS)
def test_whatever_answers_the_tool_does_in_few_words(
    name: str, answered: Callable[[httpx.Request], httpx.Response]
) -> None:
    """P10: another program's page, half an answer, a megabyte: a short answer, or a short error."""
    transport = httpx.MockTransport(answered)
    with Client("http://test", retries=0, transport=transport) as client:
        where = {} if name == "list_runs" else {"run": "gpt"}
        asked = {**where, **TRIALS[name].arguments, **({"timeout": 0} if name == "wait" else {})}
        found, failed = told(answer(Tools(client, allow_changes=True), name, asked))
    assert failed == ("error" in found)
    assert found.get("error") != "internal", "its own log has why"


def test_access_is_what_the_tools_go_by(service: Service) -> None:
    """What `GET /v1/access` says that a token may do are words that tools need, and acts."""
    may = set(service.admin.access()["may"])
    assert {offer.may for offer in TOOLS.values()} - {None} <= may
    assert may == {"propose", "note", *wire.ProposalKind.__args__}  # type: ignore[attr-defined]

"""
What hooks are told: the body of a message, from what happened; and as Slack takes it.

Names, labels and messages are other people's text. In JSON they are data, cut to a length. In a
text for Slack they can be neither a link, nor a mention, nor a line of their own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import orjson

from rheostat import wire
from rheostat.visible import shortened

LONGEST, LONGEST_DETAIL, LABELS = 1_000, 300, 16
"""Characters of an author's message, and of any other text, in a message; and labels of a run."""

COMMON = {
    *("number", "kind", "id", "created_at", "generation", "revision", "effective"),
    *("author", "message", "changes", "data", "cause"),
}
"""What events say that is no detail; the last three may be long, and whoever wants them asks."""

MANY = 32
"""Parameters that the details of a change name."""

SENTENCES: Mapping[wire.HookEvent, str] = {
    "revised": "revision {revision} of {parameters} at step {effective}",
    "rewound": "rewound to step {from}, generation {generation}",
    "cancelled": "revision {cancelled} taken back",
    "extended": "total set to {total} at step {effective}",
    "proposed": "proposal {proposal}: {proposes}",
    "settled-proposal": "proposal {proposal} {state}",
    "decided": "{controller} decided at step {step}: {decision}",
    "outcome": "{source} says what became of revision {revision}: {outcome}",
    "mismatch": "worker {worker} applied {found} for {parameter} at step {step}, and was given"
    " {expected}",
    "silent": "workers have fallen silent: {workers}; {silent} are silent, {alive} alive",
}
"""What Slack is told of an event; of all others their word, and the step."""

SLACK_TEXT = 2_000
"""Characters of a text for Slack, which cuts off at 4,000 bytes."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a run, of which hooks may be told."""

    event: wire.HookEvent
    key: str
    """What it is told once by: its number, or a word if it has none."""
    at: str
    run: wire.HookRun
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else is said of it, by the names of `wire.HookData`."""


def of_event(event: wire.Event, run: wire.HookRun) -> Notice:
    """Return an event of a run as hooks are told of it."""
    found: dict[str, Any] = {**event}
    details = {
        name: _short(value)
        for name, value in found.items()
        if name not in COMMON and not isinstance(value, dict | list)
    }
    if changes := found.get("changes"):
        details["parameters"] = [*changes][:MANY]
    fields = {name: found.get(name) for name in ("number", "generation", "revision", "effective")}
    fields |= {"author": found.get("author"), "message": found.get("message") or ""}
    kind = cast("wire.HookEvent", event["kind"])
    key, at = str(event["number"]), event["created_at"] or ""
    return Notice(kind, key, at, run, {**fields, "details": details})


def message(notice: Notice) -> wire.HookMessage:
    """Return the body of a message, without its link."""
    said = notice.fields
    return {
        "type": "run." + notice.event.replace("-", "_"),
        "timestamp": notice.at,
        "data": {
            "event": notice.event,
            "number": said.get("number"),
            "run": {
                "id": notice.run["id"],
                "name": notice.run["name"],
                "labels": dict(islice(_labels(notice.run["labels"]), LABELS)),
            },
            "generation": said.get("generation"),
            "revision": said.get("revision"),
            "effective": said.get("effective"),
            "author": said.get("author"),
            "message": shortened(said.get("message") or "", LONGEST),
            "details": dict(said.get("details", {})),
            "link": None,
        },
    }


def linked(content: wire.HookMessage, address: str) -> wire.HookMessage:
    """Return a message with the link to the run's page, if there is one, and its address known."""
    data = content["data"]
    if not address or data["event"] == "deleted":
        return content
    return {**content, "data": {**data, "link": f"{address}/runs/{data['run']['id']}"}}


def trial(hook: str, at: str) -> wire.HookMessage:
    """Return the body of a message that tries a hook out; the run in it does not exist."""
    run: wire.HookRun = {"id": "run_" + 26 * "0", "name": "example", "labels": {}}
    fields = {
        **dict.fromkeys(("number", "generation"), 1),
        "revision": 2,
        "effective": 4096,
        "author": "rheostat",
        "message": f"A trial of the hook {hook}: nothing has happened.",
        "details": {"forced": False, "parameters": ["lr"]},
    }
    return {**message(Notice("revised", "1", at, run, fields)), "type": "hook.test"}


def body(content: wire.HookMessage, form: wire.HookFormat) -> bytes:
    """Return the bytes that are sent, the same ones each time."""
    return orjson.dumps(slack(content) if form == "slack" else content)


def slack(content: wire.HookMessage) -> dict[str, Any]:
    """Return a message as incoming webhooks of Slack take it, and what is compatible with them."""
    data = content["data"]
    name = _plain(data["run"]["name"])
    link = data["link"]
    subject = f"*{name}*" if link is None else f"*<{link}|{name}>*"
    trial = "(trial) " if content["type"] == "hook.test" else ""
    parts = [f"{trial}{subject}: {_sentence(data)}"]
    if data["author"]:
        parts.append(f"by {_plain(data['author'])}")
    text = " ".join(parts)
    if data["message"]:
        text += f"\n> {_plain(data['message'])}"
    # Slack would fetch what is linked, and show a part of it
    return {"text": text[:SLACK_TEXT], "unfurl_links": False, "unfurl_media": False}


class _Words(dict[str, Any]):
    """What a sentence is made of, each as plain text; what is missing is left open."""

    def __missing__(self, key: str) -> str:
        return "…"


def _sentence(data: wire.HookData) -> str:
    said = {**data, **data["details"]}
    words = _Words({name: _plain(_listed(value)) for name, value in said.items()})
    if not data["details"].get("parameters"):
        words.pop("parameters", None)
    at = "" if data["effective"] is None else " at step {effective}"
    return SENTENCES.get(data["event"], "{event}" + at).format_map(words)


def _listed(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _plain(value: object) -> str:
    """Return a text that means nothing but itself, on one line."""
    text = " ".join(str(value).split())
    text = "".join(each for each in text if unicodedata.category(each) not in {"Cc", "Cf", "Cs"})
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # what is compatible with Slack takes a plain @channel for a mention
    return text.replace("@", "@\u200b")


def _labels(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in labels.items():
        yield key, shortened(value, LONGEST_DETAIL)


def _short(value: Any) -> Any:
    return shortened(value, LONGEST_DETAIL) if isinstance(value, str) else value

"""One message to one hook, over a real socket: where it goes, and what counts as taken."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port
from tests.server.hooks.receiver import Receiver, receiving

from rheostat.server.hooks import messages, posting, signing
from rheostat.server.hooks.hook import Hook
from rheostat.server.hooks.posting import Posted, Poster
from rheostat.server.hooks.targets import Networks
from rheostat.server.runs.selector import EVERYTHING

HERE = Networks.parse(["127.0.0.0/8", "::1"])
SECRET = signing.new_secret()
Look = Callable[[str, int], Sequence[str]]


def hook(url: str, **fields: Any) -> Hook:
    """Return a hook."""
    given: dict[str, Any] = {"format": "standard", "secrets": (SECRET,), **fields}
    given |= {"events": ("revised",), "created_at": "", "disabled_at": None}
    return Hook("a", url, selector=EVERYTHING, **given)


def post(to: Hook, networks: Networks = HERE, resolve: Look | None = None) -> Posted:
    """Send a message, and return what came of it."""

    async def send() -> Posted:
        poster = Poster(networks, resolve)
        try:
            return await poster.post(to, "msg_1", messages.trial("a", "2026-01-01T12:00:00Z"))
        finally:
            await poster.close()

    return asyncio.run(send())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return somebody who is told."""
    with receiving() as receiver:
        yield receiver


def test_a_message_is_signed(receiver: Receiver) -> None:
    """What arrives has the three headers, and the signature of the bytes that arrived."""
    assert post(hook(receiver.url)).delivered
    (found,) = receiver.received
    time = int(found.headers["webhook-timestamp"])
    expected = signing.signature([signing.key_of(SECRET)], found.id, time, found.body)
    assert found.headers["webhook-signature"] == expected
    assert (found.id, found.path) == ("msg_1", "/x")
    assert found.headers["content-type"] == "application/json"
    assert found.headers["host"] == receiver.url.split("/")[2]


def test_slack_is_told_without_a_signature(receiver: Receiver) -> None:
    """Who takes a text for Slack gets that alone, and no header that names a hook."""
    assert post(hook(receiver.url, format="slack", secrets=())).delivered
    (found,) = receiver.received
    assert {*found.json} == {"text", "unfurl_links", "unfurl_media"}
    assert not any(name.startswith("webhook-") for name in found.headers)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_taken(receiver: Receiver, status: int) -> None:
    """Any answer from 200 to 299 means that it was taken."""
    receiver.answers.append(status)
    assert post(hook(receiver.url))[:2] == (status, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_all_else_is_not(receiver: Receiver, status: int) -> None:
    """P10: nothing else is; a redirect is not followed, be it to where the message came from."""
    receiver.answers.append(status)
    receiver.headers = {"Location": receiver.url, "Retry-After": "120"}
    posted = post(hook(receiver.url))
    assert (posted.status, posted.delivered, posted.gone) == (status, False, status == 410)
    assert posted.retry_after == 120
    assert str(status) in str(posted.error)
    assert len(receiver.received) == 1


def test_who_does_not_answer_has_ten_seconds(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: an attempt ends in its time, whatever its receiver does; here that is less."""
    assert posting.TIMEOUT == 10
    monkeypatch.setattr(posting, "TIMEOUT", 0.2)
    receiver.hangs = True
    posted = post(hook(receiver.url))
    assert (posted.status, posted.error) == (None, "no answer within 0.2 s")


def test_a_name_server_that_hangs_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: nor does it matter what a name server does: neither the attempt nor the end waits."""
    monkeypatch.setattr(posting, "TIMEOUT", 0.2)
    never = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        never.wait(30)
        return ["127.0.0.1"]

    assert post(hook("https://example.com/x"), resolve=hang).error == "no answer within 0.2 s"
    never.set()


def test_nobody_there() -> None:
    """Who does not listen is said to be away, without the path, which may be a secret."""
    error = str(post(hook(f"http://127.0.0.1:{free_port()}/secret")).error)
    assert error.startswith("no connection")
    assert "secret" not in error


def test_a_name_without_an_address(receiver: Receiver) -> None:
    """A name that means nothing is named."""

    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    error = str(post(hook("https://nobody.example/secret"), resolve=resolve).error)
    assert error == "nobody.example has no address: Name or service not known"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1", "192.168.0.1"],
        ["64:ff9b::7f00:1"],
        [],
    ],
)
def test_a_name_that_leads_inside_is_not_followed(addresses: list[str]) -> None:
    """P10: a public name may mean an address of ours: nothing is sent there, and it is said why."""
    to = hook("https://example.com/x")
    posted = post(to, Networks(), lambda _host, _port: addresses)
    assert posted.status is None
    assert "RHEOSTAT_HOOK_NETWORKS" in str(posted.error)


def test_http_goes_to_this_machine_alone(receiver: Receiver) -> None:
    """P10: that `localhost` means another machine, where a network is listed, does not help."""
    url = receiver.url.replace("127.0.0.1", "localhost")
    networks = Networks.parse(["127.0.0.0/8", "10.0.0.0/8"])
    assert post(hook(url), networks, lambda _host, _port: ["10.0.0.1", "127.0.0.1"]).delivered
    assert not post(hook(url), networks, lambda _host, _port: ["10.0.0.1"]).delivered


def test_the_connection_goes_to_the_address_that_was_looked_at(receiver: Receiver) -> None:
    """P10: a name that means another address a moment later (DNS rebinding) is asked for once."""
    asked = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    url = f"http://localhost:{receiver.server.server_port}/x"
    assert post(hook(url), resolve=resolve).delivered
    assert asked == ["localhost"]
    assert receiver.received[0].headers["host"] == url.split("/")[2]


def test_an_address_that_is_away_is_followed_by_the_next(receiver: Receiver) -> None:
    """A name with several addresses is reached by any of them that answers."""
    url = f"http://localhost:{receiver.server.server_port}/x"
    assert post(hook(url), resolve=lambda _host, _port: ["127.99.99.99", "127.0.0.1"]).delivered


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: a proxy would look the name up again, and reach what it likes."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(hook(receiver.url)).delivered


CERTIFICATE = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout {folder}/key.pem -out {folder}/{name}.pem
 -days 2 -subj /CN={name} -addext subjectAltName=DNS:{name}
"""


def encrypted(receiver: Receiver, folder: Path, name: str, patch: pytest.MonkeyPatch) -> str:
    """Have a receiver speak TLS, with a trusted certificate of a name; return the hook's URL."""
    subprocess.run(
        CERTIFICATE.format(folder=folder, name=name).split(), check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / "key.pem")
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    patch.setenv("SSL_CERT_FILE", str(folder / f"{name}.pem"))
    return f"https://hook.test:{receiver.server.server_port}/x"


@pytest.mark.parametrize(("name", "taken"), [("hook.test", True), ("other.test", False)])
def test_a_certificate_has_to_be_of_the_name(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, taken: bool
) -> None:
    """P10: though the connection goes to an address, whoever answers has to be who was named."""
    url = encrypted(receiver, tmp_path, name, monkeypatch)
    posted = post(hook(url), resolve=lambda _host, _port: ["127.0.0.1"])
    assert posted.delivered == taken, posted.error
    assert len(receiver.received) == taken
    assert taken or "certificate" in str(posted.error)


def test_an_authority_that_nobody_trusts(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: a certificate of the right name that nobody has signed is refused."""
    url = encrypted(receiver, tmp_path, "hook.test", monkeypatch)
    monkeypatch.delenv("SSL_CERT_FILE")
    posted = post(hook(url), resolve=lambda _host, _port: ["127.0.0.1"])
    assert "certificate" in str(posted.error)
    assert receiver.received == []


def test_a_long_answer_is_not_read(receiver: Receiver) -> None:
    """P10: what a receiver answers, and how much of it, is not read."""
    receiver.headers = {"Content-Length": "1000000000"}
    receiver.answers.append(200)
    assert post(hook(receiver.url)).delivered


def test_a_service_without_hooks_does_not_load_httpx() -> None:
    """The application is there without the library that sends."""
    loaded = "import rheostat.server.serve, rheostat.server.app, sys"
    program = f"{loaded}; print('httpx' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"

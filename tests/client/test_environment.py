"""Proxies, certificates and secrets: what the surroundings of a client do to it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import self_signed
from tests.client import hostile as acts
from tests.client.hostile import Hostile
from tests.conftest import RunningServer

from rheostat import AsyncClient, Client
from rheostat.client import settings as settings_module
from rheostat.client.environment import is_direct
from rheostat.errors import Invalid, RheostatError, Unreachable

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
LOG = "rheostat"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without proxies and certificates."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[Hostile]:
    """Yield a server that answers well."""
    with acts.hostile() as server:
        yield server


def nobody() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


UNLUCKY: list[dict[str, str]] = [
    {"NO_PROXY": "localhost,127.0.0.1,fd07:b51a:cc66:f0::/64"},
    {"NO_PROXY": "fe80::/10"},
    {"NO_PROXY": "localhost,127.0.0.1,[::1]"},
    {"NO_PROXY": "[::1]:8000, http://a b, :, /, ::::, 1.2.3.4/99, \ud7ff, *.*, .", "no_proxy": ""},
    {"ALL_PROXY": "socks://127.0.0.1:7890", "NO_PROXY": "127.0.0.1,localhost"},
    {"ALL_PROXY": "socks5://127.0.0.1:7890", "NO_PROXY": "127.0.0.1"},
    {"ALL_PROXY": "socks5://127.0.0.1:7890", "NO_PROXY": "127.0.0.0/8"},
    {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "10.0.0.0/8,127.0.0.0/8"},
    {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"},
    {"HTTPS_PROXY": "nonsense://", "SSL_CERT_FILE": "/nonexistent/ca.pem"},
    {"SSL_CERT_FILE": "/nonexistent/ca.pem"},
    {"SSL_CERT_DIR": "/nonexistent"},
]


@pytest.mark.parametrize("variables", UNLUCKY, ids=str)
def test_unlucky_environment_is_no_obstacle(
    variables: dict[str, str], server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is asked directly, over http, needs nothing of proxies and certificates."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)

    with Client(server.url) as client:
        assert client.run("gpt").value("lr", 0) == 0.5

    async def main() -> float:
        async with AsyncClient(server.url) as client:
            return await (await client.run("gpt")).value("lr", 0)

    assert asyncio.run(main()) == 0.5


@pytest.mark.parametrize(
    ("url", "variables", "named"),
    [
        ("http://there.example", {"ALL_PROXY": "socks://127.0.0.1:7890"}, "ALL_PROXY"),
        ("http://there.example", {"HTTP_PROXY": "ftp://ann:s3cret@h"}, "HTTP_PROXY"),
        ("http://there.example", {"http_proxy": "http://"}, "http_proxy"),
        ("https://there.example", {"HTTPS_PROXY": "http://a b"}, "HTTPS_PROXY"),
        ("http://there.example", {"ALL_PROXY": "socks5://ann:s3cret@127.0.0.1:1"}, "socksio"),
        ("https://there.example", {"SSL_CERT_FILE": "/nonexistent/ca.pem"}, "SSL_CERT_FILE"),
    ],
)
def test_environment_that_cannot_work_is_named(
    url: str, variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: a variable that makes it impossible is named, with its value but without secrets."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)

    with pytest.raises(Invalid) as error:
        Client(url).run("gpt")

    assert named in str(error.value)
    assert "s3cret" not in repr(error.value) + str(error.value)


def test_proxy_that_was_asked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot reach the service reads that a proxy was asked, which, and who wanted it."""
    port = nobody()
    monkeypatch.setenv("HTTP_PROXY", f"http://ann:s3cret@127.0.0.1:{port}")

    with Client("http://there.example", retries=0) as client, pytest.raises(Unreachable) as error:
        client.runs()

    assert f"through the proxy http://***@127.0.0.1:{port} (HTTP_PROXY)" in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_proxy_is_asked(server: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may be given, or come from the environment, unless that is not to be trusted."""
    with Client("http://there.example", proxy=server.url) as client:
        assert client.run("gpt").value("lr", 0) == 0.5
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with Client("http://there.example") as client:
        assert client.run("gpt").id == "run-1"
    assert all(b" http://there.example/v1/" in request for request in server.asked)

    with Client(server.url, trust_env=False) as client:
        assert client.run("gpt").id == "run-1"
    assert b"POST /v1/" in server.asked[-1]


@pytest.mark.parametrize(
    ("listed", "host", "port", "direct"),
    [
        ("example.com", "example.com", 80, True),
        ("example.com", "a.example.com", 80, True),
        ("example.com", "notexample.com", 80, False),
        (".example.com", "a.example.com", 80, True),
        ("*.example.com", "a.example.com", 80, True),
        ("EXAMPLE.com", "example.COM", 80, True),
        ("example.com.", "example.com", 80, True),
        ("example.com:8000", "example.com", 8000, True),
        ("example.com:8000", "example.com", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "10.example", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:80", "10.1.2.3", 80, True),
        ("10.1.2.3:81", "10.1.2.3", 80, False),
        ("0.1.2.3", "10.1.2.3", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "fe80::1", 80, False),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("::1", "::1", 80, True),
        ("*", "anything", 80, True),
        (" , a , localhost ", "localhost", 80, True),
        ("localhost", "127.0.0.1", 80, False),
        ("", "localhost", 80, False),
        (".", "localhost", 80, False),
    ],
)
def test_who_is_asked_directly(listed: str, host: str, port: int, *, direct: bool) -> None:
    """``NO_PROXY`` is read as curl and Go do: names with those below, networks, ports."""
    assert is_direct(host, port, listed) is direct


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:s3cret@127.0.0.1:9",
        "http://s3cret@127.0.0.1:9",
        "http://ann:s3cret@host:port",
        "ftp://ann:s3cret@host",
        "ann:s3cret@host",
        "http://ann:pw/s3cret@host",
        "http://host?token=s3cret",
        "http://host/#s3cret",
        "http://host:99999",
    ],
)
def test_no_secret_in_an_address(url: str) -> None:
    """An address with a name, password or query is refused, and what it holds is not repeated."""
    with pytest.raises(Invalid) as error:
        Client(url)

    [wrong] = error.value.errors
    assert wrong.field == "base_url"
    assert "s3cret" not in str(error.value) + repr(error.value) + repr(wrong)


def test_secrets_are_in_no_copy_and_no_text() -> None:
    """P10: token, headers, certificates' passwords and proxies' are shown and stored nowhere."""
    client = Client(
        "https://there.example",
        token="s3cret",  # noqa: S106
        headers={"X-Key": "s3cret"},
        cert=("a.pem", "b.pem", "s3cret"),
        proxy="http://ann:s3cret@127.0.0.1:9",
    )

    assert "s3cret" not in repr(client.settings) + str(client.settings) + str(client.settings.way)
    assert b"s3cret" not in pickle.dumps(client)
    copy: Client = pickle.loads(pickle.dumps(client))  # noqa: S301
    assert copy.settings.base_url == "https://there.example"


@pytest.mark.parametrize("headers", [{"X": "two\nlines"}, {"a b": "c"}, {"X": 1}, "X: 1", {"": ""}])
def test_headers_that_cannot_be_sent(headers: Any) -> None:
    """P10: headers are refused where they are given, without their texts."""
    with pytest.raises(Invalid, match="headers"):
        Client("http://there.example", headers=headers)


def test_headers_are_sent(server: Hostile) -> None:
    """What a gateway on the way wants is said with every request; a token need not be ours."""
    headers = {"X-Key": "k", "Authorization": "Basic abc"}
    with Client(server.url, headers=headers, token="unused") as client:  # noqa: S106
        client.run("gpt")

    assert b"\r\nX-Key: k\r\n" in server.asked[0]
    assert b"\r\nAuthorization: Basic abc\r\n" in server.asked[0]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://there.example", True),
        ("http://8.8.8.8", True),
        ("https://there.example", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("http://10.1.2.3", False),
        ("http://rheostat:8000", False),
        ("http://rheostat.training.svc.cluster.local", False),
    ],
)
def test_readable_tokens_are_warned_of_once(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, warned: bool
) -> None:
    """A token that goes over http:// beyond private networks is worth a line, and not two."""
    monkeypatch.setattr(settings_module, "_warned", set())
    with caplog.at_level(logging.WARNING, LOG):
        for _ in range(2):
            Client(url, token="s3cret").settings.all_headers()  # noqa: S106

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == int(warned)
    assert "s3cret" not in "".join(said)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of 127.0.0.1 that nobody has signed."""
    folder = tmp_path_factory.mktemp("tls")
    made = self_signed(folder)
    both = folder / "both.pem"
    both.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
    return both


@pytest.fixture
def secure(certificate: Path) -> Iterator[Callable[[], int]]:
    """Start a way to the server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with acts.hostile() as server:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        server._answer(connection)
                except (OSError, ValueError):
                    plain.close()

        threading.Thread(target=serve, daemon=True).start()
        yield lambda: int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_certificates_that_fail_are_told_at_once(secure: Callable[[], int]) -> None:
    """P9: a certificate of nobody's is a mistake to be mended, and is told when joining."""
    url = f"https://127.0.0.1:{secure()}"
    began = time.monotonic()

    with pytest.raises(Unreachable, match=r"(?s)CERTIFICATE_VERIFY_FAILED.*verify="):
        Client(url, deadline=20).run("gpt")

    assert time.monotonic() - began < 30


def test_tls_where_none_is_spoken_is_told_at_once(server: Hostile) -> None:
    """P9: https:// in place of http:// is told when joining."""
    began = time.monotonic()

    with pytest.raises(Unreachable, match="http:// or https://"):
        Client(server.url.replace("http:", "https:"), deadline=20).run("gpt")

    assert time.monotonic() - began < 30


def test_own_authorities(
    secure: Callable[[], int], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private authority is trusted by file, by context or by environment; or anybody is."""
    url = f"https://127.0.0.1:{secure()}"
    context = ssl.create_default_context(cafile=certificate)
    for options in ({"verify": str(certificate)}, {"verify": context}, {"verify": False}):
        with Client(url, **options) as client:
            assert client.run("gpt").value("lr", 0) == 0.5
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Client(url) as client:
        assert client.run("gpt").id == "run-1"


@pytest.mark.parametrize(
    "options", [{"verify": "/nonexistent"}, {"verify": 7.5j}, {"cert": "/nonexistent"}, {"cert": 5}]
)
def test_files_that_are_no_certificates(options: dict[str, Any]) -> None:
    """P10: a file that cannot be read is named."""
    with pytest.raises(RheostatError, match=next(iter(options))):
        Client("https://127.0.0.1:1", deadline=1, **options).run("gpt")


def test_the_address_is_the_environments(
    shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is given no address asks at `RHEOSTAT_URL`, and so does a copy elsewhere."""
    monkeypatch.setenv("RHEOSTAT_URL", shared_server.url)
    with Client() as client:
        copied = pickle.dumps(client)
        assert "constant" in {kind["kind"] for kind in client.kinds()}
    monkeypatch.setenv("RHEOSTAT_URL", "http://elsewhere.invalid")
    with pickle.loads(copied) as copy:  # noqa: S301 - it was pickled above
        assert copy.kinds()


def test_without_an_address_a_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: where neither the argument nor the environment has one, the error names both."""
    monkeypatch.delenv("RHEOSTAT_URL", raising=False)
    with pytest.raises(Invalid, match=r"base_url is needed.*RHEOSTAT_URL"):
        Client()

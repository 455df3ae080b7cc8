"""TLS in front of a fleet, by a certificate of the test's own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.certificates import self_signed
from tests.fleet.conftest import Fleet, Nginx
from tests.fleet.test_cache import block, source

from rheostat import Client


class Secured(NamedTuple):
    """The fleet's nginx over TLS, and who has signed its certificate."""

    nginx: Nginx
    authority: Path


@pytest.fixture(scope="module")
def secured(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start an nginx that speaks TLS in front of the fleet's replicas."""
    made = self_signed(tmp_path_factory.mktemp("certificate"))
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), fleet.addresses, certificate=made)
    yield Secured(nginx, made.certificate)
    nginx.close()


def test_a_training_reads_over_tls(secured: Secured, fleet: Fleet, new_name: Any) -> None:
    """P1: blocks come through TLS from the cache, to who trusts the certificate's authority."""
    name = new_name()
    run_id = fleet.create(name)
    token, verify = fleet.secrets["worker"], ssl.create_default_context(cafile=secured.authority)
    with Client(secured.nginx.url, token=token, verify=str(secured.authority)) as client:
        run = client.run(name)
        assert [run.value("lr", step) for step in range(4)] == [100, 99, 98, 97]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=secured.nginx.url, headers=headers, verify=verify) as http:
        answers = [http.get(block(run_id)) for _ in range(2)]
        refusals = [http.request("TRACE", "/"), http.get("/v1/runs/none")]
    assert source(answers[1]) == "HIT"
    for answer in (*answers, *refusals):
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_versions_of_tls_are_refused(secured: Secured) -> None:
    """Nobody talks a connection down to a version that is broken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(secured.authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context.minimum_version = context.maximum_version = version
        with httpx.Client(base_url=secured.nginx.url, verify=context) as http:
            if spoken:
                assert http.get("/livez").status_code == 200
            else:
                with pytest.raises(httpx.ConnectError, match=r"(?i)alert|protocol"):
                    http.get("/livez")


def test_plain_http_takes_no_token(secured: Secured, fleet: Fleet, problem: Any) -> None:
    """P10: who sends a token over plain HTTP is told that it was seen, and gets nothing else."""
    before = [fleet.served("/v1/runs"), fleet.served("/v1/access")]
    token = {"Authorization": f"Bearer {fleet.secrets['operator']}"}
    with httpx.Client(base_url=secured.nginx.plain_url) as http:
        moved = http.get("/page?run=gpt")
        assert moved.status_code == 308
        assert moved.headers["location"] == "https://127.0.0.1/page?run=gpt"
        for method, headers in (("GET", token), ("POST", token), ("POST", {})):
            refused = problem(http.request(method, "/v1/runs", headers=headers), "forbidden")
            assert "https://" in refused["detail"]
    assert [fleet.served("/v1/runs"), fleet.served("/v1/access")] == before


def test_without_tls_browsers_are_told_nothing(fleet: Fleet) -> None:
    """A fleet on plain HTTP, as on one's own machine, does not lock its host out of HTTP."""
    with fleet.client() as http:
        assert "strict-transport-security" not in http.get("/livez").headers

"""The rules of alerts and the dashboard in deploy/ work on what a real server tells."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from tests.conftest import RunningServer
from tests.ports import free_port
from tests.waiting import until

from rheostat.server.http.metric_table import METRICS

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy/prometheus/alerts.yml"
MANUAL = (ROOT / "docs/operations.md").read_text()
BOARD = orjson.loads((ROOT / "deploy/grafana/rheostat.json").read_bytes())
ALERTS: list[Any] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
QUERIES: list[str] = [
    target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())
]
SERIES = {each.shown for each in METRICS} | {
    f"{each.name}_{part}"
    for each in METRICS
    if each.type == "histogram"
    for part in ("bucket", "count", "sum")
}
PROMETHEUS = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="needs Prometheus: apt-get install prometheus",
)

SOON = """
from rheostat.server.http import sampling
from rheostat.server.serve import serve
from rheostat.server.settings import Settings
if __name__ == "__main__":
    sampling.CENSUS = sampling.LOOK = 0.5
    serve(Settings())
"""

CONFIGURATION = """
global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: rheostat
    static_configs: [{{ targets: ["{target}"] }}]
"""


def promtool(*arguments: str, given: str | None = None) -> None:
    """Have promtool check something, and fail with what it finds."""
    command = [str(shutil.which("promtool")), *arguments]
    done = subprocess.run(command, check=False, input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr


@PROMETHEUS
def test_alerts_are_rules_that_do_what_they_say() -> None:
    """`promtool` accepts the rules and the example, and each alert is raised when it should be."""
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(RULES.with_name("alerts_test.yml")))
    promtool("check", "config", "--syntax-only", str(RULES.with_name("prometheus.yml")))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_in_the_runbook(alert: Any) -> None:
    """Whoever is woken finds an entry under the alert's name, and it was seen to be raised."""
    name = alert["alert"]
    assert f"\n### {name}\n" in MANUAL, f"docs/operations.md has no entry of {name}"
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
    tested = yaml.safe_load(RULES.with_name("alerts_test.yml").read_text())["tests"]
    cases = [case for test in tested for case in test.get("alert_rule_test", ())]
    raised = [case for case in cases if case["alertname"] == name and case["exp_alerts"]]
    assert raised, f"alerts_test.yml never sees {name}"


@pytest.mark.parametrize("query", [*(alert["expr"] for alert in ALERTS), *QUERIES])
def test_a_query_is_about_metrics_that_there_are(query: str) -> None:
    """No alert and no panel asks for what a server does not tell."""
    asked = set(re.findall(r"\b(?:rheostat|process)_\w+", query))
    assert asked <= SERIES
    assert asked or "up{" in query


@contextmanager
def scraping(server: RunningServer, folder: Path) -> Iterator[httpx.Client]:
    """Run a Prometheus that scrapes a server, and has the rules."""
    address = f"127.0.0.1:{free_port()}"
    configuration = folder / "prometheus.yml"
    target = str(httpx.URL(server.url).netloc, "ascii")
    configuration.write_text(CONFIGURATION.format(rules=RULES, target=target))
    command = ["prometheus", f"--config.file={configuration}", f"--web.listen-address={address}"]
    with (folder / "log").open("w") as log:
        command.append(f"--storage.tsdb.path={folder / 'data'}")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as http:
                until(lambda: ready(http))
                yield http
        finally:
            process.kill()
            process.wait()


def ready(http: httpx.Client) -> bool:
    """Say whether Prometheus has begun to answer."""
    try:
        return http.get("/status/buildinfo").is_success
    except httpx.ConnectError:
        return False


def use(http: httpx.Client, name: str) -> None:
    """Have a run with everything that panels show: a worker, a change, a report, a refusal."""
    labels = {"watched": "yes"}
    run = http.post("/v1/runs", json={"name": name, "labels": labels, "parameters": {"lr": 1}})
    run_id = run.raise_for_status().json()["id"]
    block: dict[str, int] = {"generation": 1, "start": 0, "count": 8}
    http.get(f"/v1/runs/{run_id}/values", params=block).raise_for_status()
    change = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
    http.post(f"/v1/runs/{name}/revisions", json=change).raise_for_status()
    http.get(f"/v1/runs/{run_id}/values", params=block | {"start": 8}).raise_for_status()
    worker = {"worker": "0", "session": "a", "step": 4}
    beat = {"generation": 1, "workers": [worker]}
    http.post(f"/v1/runs/{run_id}/beats", json=beat).raise_for_status()
    rule = {"kind": "rule", "metric": "loss", "when": {"op": "<", "value": 1}}
    rule["changes"] = {"lr": 0.5}
    http.put(f"/v1/runs/{name}/controllers/rule", json=rule).raise_for_status()
    reports = {"generation": 1, "reports": [{"step": 0, "metrics": {"loss": 0.5}}]}
    http.post(f"/v1/runs/{run_id}/reports", json=reports).raise_for_status()
    assert http.get("/v1/runs/nobody").status_code == 404


@pytest.mark.long
@PROMETHEUS
def test_a_real_prometheus_answers_every_query(tmp_path: Path) -> None:
    """
    Every panel shows something of a server that is used, and no rule fails or raises an alert.

    What a server tells has nothing that Prometheus' linter finds fault with.
    """
    settings = {"workers": 2, "metrics_runs": "watched", "log_level": "error"}
    server = RunningServer(tmp_path, settings, SOON)
    try:
        with server.client() as http, scraping(server, tmp_path) as prometheus:
            missing, number, until = QUERIES, 0, time.monotonic() + 120
            while missing:
                assert time.monotonic() < until, f"not answered: {missing}"
                use(http, f"run-{number}")
                missing, number = (
                    [each for each in missing if not answer(prometheus, each)],
                    number + 1,
                )
                time.sleep(0.5)
            promtool("check", "metrics", given=http.get("/metrics").text)
            groups = prometheus.get("/rules").json()["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}
            raised = [rule["name"] for rule in rules if rule["state"] == "firing"]
            assert not raised
    finally:
        server.close()


def answer(prometheus: httpx.Client, query: str) -> list[Any]:
    """Return what Prometheus answers to a panel's query, as Grafana asks it."""
    for name, value in {"$job": "rheostat", "$__rate_interval": "30s"}.items():
        query = query.replace(name, value)
    document = prometheus.get("/query", params={"query": query}).json()
    assert document["status"] == "success", (query, document)
    return list(document["data"]["result"])

"""What is applied to a cluster: rendered by Kustomize, held against Kubernetes' own schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.conftest import DEPLOY, ROOT, RunProgram

from rheostat import __version__
from rheostat.server.serve import PATIENCE

VERSIONS = ("1.30", "1.37")
"""The oldest one in which all that is used can be used, and the newest one."""
MAIN = ("example", "base", "first-token", "training")
Manifest = dict[str, Any]


@pytest.fixture(scope="session", params=MAIN)
def rendered(request: pytest.FixtureRequest, run_program: RunProgram) -> list[Manifest]:
    """Return what Kustomize makes of a folder."""
    return render(run_program, request.param)


@pytest.fixture(scope="session")
def example(run_program: RunProgram) -> list[Manifest]:
    """Return the whole example, with everything in it."""
    return render(run_program, "example")


def render(run_program: RunProgram, folder: str) -> list[Manifest]:
    done = run_program("kubectl", "kustomize", DEPLOY / "kubernetes" / folder)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # a field that is deprecated, a patch that meets nothing
    return list(yaml.safe_load_all(done.stdout))


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Return the one manifest of a kind and a name."""
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Yield the template of each pod."""
    for manifest in manifests:
        if template := manifest["spec"].get("template") if "spec" in manifest else None:
            yield template


def test_every_manifest_is_as_kubernetes_wants_it(rendered: list[Manifest]) -> None:
    """No field is misspelt, misplaced or of the wrong type, in old and new clusters."""
    validate = pytest.importorskip("kubernetes_validate").validate
    for manifest in rendered:
        if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        for version in VERSIONS:
            validate(manifest, version, strict=True)


def test_every_file_is_used() -> None:
    """No manifest lies beside a kustomization that does not know of it."""
    for kustomization in DEPLOY.glob("kubernetes/*/kustomization.yaml"):
        known = yaml.safe_load(kustomization.read_text())
        paths = [
            *known.get("resources", ()),
            *(patch["path"] for patch in known.get("patches", ())),
        ]
        beside = {file.name for file in kustomization.parent.iterdir()} - {kustomization.name}
        assert beside == {path for path in paths if "/" not in path}, kustomization


def test_the_monitor_is_as_its_operator_wants_it(example: list[Manifest]) -> None:
    """The fields are those of the operator's own definition, and lead to the service's port."""
    monitor = named(example, "ServiceMonitor", "rheostat")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(monitor["spec"]) == {"selector", "endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) == {"port", "path", "interval", "scrapeTimeout", "authorization"}
    assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}
    service = named(example, "Service", "rheostat")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    others = [m for m in example if m["kind"] == "Service" and m is not service]
    assert not any(wanted <= other["metadata"]["labels"].items() for other in others)


def test_whatever_selects_pods_finds_some(rendered: list[Manifest]) -> None:
    """Services, budgets and policies are about pods that are there, and name ports of theirs."""
    templates = list(pods(rendered))
    for manifest in rendered:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        labels = selector.get("matchLabels", selector)
        if manifest["kind"] in {"Job", "ServiceMonitor"} or not labels:
            continue
        if "batch.kubernetes.io/job-name" in labels:  # Kubernetes' own label
            assert named(rendered, "Job", labels["batch.kubernetes.io/job-name"])
            continue
        found = [t for t in templates if labels.items() <= t["metadata"]["labels"].items()]
        assert len(found) == 1, manifest["metadata"]
        ports = {p["name"] for c in found[0]["spec"]["containers"] for p in c["ports"]}
        named_ports = [port.get("targetPort") for port in spec.get("ports", ())]
        named_ports += [port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"]]
        assert {port for port in named_ports if isinstance(port, str)} <= ports


def test_pods_are_contained(example: list[Manifest]) -> None:
    """P13: no pod is root, writes to its image, has rights, or takes a whole node."""
    for template in pods(example):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert {"memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        for volume in pod["volumes"]:
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]


def test_a_pod_has_time_to_stop(example: list[Manifest]) -> None:
    """P7: nobody is killed in the middle of an answer: what is waited for fits the grace period."""
    nginx = (DEPLOY / "nginx" / "nginx.conf").read_text()
    (shutdown,) = re.findall(r"worker_shutdown_timeout (\d+)s;", nginx)
    for name, needs in {"rheostat": PATIENCE, "rheostat-nginx": int(shutdown)}.items():
        pod = named(example, "Deployment", name)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > pause + needs


def test_secrets_are_files(example: list[Manifest]) -> None:
    """No secret is in an environment, or in a manifest."""
    assert not [manifest for manifest in example if manifest["kind"] == "Secret"]
    for template in pods(example):
        for container in template["spec"]["containers"]:
            for variable in container.get("env", ()):
                assert "secretKeyRef" not in variable.get("valueFrom", {})
                assert "://" not in variable.get("value", "")
    replicas = named(example, "Deployment", "rheostat")["spec"]["template"]["spec"]
    (container,) = replicas["containers"]
    files = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert str(Path(files["RHEOSTAT_DATABASE_FILE"]).parent) in mounts


def test_with_nginx_the_replicas_are_behind_it(example: list[Manifest]) -> None:
    """P10: who forges a caller's address reaches no replica: nginx and Prometheus alone do."""
    policy = named(example, "NetworkPolicy", "rheostat")["spec"]
    (rule,) = policy["ingress"]
    assert [next(iter(peer)) for peer in rule["from"]] == ["podSelector", "namespaceSelector"]
    assert rule["from"][0]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "rheostat-nginx"
    }
    deployment = named(example, "Deployment", "rheostat-nginx")["spec"]["template"]["spec"]
    (container,) = deployment["containers"]
    given = {item["name"] for item in container["env"]}
    wanted: set[str] = set()
    for template in (DEPLOY / "nginx").glob("*.template"):
        wanted |= set(re.findall(r"\$\{(\w+)\}", template.read_text()))
    assert wanted <= given


def test_images_are_those_of_the_release(example: list[Manifest]) -> None:
    """The example starts this release, and the nginx that the compose file has."""
    images = {c["image"] for template in pods(example) for c in template["spec"]["containers"]}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = f"registry.example.com/rheostat:{__version__}"
    assert images == {ours, compose["nginx"]["image"]}
    for folder in ("base", "first-token"):
        told = yaml.safe_load((DEPLOY / "kubernetes" / folder / "kustomization.yaml").read_text())
        assert [image["newTag"] for image in told["images"]] == [__version__]

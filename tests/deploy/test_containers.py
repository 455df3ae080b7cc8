"""What operators start: the image, the compose file, and what they are built from."""

from __future__ import annotations

import re
import stat
import string
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.certificates import self_signed
from tests.deploy.conftest import DEPLOY, ROOT, RunProgram

from rheostat import __version__
from rheostat.server.serve import PATIENCE

IMAGE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TEMPLATES = ["rheostat.conf.template", "rheostat.tls.template", "plain.conf.template"]
KEYS = frozenset(
    [
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "cpu_shares",
        "depends_on",
        "entrypoint",
        "environment",
        "healthcheck",
        "image",
        "init",
        "logging",
        "mem_limit",
        "networks",
        "pids_limit",
        "ports",
        "profiles",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "shm_size",
        "stop_grace_period",
        "tmpfs",
        "ulimits",
        "volumes",
    ]
)
"""What services have, as https://github.com/compose-spec/compose-spec spells it."""
PATCH = r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)*"


def pins(name: str) -> dict[str, str]:
    """Return the packages of a lock file, each with its version and hashes."""
    text = (ROOT / name).read_text()
    found = re.findall(r"^([a-z0-9._-]+)(==[^\n]+(?:\n    --hash[^\n]+)+)", text, re.MULTILINE)
    return dict(found)


def test_the_image_requires_tokens() -> None:
    """P10: whoever starts the image on all addresses serves nobody without a token."""
    assert "NO_AUTH" not in IMAGE
    assert "RHEOSTAT_HOST=0.0.0.0" in IMAGE


def test_all_that_builds_is_pinned() -> None:
    """Base images are of a patch release, and every package that runs in the build has its hash."""
    images = re.findall(r"^FROM (\S+)", IMAGE, re.MULTILINE)
    images += [service["image"] for service in SERVICES.values() if "build" not in service]
    assert len(set(images)) == 3
    for image in images:
        assert re.fullmatch(PATCH, image), image
    builders, everything = pins("requirements-build.lock"), pins("requirements.lock")
    assert "hatchling" in builders
    assert builders.items() <= everything.items()
    for line in re.findall(r"pip .*install.*|pip .*\$PIP.*", IMAGE):
        assert "--require-hashes" in line or "--no-index" in line or "ARG" in line


def test_what_the_image_loads_when_it_is_built_is_there() -> None:
    """The build imports modules by name, to have their bytecode, and fails without one of them."""
    (imported,) = re.findall(r'-c "import ([^"]+)"', IMAGE)
    names = re.findall(r"[\w.]+", imported)
    assert "rheostat.server.serve" in names
    for name in names:
        assert find_spec(name), name


def test_the_label_is_the_version() -> None:
    """An image says which release it is."""
    assert f"ARG VERSION={__version__}\n" in IMAGE


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_contained(name: str) -> None:
    """P13: no container writes where it need not, gains rights, or takes the whole machine."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert set(service) <= KEYS
    for mounted in service.get("tmpfs", ()):
        assert re.search(r":size=\d+m", mounted)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:") or name == "nginx-tls"
    if "build" in service:
        assert int(service["stop_grace_period"].removesuffix("s")) > PATIENCE
    else:
        assert service["healthcheck"]["start_period"]


def test_no_secret_is_in_the_compose_file(tmp_path: Path) -> None:
    """A password is made for each installation, and only files hold it."""
    for service in SERVICES.values():
        assert not re.search(r"://\w+:|PASSWORD(?!_FILE)", str(service.get("environment")))
    script = tmp_path / "make-secrets"
    script.write_bytes((ROOT / "deploy" / "make-secrets").read_bytes())
    made = [subprocess.run(["/bin/sh", script], check=False).returncode for _ in range(2)]
    assert made == [0, 1]  # a second one would lock everybody out
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"deploy/secrets/{name}"
    password = (folder / "postgres-password").read_text().strip()
    assert re.fullmatch(r"[0-9a-f]{48}", password)
    address = (folder / "database").read_text()
    assert address == f"postgresql://rheostat:{password}@postgres/rheostat\n"


def test_what_nginx_is_told_is_what_its_templates_ask_for() -> None:
    """No variable stays as it is in a configuration, and plain HTTP is passed on nowhere else."""
    for name, names in {"nginx": TEMPLATES[:1], "nginx-tls": TEMPLATES}.items():
        service, wanted = SERVICES[name], set[str]()
        mounted = [volume.split(":")[:2] for volume in service["volumes"]]
        templates = [source for source, to in mounted if to.startswith("/etc/nginx/templates/")]
        assert templates == [f"./deploy/nginx/{each}" for each in names]
        for source in (source for source, _ in mounted if "secrets" not in source):
            text = (ROOT / source).read_text()
            wanted |= set(re.findall(r"\$\{(\w+)\}", text))
        given = {key for key in service["environment"] if key.startswith("RHEOSTAT_")}
        assert wanted == given
    assert "ssl" in SERVICES["nginx-tls"]["environment"]["RHEOSTAT_LISTEN"]
    addresses = {
        SERVICES[name]["networks"]["fleet"]["ipv4_address"] for name in ("nginx", "nginx-tls")
    }
    trusted = SERVICES["replica-1"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert set(trusted.split(",")) == addresses


def test_nginx_takes_its_own_file(tmp_path: Path, run_program: RunProgram) -> None:
    """An nginx starts with what the containers have, beside both templates."""
    values = {
        "RHEOSTAT_LISTEN": "127.0.0.1:8443 ssl",
        "RHEOSTAT_LISTEN_PLAIN": "127.0.0.1:8080",
        "RHEOSTAT_REPLICAS": "server 127.0.0.1:8000 max_fails=0;",
        "RHEOSTAT_CACHE": str(tmp_path),
        "RHEOSTAT_CERTIFICATE": f"{tmp_path}/tls.crt",
        "RHEOSTAT_CERTIFICATE_KEY": f"{tmp_path}/tls.key",
    }
    (tmp_path / "conf.d").mkdir()
    for template in TEMPLATES:
        text = (DEPLOY / "nginx" / template).read_text()
        filled = string.Template(text).safe_substitute(values)
        (tmp_path / "conf.d" / template.removesuffix(".template")).write_text(filled)
    self_signed(tmp_path)
    main = (DEPLOY / "nginx" / "nginx.conf").read_text()
    main = main.replace("/etc/nginx/conf.d", f"{tmp_path}/conf.d").replace(
        "/run/nginx.pid", f"{tmp_path}/pid"
    )
    for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"):
        main = main.replace("http {", f"http {{\n{kind}_temp_path {tmp_path}/{kind};")
    (tmp_path / "main").write_text(main)
    done = run_program("nginx", "-t", "-p", tmp_path, "-c", tmp_path / "main", "-e", "stderr")
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("script", ["backup-postgresql", "make-secrets"])
def test_scripts_are_sound(script: str, run_program: RunProgram) -> None:
    """No script has one of the mistakes that shells make easy."""
    done = run_program("shellcheck", DEPLOY / script)
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_as_images_should_be(run_program: RunProgram) -> None:
    """No line of the Dockerfile has one of the mistakes that are known of them."""
    done = run_program("hadolint", ROOT / "Dockerfile")
    assert done.returncode == 0, done.stdout

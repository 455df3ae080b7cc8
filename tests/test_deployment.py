"""What operators start: the image, the compose file, and what they are built from."""

from __future__ import annotations

import re
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from rheostat import __version__
from rheostat.server.serve import PATIENCE

ROOT = Path(__file__).parents[1]
IMAGE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
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
    assert len(images) == 4
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
    """An image says which release it is, and docs/fleet.md starts that one."""
    assert f"ARG VERSION={__version__}\n" in IMAGE
    tags = re.findall(r"image: rheostat:(\S+)", (ROOT / "docs/fleet.md").read_text())
    assert tags == [__version__]


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
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")
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

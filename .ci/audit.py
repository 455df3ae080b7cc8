"""
Ask for known vulnerabilities of every package that the lock files name.

A vulnerability fails. A package of which nothing could be learnt, because nobody answered, does
not: a machine without that network can still build. But it is said in the last line, and a release
is made only where every package was answered for (docs/releasing.md)::

    python .ci/audit.py path/to/pip-audit
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def audited(pip_audit: str, lock: Path) -> list[dict[str, Any]] | None:
    """Return what is known of each package of a lock file, or none if there was no answer."""
    command = [pip_audit, "--requirement", str(lock), "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages: list[dict[str, Any]] = json.loads(told.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(f"{lock.name}: nobody answered: {told.stderr.strip().splitlines()[-1:]}")
        return None
    return packages


def main() -> int:
    """Audit all lock files."""
    found, known, unknown = 0, 0, 0
    for lock in sorted(ROOT.glob("requirements*.lock")):
        packages = audited(sys.argv[1], lock)
        if packages is None:
            unknown += lock.read_text().count("==")
            continue
        unknown += sum("skip_reason" in package for package in packages)
        known += sum("vulns" in package for package in packages)
        for package in packages:
            for vulnerability in package.get("vulns", []):
                found += 1
                fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
                named = f"{package['name']} {package['version']}: {vulnerability['id']}"
                print(f"{lock.name}: {named}, mended in {fixed}")
    print(f"audit: {known} packages known, {found} vulnerabilities, {unknown} NOT AUDITED")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

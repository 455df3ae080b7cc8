"""Certificates that nobody has signed, for tests that speak TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """The files of a certificate, which is its own authority, and of its key."""

    certificate: Path
    key: Path


def self_signed(folder: Path) -> Certificate:
    """Make a certificate of 127.0.0.1 in a folder."""
    made = Certificate(folder / "tls.crt", folder / "tls.key")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    arguments = [*command.split(), "-out", str(made.certificate), "-keyout", str(made.key)]
    subprocess.run(arguments, check=True, capture_output=True)
    return made

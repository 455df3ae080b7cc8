"""
Secrets of hooks, and the signatures of messages, by Standard Webhooks 1.0.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from rheostat.errors import FieldError, Invalid

PREFIX = "whsec_"
"""How every secret begins, so that scanners of repositories and logs know one."""

LEAST, MOST, USUAL = 24, 64, 32
"""Bytes of a secret, as the specification bounds them, and of one that is made here."""

FORM = f"{PREFIX} and base64 of {LEAST} to {MOST} bytes"


def new_secret() -> str:
    """Return a new secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(USUAL)).decode()


def key_of(secret: str, field: str = "secret") -> bytes:
    """Return the bytes that a secret stands for; raise `Invalid` if it stands for none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    if not secret.startswith(PREFIX) or not LEAST <= len(key) <= MOST:
        message = f"{field} must be {FORM}"
        # not its value: it may be a secret of something else
        raise Invalid("The hook is refused.", errors=[FieldError(field, message, None, FORM)])
    return key


def signature(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature``: one for each key, with spaces between."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    made = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)

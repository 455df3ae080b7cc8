"""Signatures of messages, by the specification's own values."""

from __future__ import annotations

import base64

import pytest

from rheostat.errors import Invalid
from rheostat.server.hooks.signing import key_of, new_secret, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's
MESSAGE, TIMESTAMP = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY = b'{"test": 2432232314}'
EXPECTED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The vector of all libraries at github.com/standard-webhooks/standard-webhooks, such as
libraries/go/webhook_test.go."""


def test_a_signature_is_that_of_the_specification() -> None:
    """Id, timestamp and body are signed by HMAC-SHA256, to the last bit as others do it."""
    assert signature([key_of(SECRET)], MESSAGE, TIMESTAMP, BODY) == EXPECTED


def test_two_secrets_make_two_signatures() -> None:
    """While a secret is exchanged, whoever has either of them knows a message."""
    other = key_of(new_secret())
    both = signature([other, key_of(SECRET)], MESSAGE, TIMESTAMP, BODY)
    assert both.split(" ")[1] == EXPECTED
    assert both.split(" ")[0] == signature([other], MESSAGE, TIMESTAMP, BODY)


@pytest.mark.parametrize(
    "changed", [("msg_x", TIMESTAMP, BODY), (MESSAGE, 1, BODY), (MESSAGE, TIMESTAMP, b"{}")]
)
def test_everything_is_signed(changed: tuple[str, int, bytes]) -> None:
    """Another id, time or body has another signature."""
    assert signature([key_of(SECRET)], *changed) != EXPECTED


def test_secrets_are_made_as_the_specification_says() -> None:
    """A new secret has 24 to 64 random bytes, and no other one has them."""
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(24 <= len(key_of(each)) <= 64 for each in made)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + base64.b64encode(23 * b"x").decode(),
        "whsec_" + base64.b64encode(65 * b"x").decode(),
        "whsec_" + 32 * "ä",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZI\no2LaLaSw",
        "rheo_" + 40 * "0",
    ],
)
def test_what_is_no_secret_is_refused_and_not_told(secret: str) -> None:
    """P10: a secret of another kind is refused, and stands in no message."""
    with pytest.raises(Invalid) as refusal:
        key_of(secret)
    (error,) = refusal.value.errors
    assert (error.field, error.value) == ("secret", None)
    assert not secret[6:] or secret[6:] not in str(refusal.value)

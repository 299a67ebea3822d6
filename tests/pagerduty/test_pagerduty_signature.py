"""Who may be believed: `X-PagerDuty-Signature`, by the documented algorithm and by a matrix of what goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pagerduty import sign, verify

BODY = "a body with é".encode()
FIRST, SECOND = "first secret", "zweites Gehéim"
# openssl dgst -sha256 -hmac SECRET
BY_FIRST = "v1=1140592fe994406cb1d08073a9278b5f3652cc67a9530e68dc37d54ce6081c91"
BY_SECOND = "v1=032a94374618fcce0f5f8de60855774a08f396326032c820caf9df3d9a9513d4"
OTHER = "v1=" + "0" * 64


def test_signs_as_openssl_does():
    """The header holds an HMAC-SHA256 in hex for each secret, in their order."""
    assert sign(BODY, [FIRST, SECOND]) == f"{BY_FIRST},{BY_SECOND}"


@pytest.mark.parametrize(
    ("header", "secrets", "believed"),
    [
        pytest.param(BY_FIRST, [FIRST], True, id="the one signature"),
        pytest.param(f"{OTHER},{BY_FIRST}", [FIRST], True, id="the second of two"),
        pytest.param(f"{BY_FIRST},{OTHER}", [FIRST], True, id="the first of two"),
        pytest.param(f"{OTHER}, {BY_FIRST}", [FIRST], True, id="after a space"),
        pytest.param(f" {BY_FIRST} ", [FIRST], True, id="between spaces"),
        pytest.param(BY_SECOND, [FIRST, SECOND], True, id="our second secret"),
        pytest.param(f"v0=abc,{BY_FIRST}", [FIRST], True, id="beside a version we do not know"),
        pytest.param(",".join([OTHER] * 500 + [BY_FIRST]), [FIRST], True, id="after five hundred"),
        pytest.param(BY_SECOND, [FIRST], False, id="made with another secret"),
        pytest.param(BY_FIRST, [], False, id="no secret of ours"),
        pytest.param("", [FIRST], False, id="empty"),
        pytest.param(",,,", [FIRST], False, id="only commas"),
        pytest.param("v1=", [FIRST], False, id="no digest"),
        pytest.param("v1=,v1=", [""], False, id="no digest, empty secret"),
        pytest.param(BY_FIRST[3:], [FIRST], False, id="no version"),
        pytest.param("v0=" + BY_FIRST[3:], [FIRST], False, id="another version"),
        pytest.param("V1=" + BY_FIRST[3:], [FIRST], False, id="upper-case version"),
        pytest.param(BY_FIRST.upper().replace("V1", "v1"), [FIRST], False, id="upper-case digest"),
        pytest.param(BY_FIRST[:-1], [FIRST], False, id="one character short"),
        pytest.param(BY_FIRST + "0", [FIRST], False, id="one character long"),
        pytest.param(BY_FIRST.replace(",", ";") + ";" + OTHER, [FIRST], False, id="another separator"),
        pytest.param("v1=é" + BY_FIRST[4:], [FIRST], False, id="not ASCII"),
        pytest.param("v1=\udcff", [FIRST], False, id="broken Unicode"),
        pytest.param("v1=\x00", [FIRST], False, id="a NUL"),
        pytest.param("v1=" + "9" * 50_000, [FIRST], False, id="fifty thousand digits"),
    ],
)
def test_believes_one_matching_signature(header: str, secrets: list[str], believed: bool):
    """Any `v1` signature of exactly these bytes by one of our secrets is enough; nothing else is."""
    assert verify(BODY, header, secrets) is believed


@pytest.mark.parametrize(
    "body", [b"", BODY + b"\n", BODY[:-1], BODY.decode().encode("latin-1"), BODY.replace(b" ", b"  ")]
)
def test_refuses_other_bytes(body: bytes):
    """The signature covers the raw body: re-encoded or re-formatted, it is another body."""
    assert not verify(body, BY_FIRST, [FIRST])


@given(st.binary(max_size=200), st.text(max_size=200), st.lists(st.text(min_size=1, max_size=20), max_size=3))
def test_never_stumbles_over_a_header(body: bytes, header: str, secrets: list[str]):
    """Whatever a stranger sends as signature is refused, and nothing is raised."""
    assert verify(body, header, [secret for secret in secrets if secret.isascii()]) is False

"""R14: a credential is named by what is signed, so no copy of a revoked one is new."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest

from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import admit
from clearinghouse.keynote.signing import sign, with_serial
from tests.world import Community, assertion, key, signed, who

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
CREDENTIAL = signed("hub", "ann", HOST)
COPIES = {
    "as it is": CREDENTIAL,
    "a newline before": b"\n" + CREDENTIAL,
    "newlines before": b"\n\n\n" + CREDENTIAL,
    "newlines after": CREDENTIAL + b"\n\n",
    "blanks after": CREDENTIAL.rstrip(b"\n") + b" \t\n",
    "no newline at the end": CREDENTIAL.rstrip(b"\n"),
    "blanks before the signature": CREDENTIAL.replace(b'Signature: "', b'Signature:   \t"'),
    "the signature on the next line": CREDENTIAL.replace(b'Signature: "', b'Signature:\n  "'),
    "the signature broken by a backslash": CREDENTIAL.replace(b"sig-ed25519-hex:", b"sig-ed25519-hex:\\\n    "),
    "the signature in capitals": CREDENTIAL.partition(b"sig-ed25519-hex:")[0]
    + b"sig-ed25519-hex:"
    + CREDENTIAL.partition(b"sig-ed25519-hex:")[2].upper(),
    "the signature joined from parts": CREDENTIAL.replace(b'"sig-ed25519-hex:', b'"sig-ed25519" . "-hex:'),
    "the signature in brackets": CREDENTIAL.replace(b'Signature: "', b'Signature: ("').rstrip(b"\n") + b")\n",
    "a comment after the signature": CREDENTIAL.rstrip(b"\n") + b" # another file\n",
    "the label in capitals": CREDENTIAL.replace(b"Signature:", b"SIGNATURE:"),
}


def admitted_copies() -> dict[str, bytes]:
    """Return the copies that are credentials at all: the others are refused, which is as good."""
    found = {}
    for name, copy in COPIES.items():
        with suppress(ClearinghouseError):
            admit(copy)
            found[name] = copy
    return found


ADMITTED = admitted_copies()


def test_r14_a_copy_may_look_different_and_still_be_signed() -> None:
    """Otherwise there would be nothing to close."""
    assert len(ADMITTED) >= 6
    assert len({hashlib.sha256(copy).digest() for copy in ADMITTED.values()}) == len(ADMITTED)


@pytest.mark.parametrize("name", ADMITTED)
def test_r14_every_copy_has_the_same_id(name: str) -> None:
    assert admit(ADMITTED[name]).id == admit(CREDENTIAL).id


@pytest.mark.parametrize("name", ADMITTED)
def test_r14_a_copy_of_a_revoked_credential_is_revoked(sim: Community, name: str) -> None:
    sim.policy("hub", operation="whitelist")
    assert sim.asks("ann", "whitelist", credentials=[ADMITTED[name]]).value == "allow"
    sim.revoke(sim.store(CREDENTIAL))
    decision = sim.asks("ann", "whitelist", credentials=[ADMITTED[name]])
    assert decision.value == "deny"
    assert decision.proof is not None
    assert {each.reason for each in decision.proof.skipped} == {"revoked"}


def test_r14_revoking_the_copy_revokes_the_original(sim: Community) -> None:
    sim.policy("hub", operation="whitelist")
    sim.store(CREDENTIAL)
    sim.revoke(admit(ADMITTED["newlines before"]))
    assert sim.asks("ann", "whitelist").value == "deny"


def test_r14_the_authorizer_is_part_of_the_name() -> None:
    mine, yours = (admit(assertion("hub", "ann", comment=each), policy=True) for each in ("a", "b"))
    assert mine.id != yours.id
    constant = b'Local-Constants: A = "%b"\nAuthorizer: A\nLicensees: "x"\n'
    one, other = (admit(constant % who(name).encode(), policy=True) for name in ("ann", "bob"))
    assert one.id != other.id


def test_r14_a_serial_makes_the_same_text_a_new_credential(sim: Community) -> None:
    """Without it, what is issued again after a revocation would be born revoked."""
    unsigned = assertion("hub", "ann", HOST)
    assert admit(sign(unsigned, key("hub"))).id == admit(CREDENTIAL).id, "the hole"
    again = sign(with_serial(unsigned, "2"), key("hub"))
    sim.policy("hub", operation="whitelist")
    sim.revoke(admit(CREDENTIAL))
    assert sim.asks("ann", "whitelist", credentials=[CREDENTIAL]).value == "deny"
    assert sim.asks("ann", "whitelist", credentials=[again]).value == "allow"

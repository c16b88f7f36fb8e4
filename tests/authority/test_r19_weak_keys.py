"""R19: keys that others may have broken vouch for nobody, unless the settings say so; the refusal names the setting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.errors import WeakKey
from clearinghouse.keynote import Admissions
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.signing import sign
from tests.unit.keynote.certificates import dsa_secret, loaded, rsa_key, short_rsa
from tests.world import Community, assertion

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
SETTING = "set `allow_legacy_signatures = true`"
"""What a refusal proposes; the settings have it under this name."""


def small_exponent() -> PrivateKey:
    return loaded(rsa.generate_private_key(3, 2048))


WEAK: dict[str, tuple[Callable[[], PrivateKey], str | None]] = {
    "RSA of 1024 bits": (lambda: loaded(short_rsa()), "sig-rsa-sha256-hex"),
    "RSA with the exponent 3": (small_exponent, "sig-rsa-sha256-hex"),
    "DSA": (lambda: loaded(dsa_secret()), "sig-dsa-sha1-hex"),
    "SHA-1": (rsa_key, "sig-rsa-sha1-hex"),
    "MD5": (rsa_key, "sig-rsa-md5-base64"),
    "SHA-1 by a certificate's key": (rsa_key, "sig-x509-sha1-hex"),
}


def asked(sim: Community, signer: PrivateKey, credential: bytes) -> Decision:
    sim.load(assertion("POLICY", signer.principal, HOST), "whitelist")
    return sim.asks("ann", "whitelist", credentials=[credential])


@pytest.mark.parametrize("name", WEAK)
def test_r19_a_weak_credential_counts_only_behind_the_switch(sim: Community, name: str) -> None:
    make, kind = WEAK[name]
    signer = make()
    credential = sign(assertion(signer.principal, "ann"), signer, kind=kind, allow_legacy=True)
    decision = asked(sim, signer, credential)
    assert (decision.outcome, decision.value) == (Outcome.REFUSED, "deny")
    assert decision.proof is not None
    (refused,) = decision.proof.held.refused
    assert isinstance(refused.error, WeakKey)
    assert refused.error.code == "weak-key"
    assert SETTING in str(refused.error)
    assert [each.reason for each in decision.proof.skipped] == ["weak-key"]
    sim.desk.admissions = Admissions(allow_legacy=True)
    assert sim.asks("ann", "whitelist", credentials=[credential]).value == "allow"


def test_r19_what_was_admitted_behind_the_switch_is_not_remembered_in_front_of_it(sim: Community) -> None:
    credential = sign(assertion(rsa_key().principal, "ann"), rsa_key(), kind="sig-rsa-sha1-hex", allow_legacy=True)
    sim.desk.admissions = Admissions(allow_legacy=True)
    assert asked(sim, rsa_key(), credential).value == "allow"
    sim.desk.admissions = Admissions()
    assert sim.asks("ann", "whitelist", credentials=[credential]).value == "deny"


def test_r19_a_good_signature_beside_a_weak_one_counts(sim: Community) -> None:
    weak = sign(assertion(rsa_key().principal, "ann"), rsa_key(), kind="sig-rsa-sha1-hex", allow_legacy=True)
    good = sign(assertion(rsa_key().principal, "ann"), rsa_key())
    assert asked(sim, rsa_key(), weak).value == "deny"
    assert sim.asks("ann", "whitelist", credentials=[weak, good]).value == "allow"


def test_r19_we_do_not_make_what_we_do_not_take() -> None:
    with pytest.raises(WeakKey, match="allow_legacy_signatures"):
        sign(assertion(rsa_key().principal, "ann"), rsa_key(), kind="sig-rsa-sha1-hex")

"""Whether a client's certificate holds: its path, its time, its use, its strength, and what was revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    CertificateRevocationListBuilder,
    DeltaCRLIndicator,
    DNSName,
    GeneralName,
    NameConstraints,
    load_pem_x509_crl,
)

from clearinghouse.doors.s2s.identity import Identity
from clearinghouse.doors.s2s.trust import DOUBTED, MAX_CHAIN, MAX_DOUBTED, REMEMBERED, Doubt, Trust, Verdict
from clearinghouse.errors import BadSettings
from tests.unit.doors.s2s.papers import CLIENT, DAY, MAIL, NOTHING, NOW, SERVER, Authority, Paper, Wish, service_name, xmpp_address

ROOT = Authority("root")
BELOW = Authority("below", above=ROOT)
GOOD = ROOT.paper("a.example")
SIGNS = NOTHING | {"digital_signature": True}
AUTHORITATIVE = Wish(ca=True, uses=(), usage=NOTHING | {"key_cert_sign": True, "crl_sign": True})


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(anchors(tmp_path, ROOT))


def anchors(directory: Path, *authorities: Authority) -> Path:
    path = directory / "anchors.pem"
    path.write_bytes(b"".join(each.pem for each in authorities))
    return path


def lists(directory: Path, *revoked: bytes) -> Path:
    path = directory / "revoked.pem"
    path.write_bytes(b"".join(revoked))
    return path


def judged(trust: Trust, paper: Paper, at: timedelta = timedelta()) -> Verdict:
    return trust.judge(paper.leaf, paper.others, NOW + at)


@pytest.mark.parametrize(
    "paper",
    [
        GOOD,
        BELOW.paper("a.example"),
        ROOT.paper("a.example", wish=Wish(uses=(CLIENT,))),
        ROOT.paper("a.example", wish=Wish(uses=(SERVER, CLIENT))),
        ROOT.paper("a.example", wish=Wish(uses=())),
        ROOT.paper("a.example", wish=Wish(usage=SIGNS, ca=False)),
        ROOT.paper("a.example", key=ed25519.Ed25519PrivateKey.generate()),
        ROOT.paper("a.example", key=rsa.generate_private_key(65_537, 2_048)),
        ROOT.paper("a.example", wish=Wish(hashed=hashes.SHA384())),
    ],
    ids=["plain", "intermediate", "client", "both", "any use", "signs", "ed25519", "rsa", "sha384"],
)
def test_what_is_believed(trust: Trust, paper: Paper) -> None:
    found = judged(trust, paper)
    assert isinstance(found, Identity)
    assert found.covers("a.example")


STRANGER = Authority("stranger")
WEAK = Authority("weak", rsa.generate_private_key(65_537, 1_024), above=ROOT)  # noqa: S505 - which is refused
NO_AUTHORITY = Authority("none", wish=Wish(uses=()), above=ROOT)
FLAT = Authority("flat", wish=replace(AUTHORITATIVE, depth=0), above=ROOT)
FOR_MAIL = Authority("mail", wish=replace(AUTHORITATIVE, uses=(MAIL,)), above=ROOT)
SIGNS_NOTHING = Authority("signs nothing", wish=replace(AUTHORITATIVE, usage=SIGNS), above=ROOT)
IMPOSTOR = Authority("root")


@pytest.mark.parametrize(
    "paper,doubt",
    [
        (STRANGER.paper("a.example"), Doubt.UNKNOWN_ISSUER),
        (IMPOSTOR.paper("a.example"), Doubt.UNKNOWN_ISSUER),
        (replace(BELOW.paper("a.example"), above=()), Doubt.UNKNOWN_ISSUER),
        (ROOT.paper("a.example", wish=Wish(starts=NOW + DAY)), Doubt.NOT_YET),
        (ROOT.paper("a.example", wish=Wish(starts=NOW - 2 * DAY, ends=NOW - DAY)), Doubt.EXPIRED),
        (Authority("old", wish=replace(AUTHORITATIVE, starts=NOW - 2 * DAY, ends=NOW - DAY), above=ROOT).paper("a.example"), Doubt.EXPIRED),
        (ROOT.paper("a.example", wish=Wish(uses=(MAIL,))), Doubt.WRONG_USE),
        (FOR_MAIL.paper("a.example"), Doubt.WRONG_USE),
        (NO_AUTHORITY.paper("a.example"), Doubt.WRONG_USE),
        (SIGNS_NOTHING.paper("a.example"), Doubt.WRONG_USE),
        (Authority("too deep", above=FLAT).paper("a.example"), Doubt.WRONG_USE),
        (ROOT.paper("a.example", wish=Wish(usage=NOTHING | {"key_encipherment": True})), Doubt.WRONG_USE),
        (ROOT.paper("a.example", wish=AUTHORITATIVE), Doubt.WRONG_USE),
        (ROOT.paper("a.example", key=rsa.generate_private_key(65_537, 1_024)), Doubt.WEAK),  # noqa: S505
        (ROOT.paper("a.example", key=rsa.generate_private_key(3, 2_048)), Doubt.WEAK),
        (ROOT.paper("a.example", key=ec.generate_private_key(ec.SECP224R1())), Doubt.WEAK),
        (WEAK.paper("a.example"), Doubt.WEAK),
        (ROOT.paper("a.example", wish=Wish(hashed=hashes.SHA224())), Doubt.WEAK),
        (replace(GOOD, above=(ROOT.certificate,) * MAX_CHAIN), Doubt.MALFORMED),
    ],
)
def test_what_is_doubted(trust: Trust, paper: Paper, doubt: Doubt) -> None:
    assert judged(trust, paper) is doubt


def test_no_certificate_is_nobody(trust: Trust) -> None:
    assert trust.judge(None, (), NOW) is Doubt.NONE_SHOWN


def test_an_authority_in_the_middle_can_be_the_anchor(tmp_path: Path) -> None:
    assert isinstance(judged(Trust(anchors(tmp_path, BELOW)), BELOW.paper("a.example")), Identity)


ONLY_A = Authority("only a", wish=replace(AUTHORITATIVE, bounds=NameConstraints([DNSName("A.example")], None)), above=ROOT)
NEVER_B = Authority("never b", wish=replace(AUTHORITATIVE, bounds=NameConstraints(None, [DNSName("b.example")])), above=ROOT)
BELOW_A = Authority("below a", wish=replace(AUTHORITATIVE, bounds=NameConstraints([DNSName(".a.example")], None)), above=ROOT)


@pytest.mark.parametrize("authority", [ONLY_A, NEVER_B, Authority("below only a", above=ONLY_A)])
@pytest.mark.parametrize(
    "name", [DNSName("b.example"), xmpp_address("b.example"), xmpp_address("chat.b.example"), service_name("_xmpp-server.b.example")]
)
def test_an_authority_for_some_domains_speaks_for_no_other(trust: Trust, authority: Authority, name: GeneralName) -> None:
    for wish in (Wish((name,)), Wish((xmpp_address("a.example"), name))):
        found = judged(trust, authority.paper(wish=wish))
        assert not isinstance(found, Identity) or not (found.covers("b.example") or found.covers("chat.b.example"))


@pytest.mark.parametrize("authority", [ONLY_A, NEVER_B])
@pytest.mark.parametrize("name", [DNSName("a.example"), xmpp_address("a.example"), service_name("_xmpp-server.a.example")])
def test_an_authority_for_some_domains_speaks_for_those(trust: Trust, authority: Authority, name: GeneralName) -> None:
    found = judged(trust, authority.paper(wish=Wish((name,))))
    assert isinstance(found, Identity)
    assert found.covers("a.example")


def test_an_authority_for_what_is_below_a_domain_does_not_speak_for_it(trust: Trust) -> None:
    found = judged(trust, BELOW_A.paper(wish=Wish((xmpp_address("a.example"), xmpp_address("chat.a.example")))))
    assert isinstance(found, Identity)
    assert not found.covers("a.example")
    assert found.covers("chat.a.example")


def test_a_revoked_certificate_is_refused_and_no_other(tmp_path: Path) -> None:
    trust = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked([GOOD.certificate])))
    assert judged(trust, GOOD) is Doubt.REVOKED
    assert isinstance(judged(trust, ROOT.paper("a.example")), Identity)


def test_a_revoked_authority_in_the_middle_is_refused(tmp_path: Path) -> None:
    trust = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked([BELOW.certificate]), BELOW.revoked()))
    assert judged(trust, BELOW.paper("a.example")) is Doubt.REVOKED


def test_a_list_that_has_ended_or_is_missing_says_so(tmp_path: Path) -> None:
    ended = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked(until=NOW - DAY)))
    assert judged(ended, GOOD) is Doubt.LISTS_EXPIRED
    missing = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked()))
    assert judged(missing, BELOW.paper("a.example")) is Doubt.LISTS_MISSING
    forged = Trust(anchors(tmp_path, ROOT), lists(tmp_path, IMPOSTOR.revoked()))
    assert judged(forged, GOOD) is Doubt.LISTS_MISSING


def test_with_lists_an_authority_in_the_middle_needs_the_one_above(tmp_path: Path) -> None:
    for revoked, found in (([], Identity), ([BELOW.certificate], Doubt)):
        trust = Trust(anchors(tmp_path, BELOW, ROOT), lists(tmp_path, ROOT.revoked(revoked), BELOW.revoked()))
        assert isinstance(judged(trust, BELOW.paper("a.example")), found)
    with pytest.raises(BadSettings, match=r"`CN=below`, and not the authority above it"):
        Trust(anchors(tmp_path, BELOW), lists(tmp_path, BELOW.revoked()))


def test_a_list_of_changes_alone_is_refused(tmp_path: Path) -> None:
    builder = CertificateRevocationListBuilder(ROOT.certificate.subject, NOW - DAY, NOW + DAY)
    changes = builder.add_extension(DeltaCRLIndicator(1), critical=True).sign(ROOT.key, hashes.SHA256())
    with pytest.raises(BadSettings, match="with changes alone"):
        Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked(), changes.public_bytes(Encoding.PEM)))


def test_one_list_in_der_is_read(tmp_path: Path) -> None:
    path = tmp_path / "revoked.crl"
    path.write_bytes(load_pem_x509_crl(ROOT.revoked([GOOD.certificate])).public_bytes(Encoding.DER))
    assert judged(Trust(anchors(tmp_path, ROOT), path), GOOD) is Doubt.REVOKED


# -- what is remembered ----------------------------------------------------------------------------------


def test_a_verdict_lives_no_longer_than_the_certificate(trust: Trust) -> None:
    paper = ROOT.paper("a.example", wish=Wish(ends=NOW + REMEMBERED / 2))
    first = judged(trust, paper)
    assert judged(trust, paper, REMEMBERED / 4) is first
    assert judged(trust, paper, REMEMBERED * 3 / 4) is Doubt.EXPIRED


def test_a_verdict_lives_no_longer_than_the_lists(tmp_path: Path) -> None:
    trust = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked(until=NOW + REMEMBERED / 2)))
    assert isinstance(judged(trust, GOOD), Identity)
    assert judged(trust, GOOD, REMEMBERED * 3 / 4) is Doubt.LISTS_EXPIRED


def test_a_certificate_that_came_too_early_is_looked_at_again(trust: Trust) -> None:
    early = -2 * DAY
    assert judged(trust, GOOD, early) is Doubt.NOT_YET
    assert judged(trust, GOOD, early + DOUBTED / 2) is Doubt.NOT_YET, "remembered"
    assert isinstance(judged(trust, GOOD), Identity)


def test_a_reload_forgets_what_was_believed(tmp_path: Path) -> None:
    trust = Trust(anchors(tmp_path, ROOT), lists(tmp_path, ROOT.revoked()))
    assert isinstance(judged(trust, GOOD), Identity)
    lists(tmp_path, ROOT.revoked([GOOD.certificate]))
    assert isinstance(judged(trust, GOOD), Identity), "nothing was read yet"
    assert trust.reload() == []
    assert judged(trust, GOOD) is Doubt.REVOKED


@pytest.mark.parametrize("broken", [b"", b"-----BEGIN X509 CRL-----\nno list\n-----END X509 CRL-----\n"])
def test_a_broken_file_changes_nothing_and_says_so(tmp_path: Path, broken: bytes) -> None:
    path = lists(tmp_path, ROOT.revoked([GOOD.certificate]))
    trust = Trust(anchors(tmp_path, ROOT), path)
    path.write_bytes(broken)
    (error,) = trust.reload()
    assert isinstance(error, BadSettings)
    assert str(path) in error.message
    assert judged(trust, GOOD) is Doubt.REVOKED


def test_strangers_do_not_push_out_who_is_believed(trust: Trust) -> None:
    first = judged(trust, GOOD)
    paper = STRANGER.paper("a.example")
    for number in range(MAX_DOUBTED + 5):
        trust._remember(number.to_bytes(4), Doubt.UNKNOWN_ISSUER, NOW)
    assert judged(trust, paper) is Doubt.UNKNOWN_ISSUER
    assert judged(trust, GOOD) is first
    assert len(trust._bad.verdicts) <= MAX_DOUBTED

"""Which domains a certificate speaks for, by RFC 6120, 13.7.1.2, and RFC 9525."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from clearinghouse.doors.s2s.identity import MAX_KNOWN, MAX_NAMES, Identity, identity_of
from clearinghouse.keynote.principals import is_key, normalise, of_certificate
from tests.unit.doors.s2s.papers import NOW, Authority, Wish, curve_key, service_name, xmpp_address

AUTHORITY = Authority()


def identity(*domains: str, names: tuple[x509.GeneralName, ...] = (), common_name: str = "cn.example") -> Identity:
    return identity_of(AUTHORITY.paper(*domains, wish=Wish(names, common_name)).certificate, NOW)


@pytest.mark.parametrize(
    "names,asked,covers",
    [
        ([x509.DNSName("a.example")], "a.example", True),
        ([x509.DNSName("A.Example")], "a.example", True),
        ([x509.DNSName("a.example")], "b.a.example", False),
        ([x509.DNSName("a.example")], "example", False),
        ([x509.DNSName("a.example"), x509.DNSName("b.example")], "b.example", True),
        ([service_name("_xmpp-server.a.example")], "a.example", True),
        ([service_name("_xmpp-client.a.example")], "a.example", False),
        ([service_name("_mail.a.example"), x509.DNSName("a.example")], "a.example", True),
        ([xmpp_address("a.example")], "a.example", True),
        ([xmpp_address("A.EXAMPLE")], "a.example", True),
        ([xmpp_address("user@a.example")], "a.example", False),
        ([xmpp_address("a.example/server")], "a.example", False),
        ([xmpp_address("bücher.example")], "xn--bcher-kva.example", True),
        ([x509.DNSName("*.example.org")], "a.example.org", True),
        ([x509.DNSName("*.example.org")], "example.org", False),
        ([x509.DNSName("*.example.org")], "a.b.example.org", False),
        ([x509.DNSName("*.example.org")], "xn--bcher-kva.example.org", False),
        ([x509.DNSName("a*.example.org")], "ab.example.org", False),
        ([x509.DNSName("a.*.org")], "a.example.org", False),
        ([x509.DNSName("*.org")], "example.org", False),
        ([x509.DNSName("*.org"), x509.DNSName("example.org")], "example.org", True),
        ([service_name("_xmpp-server.*.example.org")], "a.example.org", False),
        ([x509.UniformResourceIdentifier("https://x.example:443/"), x509.DNSName("a.example")], "a.example", True),
        ([service_name("")], "a.example", False),
        ([x509.DNSName("a.example ")], "a.example", False),
        ([x509.DNSName("a.example\0.b.example")], "a.example", False),
        ([xmpp_address("a.example\0")], "a.example", False),
        ([x509.DNSName("a.example")], "", False),
        ([], "cn.example", False),
    ],
    ids=lambda value: ",".join(str(each.value) for each in value) if isinstance(value, list) else str(value),
)
def test_which_names_speak_for_a_domain(names: list[x509.GeneralName], asked: str, covers: bool) -> None:  # noqa: FBT001 - a table
    assert identity(names=tuple(names)).covers(asked) is covers


def test_the_common_name_is_no_name() -> None:
    assert not identity("a.example", common_name="b.example").covers("b.example")


@pytest.mark.parametrize("key", [curve_key(), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()])
def test_the_key_is_a_principal_in_normal_form(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    paper = AUTHORITY.paper("a.example", key=key)
    found = identity_of(paper.certificate, NOW)
    assert is_key(found.key)
    assert found.key == normalise(found.key) == of_certificate(paper.certificate.public_bytes(Encoding.DER))
    assert found.issuer == "CN=authority"


def test_a_certificate_remembers_a_bounded_number_of_answers() -> None:
    known = identity("a.example")
    assert not any(known.covers(f"{number}.example") for number in range(3 * MAX_KNOWN))
    assert known.covers("a.example")
    assert len(known._known) <= MAX_KNOWN


def test_a_certificate_with_a_thousand_names_is_not_read() -> None:
    names = tuple(x509.DNSName(f"{number}.example") for number in range(MAX_NAMES + 1))
    with pytest.raises(ValueError, match="names"):
        identity(names=names)

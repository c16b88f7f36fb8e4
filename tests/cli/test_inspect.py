"""``inspect``: keys, certificates, credentials and policies in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from clearinghouse.keynote.principals import of_key
from clearinghouse.keynote.public_keys import read_library_key
from tests.cli.conftest import ANN, HUB, Command
from tests.unit.keynote.certificates import certificate, ecdsa_secret, pem

RICH = """\
Local-Constants: Hub = "HUB"
Authorizer: "POLICY"
Licensees: Hub && (2-of("a", "b", "c") || requester)
Conditions: operation == "subscribe" && time <= "20270101120000" -> {
    jid ~= "^.*@b\\\\.example$" || !(@size > 5) -> "ask";
    &load < 0.5 && false -> _MIN_TRUST;
    note != "" && other == "" && _ACTION_AUTHORIZERS == "a,b" -> level;
  };
  (a == "1" && b != "2") || date == "soon";
""".replace("HUB", HUB.principal)


def words(run: Command, *given: str) -> list[str]:
    found = run("inspect", *given)
    assert found.status == 0, found.err
    return [line.strip() for line in found.out.splitlines()]


def test_a_credential(run: Command) -> None:
    told = words(run, "ann.kn")
    for line in (HUB.principal, ANN.principal, "the strongest value, where", 'operation is "subscribe"', "the date is before 2027-01-01"):
        assert line in told
    assert "✔ sig-ed25519-hex, valid" in told
    assert any(line.startswith("it covers lines 1 to 3 (bytes 0 to ") for line in told)
    assert "note K602 unbounded-delegation" in "\n".join(told)


def test_a_policy_with_everything(run: Command, desk: Path) -> None:
    (desk / "rich.kn").write_text(RICH)
    told = words(run, "rich.kn")
    for line in (
        "this clearinghouse itself (POLICY)",
        "all of these together",
        "any 2 of these together",
        "opaque name `a`",
        "whoever the request names as requester",
        "where all of this holds, and one of the following",
        "the time is at the latest 2027-01-01 12:00:00 UTC",
        'jid matches the pattern "^.*@b\\\\\\\\.example$"',
        "this does not hold",
        "@size is above 5, as numbers",
        "&load is below 0.5, as numbers",
        "never",
        "note is set",
        "other is not set",
        "it is asked for by opaque name `a` and opaque name `b` in person",
        "the value level, where",
        "the weakest value, where",
        "all of these hold",
        "the date is `soon`",
        "up to and with 2027-01-01 12:00:00 UTC",
        "none: it counts where you keep it as a policy",
    ):
        assert line in told


def test_unusual_fields(run: Command) -> None:
    told = words(run, 'Authorizer: "x"\nLicensees:\nConditions:\n')
    assert {"nobody", "nothing: the Conditions are empty", "without an end"} <= set(told)
    assert "none: it counts where you keep it as a policy, or once it is signed" in told
    told = words(run, 'Authorizer: "x"\nComment: two\n  lines\n')
    assert {"anybody at all", "everything that the authorizer may do, always", "two", "lines"} <= set(told)


def test_a_credential_that_does_not_hold(run: Command) -> None:
    found = run("inspect", "tampered.kn")
    assert found.status == 1
    assert "✘ sig-ed25519-hex, not valid: the signature does not verify" in found.out


def test_json_says_the_same(run: Command) -> None:
    told = run("inspect", "ann.kn", "--json").json
    [one] = told["assertions"]
    assert (told["kind"], one["channel"], one["valid"]) == ("assertions", "credential", True)
    assert one["ends"] == ["before 2027-01-01"]
    assert one["grants"] == ["the strongest value, where", '  operation is "subscribe"', "  the date is before 2027-01-01"]
    assert one["covered"]["lines"] == 3
    assert [each["name"] for each in one["advice"]] == ["unbounded-delegation"]
    [policy] = run("inspect", "topic.kn", "--json").json["assertions"]
    assert (policy["channel"], policy["valid"], policy["error"], policy["covered"]) == ("policy", True, None, None)


def test_what_cannot_be_read_is_shown_with_its_mistake(run: Command) -> None:
    found = run("inspect", "broken.kn")
    assert found.status == 1
    assert "assertion that cannot be read, broken.kn" in found.out
    assert "did you mean `Licensees:`?" in found.err
    [one] = run("inspect", "broken.kn", "--json").json["assertions"]
    assert (one["channel"], one["valid"], one["error"]["line"]) == ("none", False, 2)


@pytest.mark.parametrize(
    "given,kind",
    [
        ("hub.key", "private key"),
        ("hub.pub", "principal"),
        ("-", "principal"),
        (HUB.principal, "principal"),
        ("xmpp:ann@b.example", "principal"),
    ],
)
def test_keys_and_principals(run: Command, given: str, kind: str) -> None:
    told = run("inspect", given, "--json", given=f'# a comment\n"{HUB.principal}"\n').json
    assert told["kind"] == kind
    assert told["principal"] == (given if given.startswith("xmpp:") else HUB.principal)
    [first, *_] = run("inspect", given, given=f'"{HUB.principal}"\n').out.splitlines()
    assert first.startswith(f"{kind}: ")


@pytest.mark.parametrize("name", ["ann.kn", "topic.kn"])
def test_standard_input_is_read_once(run: Command, desk: Path, name: str) -> None:
    piped = run("inspect", "-", given=(desk / name).read_bytes())
    assert (piped.status, piped.err) == (0, "")
    assert piped.out == run("inspect", name).out.replace(name, "standard input")


def test_what_is_too_long_to_be_a_name_is_none(run: Command, desk: Path) -> None:
    (desk / "long.txt").write_bytes(b"x" * 1_000_000)
    found = run("inspect", "long.txt")
    assert "principal" not in found.out
    assert found.status != 0
    assert len(found.out + found.err) < 4096


def test_certificates_are_their_keys(run: Command, desk: Path) -> None:
    found = load_der_x509_certificate(certificate(ecdsa_secret()))
    (desk / "hub.pem").write_bytes(found.public_bytes(Encoding.PEM))
    told = words(run, "hub.pem")
    assert told[0].startswith("certificate: ECDSA P-256 key")
    assert "subject CN=hub.example (KeyNote does not look at it)" in told
    (desk / "public.pem").write_bytes(found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert run("inspect", "public.pem", "--json").json["principal"] == run("inspect", "hub.pem", "--json").json["principal"]
    (desk / "key.pem").write_bytes(pem(ecdsa_secret()))
    (desk / "key.pem").chmod(0o600)
    assert run("inspect", "key.pem", "--json").json["kind"] == "private key"


def test_a_weak_key_is_shown_and_not_approved(run: Command) -> None:
    weak = of_key(read_library_key(rsa.RSAPublicNumbers(65_537, (1 << 1023) + 9).public_key()))
    found = run("inspect", weak)
    assert found.status == 1
    assert "principal: RSA 1024-bit key" in found.out
    assert "fewer than 2048" in found.out
    assert run("inspect", "ed25519-hex:00").status == 2


@pytest.mark.parametrize(
    "given,said",
    [("absent.kn", "cannot be read"), ("", "no file that ends in"), (".", "no file that ends in"), ("-", "there is no assertion here")],
)
def test_what_is_not_there(run: Command, desk: Path, given: str, said: str) -> None:
    for file in desk.glob("*.kn"):
        file.unlink()
    found = run("inspect", given)
    assert found.status == 2
    assert said in found.err

"""What is composed says what was meant, and what is signed is admitted."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse import keynote
from clearinghouse.errors import HolderError, MalformedAssertion, WeakKey
from clearinghouse.keynote import syntax
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.octets import from_octets, octets_to_bytes, to_octets
from clearinghouse.keynote.signing import Draft, compose, sign, with_serial
from tests.unit.keynote.certificates import rsa_key

HUB = from_seed(b"hub" + bytes(29))
BOB = from_seed(b"bob" + bytes(29)).principal
EVE = from_seed(b"eve" + bytes(29)).principal
VALUES = ("deny", "ask", "allow")
NOW = {"operation": "subscribe", "topic": "incidents", "date": "20261120", "time": "20261120120000"}
UNTIL = date(2027, 1, 1)
NAMES = [f'"{from_seed(bytes([number]) * 32).principal}"' for number in range(20)]


def text(authorizer: str = HUB.principal) -> bytes:
    return f'Authorizer: "{authorizer}"\nLicensees: "bob"\n'.encode()


def asked(credential: bytes, *authorizers: str, **action: str) -> str:
    policy = keynote.admit(f'Authorizer: "POLICY"\nLicensees: "{HUB.principal}"\n'.encode(), policy=True)
    assertions = keynote.Assertions(policies=[policy], credentials=[keynote.admit(credential)])
    return assertions.query(authorizers=authorizers, action=NOW | action, values=VALUES).value


# -- signing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [b"%b", b"\n\n%b", b"%b\n\n", b"%b  \n\t\n", b"# a comment\n%b# the end\n"], ids=repr)
def test_signed_text_is_admitted_whatever_stands_around_it(layout: bytes) -> None:
    signed = sign(layout.replace(b"%b", text()), HUB)
    assert keynote.admit(signed).authorizer == HUB.principal
    assert text() in signed


def test_a_missing_last_newline_is_added() -> None:
    assert sign(text().rstrip(), HUB) == sign(text(), HUB)


def test_an_ed25519_signature_stays_on_one_line() -> None:
    assert sign(text(), HUB).count(b"\n") == 3


@pytest.mark.parametrize("kind", ["sig-rsa-sha256-hex", "sig-rsa-sha512-base64", "sig-x509-sha256-base64"])
def test_a_long_signature_is_broken_into_lines(kind: str) -> None:
    signed = sign(text(rsa_key().principal), rsa_key(), kind=kind)
    field = signed[signed.index(b"Signature:") :].decode()
    assert all(len(line) <= 140 for line in field.splitlines())
    assert field.count("\\\n  ") == field.count("\n") - 1 > 1
    assert keynote.admit(signed).authorizer == rsa_key().principal


def test_a_legacy_kind_needs_the_switch() -> None:
    with pytest.raises(WeakKey):
        sign(text(rsa_key().principal), rsa_key(), kind="sig-rsa-sha1-hex")
    assert b"sig-rsa-sha1-hex:" in sign(text(rsa_key().principal), rsa_key(), kind="sig-rsa-sha1-hex", allow_legacy=True)


def test_the_authorizer_may_be_written_in_any_form_of_the_key() -> None:
    upper = HUB.principal.replace("ed25519-hex:", "ED25519-HEX:")
    constant = f'Local-Constants: ME = "{HUB.principal}"\nAuthorizer: ME\nLicensees: "bob"\n'.encode()
    assert keynote.admit(sign(text(upper), HUB)).authorizer == HUB.principal
    assert keynote.admit(sign(constant, HUB)).authorizer == HUB.principal


@pytest.mark.parametrize(
    "draft,words,line",
    [
        (text(BOB), ("this key signs for", HUB.principal), 1),
        (b'Authorizer: "POLICY"\n', ("the authorizer is `POLICY`", HUB.principal), 1),
        (b'Licensees: "bob"\nAuthorizer: requester\n', ("depends on the request", HUB.principal), 2),
        (sign(text(), HUB), ("signed already", "remove its Signature"), 3),
        (b'Authorizer: "x"\nLicensee: "bob"\n', ("did you mean `Licensees:`",), 2),
        (text() + b"\n" + text(), ("an empty line ends an assertion",), 4),
    ],
    ids=["another-key", "policy", "dynamic", "signed", "malformed", "two"],
)
def test_what_cannot_be_signed_says_why(draft: bytes, words: tuple[str, ...], line: int) -> None:
    with pytest.raises(MalformedAssertion) as caught:
        sign(draft, HUB)
    assert caught.value.line == line
    assert all(word in str(caught.value) for word in words)


# -- the serial (R14) ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "comment",
    ["", "Comment: for Bob\n", "Comment: for Bob\n  on two lines\n", "Comment:\n", "# Comment: none\n"],
    ids=repr,
)
def test_a_serial_is_added_once_and_makes_another_id(comment: str) -> None:
    plain = comment.encode() + text()
    first, second = with_serial(plain, "01"), with_serial(plain, "02")
    assert with_serial(first, "03") == first
    assert keynote.parse(first).comment == (keynote.parse(plain).comment or "") + ("\n  serial: 01" if "Bob" in comment else "serial: 01")
    assert keynote.admit(sign(first, HUB)).id != keynote.admit(sign(second, HUB)).id


# -- composing ----------------------------------------------------------------------------------------


DRAFT = Draft(authorizer=HUB.principal, licensees="", operation="subscribe", value="allow", until=UNTIL, serial="5e41a1")


def draft(licensees: str = f'"{BOB}"', **changes: Any) -> Draft:  # noqa: ANN401 - whatever a Draft has
    return replace(DRAFT, licensees=licensees, **changes)


def composed(licensees: str = f'"{BOB}"', **changes: Any) -> bytes:  # noqa: ANN401 - whatever a Draft has
    return sign(compose(draft(licensees, **changes)), HUB)


def test_a_credential_pins_operation_subject_and_time_by_default() -> None:
    body = compose(draft(conditions='topic == "incidents"', comment="for Bob")).decode()
    assert 'operation == "subscribe"' in body
    assert f'_ACTION_AUTHORIZERS == "{BOB}"' in body
    assert 'date < "20270101"' in body
    assert body.startswith("Comment: for Bob\n  serial: 5e41a1\n")


def test_a_pinned_credential_serves_its_holder_its_operation_and_its_time_only() -> None:
    credential = composed(conditions='topic == "incidents"')
    assert asked(credential, BOB) == "allow"
    assert asked(credential, BOB, EVE) == "deny"
    assert asked(credential, EVE) == "deny"
    assert asked(credential, BOB, operation="publish") == "deny"
    assert asked(credential, BOB, topic="people") == "deny"
    assert asked(credential, BOB, date="20261231") == "allow"
    assert asked(credential, BOB, date="20270101") == "deny"


def test_every_clause_is_pinned() -> None:
    credential = composed(conditions='topic == "incidents" -> "ask"; topic == "news" || topic == "press";')
    assert asked(credential, BOB) == "ask"
    assert asked(credential, BOB, topic="press") == "allow"
    assert asked(credential, BOB, topic="press", date="20280101") == "deny"
    assert asked(credential, BOB, topic="press", operation="publish") == "deny"


@pytest.mark.parametrize(
    "licensees,subjects",
    [
        ('"B"', ["B"]),
        ('"B" || "x"', ["B", "x"]),
        ('"B" && "x"', ["B,x"]),
        ('"B" && "x" && "B"', ["B,x"]),
        ('("B" || "x") && "y"', ["B,y", "x,y"]),
        ('2-of("x", "B", "y")', ["B,x", "B,x,y", "B,y", "x,y"]),
        ('2-of("B", "B")', ["B"]),
        ("ME", ["B"]),
        ('"xmpp:b@b.example" || "xmpp-member:a.example"', []),
    ],
)
def test_the_subject_is_whoever_meets_the_licensees(licensees: str, subjects: list[str]) -> None:
    """`B` is a key, the others are names: they cannot sign, so they cannot delegate either."""
    made = Draft(authorizer="x", licensees=licensees.replace("B", BOB), constants=(("ME", BOB),))
    found = re.findall(r'_ACTION_AUTHORIZERS == "([^"]*)"', compose(made).decode())
    assert [text.replace(BOB, "B") for text in found] == subjects


@pytest.mark.parametrize(
    "licensees",
    [
        f"2-of({', '.join(NAMES)})",
        f"2-of({', '.join(NAMES[:7])})",
        " || ".join(NAMES),
        f"({' || '.join(NAMES[:7])}) && ({' || '.join(NAMES[7:14])})",
        "requester",
    ],
    ids=["large-threshold", "threshold", "any", "all", "dynamic"],
)
def test_a_subject_that_cannot_be_written_out_is_refused(licensees: str) -> None:
    with pytest.raises(MalformedAssertion, match="delegation"):
        compose(draft(licensees))
    assert b"_ACTION_AUTHORIZERS" not in compose(draft(licensees, may_delegate=True))


def test_a_subject_may_be_given_as_a_test() -> None:
    subject = '_ACTION_AUTHORIZERS ~= "^xmpp-member:b\\\\.example,xmpp:[^,]+$"'
    credential = composed('"xmpp-member:b.example"', subject=subject)
    assert asked(credential, "xmpp-member:b.example", "xmpp:ann@b.example") == "allow"
    assert asked(credential, "xmpp-member:b.example") == "deny"
    with pytest.raises(MalformedAssertion, match="not a single test"):
        compose(draft(subject="true; true;"))


def test_without_demands_there_are_no_conditions() -> None:
    tree = keynote.parse(compose(Draft(authorizer="x", licensees='"y"', may_delegate=True)))
    assert tree.conditions is None
    tree = keynote.parse(compose(Draft(authorizer="x", licensees='"y"', may_delegate=True, value="ask")))
    assert keynote.print_assertion(tree).endswith('Conditions: true -> "ask";\n')


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"licensees": '"a" "b"'}, "two principals stand side by side"),
        ({"licensees": ""}, "Licensees"),
        ({"conditions": 'topic = "x"'}, "`=` does not compare"),
        ({"constants": (('A = "1" B', "2"),)}, "reads back as something else"),
        ({"constants": (("_A", "2"),)}, "begins with an underscore"),
    ],
    ids=repr,
)
def test_parts_that_are_no_keynote_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedAssertion, match=words):
        compose(replace(Draft(authorizer="x", licensees='"y"', may_delegate=True), **changes))


HOSTILE = st.text(st.sampled_from('ab"\\\n\r\t #;&|:()={}\u202e\u0085\u2028\x1b\x00é😀'), max_size=20)


@settings(max_examples=200)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_text_becomes_anything_but_text(name: str, value: str, operation: str, comment: str) -> None:
    made = Draft(
        authorizer=name, licensees='"y"', value=value, operation=operation, comment=comment, serial="1", until=UNTIL, may_delegate=True
    )
    if "\x00" in name + value + operation:
        with pytest.raises(HolderError):
            compose(made)
        return
    text = compose(made)
    tree = keynote.parse(text)
    assert tree.authorizer == syntax.Literal(to_octets(name))
    assert tree.conditions is not None
    [clause] = tree.conditions.clauses
    assert clause.value == (syntax.Literal(to_octets(value)) if value else None)
    assert ("operation" in keynote.print_assertion(tree)) == bool(operation) or "operation" in comment
    shown = from_octets(tree.comment or "")
    assert shown.replace("\n", "").isprintable()
    assert octets_to_bytes(tree.raw.decode("latin-1")) == text

"""Admission: the numbered steps, the id of a credential (authority rule R14), and what is remembered (rule R20)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearinghouse.errors import BadSignature, ClearinghouseError, MalformedAssertion, TooLarge, WeakKey
from clearinghouse.keynote import Admissions, Admitted, Assertions, admit, parse, syntax
from clearinghouse.keynote import credential as module
from clearinghouse.keynote.compiler import interpret
from clearinghouse.keynote.keys import from_seed, generate
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.shapes import Shapes
from clearinghouse.keynote.signing import sign

HUB, DESK = from_seed(b"hub".ljust(32)), from_seed(b"desk".ljust(32))
VALUES = ("deny", "allow")
SIGNATURE = b'Signature: "'


def credential(conditions: str = 'topic == "incidents"', licensees: str = '"alice"') -> bytes:
    return sign(f'Authorizer: "{HUB.principal}"\nLicensees: {licensees}\nConditions: {conditions};\n'.encode(), HUB)


def by_hub(signature: str) -> bytes:
    return f'Authorizer: "{HUB.principal}"\nSignature: {signature}\n'.encode()


def shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Let admission begin with an empty memory of shapes, and return it."""
    fresh = Shapes()
    monkeypatch.setattr(module, "_shapes", fresh)
    return fresh


# -- the steps -------------------------------------------------------------------------------------


def test_a_signed_credential_is_admitted() -> None:
    raw = credential()
    admitted = admit(raw, source="file")
    assert (admitted.raw, admitted.policy, admitted.source) == (raw, False, "file")
    assert (admitted.authorizer, admitted.trusted_by) == (HUB.principal, "alice")
    assert admitted.tree() == parse(raw)
    assert repr(admitted) == f"<credential {admitted.name[:12]}>"
    assert admitted.name == admitted.id.hex()


REFUSED: dict[str, tuple[bytes, type[ClearinghouseError], str]] = {
    "unsigned": (b'Authorizer: "POLICY"\nLicensees: "a"\n', BadSignature, "no Signature field"),
    "condition changed": (credential().replace(b"incidents", b"warnings"), BadSignature, "does not verify"),
    "letter case of a label": (credential().replace(b"Licensees", b"licensees"), BadSignature, "does not verify"),
    "comment added": (b"# note\n" + credential(), BadSignature, "does not verify"),
    "lines of another system": (credential().replace(b"\n", b"\r\n"), MalformedAssertion, "carriage return"),
    "another authorizer": (credential().replace(HUB.principal.encode(), DESK.principal.encode()), BadSignature, "does not verify"),
    "signed by a name": (b'Authorizer: "hub"\nSignature: "sig-ed25519-hex:00"\n', BadSignature, "names cannot sign"),
    "signed by POLICY": (b'Authorizer: "POLICY"\nSignature: "sig-ed25519-hex:00"\n', BadSignature, "names cannot sign"),
    "signed by bytes": (b'Authorizer: "binary-hex:00"\nSignature: "sig-ed25519-hex:00"\n', BadSignature, "those cannot sign"),
    "no kind": (by_hub('"x"'), BadSignature, "no kind of signature"),
    "empty signature": (by_hub('""'), BadSignature, "is not signed"),
    "cut off": (by_hub('"sig-ed25519-hex:00"'), BadSignature, "1 bytes instead of 64"),
    "authorizer of the request": (b'Authorizer: who\nSignature: "sig-ed25519-hex:00"\n', BadSignature, "depends on the request"),
    "signature of the request": (by_hub("what"), BadSignature, "depends on the request"),
    "broken digest": (by_hub('"sig-rsa-sha1-hex:00"'), WeakKey, "SHA1"),
    "no key": (b'Authorizer: "ed25519-hex:00"\nSignature: "s"\n', MalformedAssertion, "`Authorizer` cannot be decoded"),
    "nonsense": (b"nonsense", MalformedAssertion, "neither a field"),
    "too long": (b'Authorizer: "K"\nComment: '.ljust(8_193, b"x"), TooLarge, "8193 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_credentials(name: str) -> None:
    raw, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        admit(raw)


def test_the_signature_is_checked_before_the_licensees_are_decoded() -> None:
    raw = f'Authorizer: "{HUB.principal}"\nLicensees: "rsa-hex:00"\nSignature: "sig-ed25519-hex:{"00" * 64}"\n'.encode()
    with pytest.raises(BadSignature):
        admit(raw)


def test_an_undecodable_principal_is_told_with_its_field_and_line() -> None:
    with pytest.raises(MalformedAssertion, match="a principal in `Licensees` cannot be decoded") as told:
        admit(b'Authorizer: "POLICY"\n# note\nLicensees: "a" || "x509-hex:00"\n', policy=True)
    assert (told.value.line, told.value.column) == (3, 1)


def test_a_policy_needs_no_signature_and_any_authorizer_may_stand_there() -> None:
    for authorizer in ('"POLICY"', '"hub"', f'"{HUB.principal}"', "who"):
        assert admit(f'Authorizer: {authorizer}\nLicensees: "a"\n'.encode(), policy=True).policy
    assert admit(credential(), policy=True).authorizer == HUB.principal


@pytest.mark.parametrize("authorizer", ['"POLICY"', '"hub"', '"binary-hex:00"', "who"])
def test_a_policy_signed_by_what_is_no_key_is_a_mistake(authorizer: str) -> None:
    raw = f'Authorizer: {authorizer}\nLicensees: "a"\nSignature: "sig-ed25519-hex:00"\n'.encode()
    with pytest.raises(MalformedAssertion, match="no key and cannot sign") as told:
        admit(raw, policy=True)
    assert (told.value.line, told.value.column) == (3, 1)


def test_legacy_keys_only_where_they_are_allowed() -> None:
    key = generate("rsa", rsa_bits=2_048)
    text = f'Authorizer: "{key.principal}"\nLicensees: "a"\n'.encode()
    raw = sign(text, key, kind="sig-rsa-sha1-hex", allow_legacy=True)
    assert admit(raw, allow_legacy=True).trusted_by == "a"
    with pytest.raises(WeakKey):
        admit(raw)


def test_principals_are_resolved_from_constants() -> None:
    raw = f'Local-Constants: KEY = "{DESK.principal.upper().replace("ED25519", "ed25519")}" NAME = "KEY"\n'
    raw += 'Authorizer: "POLICY"\nLicensees: $NAME && ("a" . "b")\n'
    admitted = admit(raw.encode(), policy=True)
    assert not isinstance(admitted.trusted_by, str | None)
    assert {DESK.principal, "ab"} == set(admitted.trusted_by.weights)  # type: ignore[union-attr]


def test_principals_that_the_request_names_are_left_to_the_request() -> None:
    assert admit(b'Authorizer: "POLICY"\nLicensees: "a" || who\n', policy=True).trusted_by is None
    assert admit(b'Authorizer: _ACTION_AUTHORIZERS\nLicensees: "a"\n', policy=True).authorizer is None


# -- raw and admitted are different things ---------------------------------------------------------


def test_what_is_not_admitted_cannot_be_asked() -> None:
    raw = credential()
    anything: tuple[Any, ...] = (raw, parse(raw), None, "text")
    for never_admitted in anything:
        with pytest.raises(TypeError, match="must be admitted"):
            Assertions(credentials=[never_admitted])
        with pytest.raises(TypeError, match="must be admitted"):
            Assertions().with_credentials([never_admitted])


def test_a_channel_is_not_changed_on_the_way() -> None:
    policy, signed = admit(b'Authorizer: "POLICY"\nLicensees: "a"\n', policy=True), admit(credential())
    with pytest.raises(TypeError):
        Assertions(policies=[signed])
    with pytest.raises(TypeError):
        Assertions(credentials=[policy])
    with pytest.raises(TypeError):
        Assertions().with_credentials([policy])


def test_a_tree_is_admitted_by_its_bytes_and_never_by_its_nodes() -> None:
    """A tree that was changed by hand keeps its signature; it must not keep its changes."""
    raw = credential('topic == "incidents"')
    opened = replace(parse(raw), conditions=None, licensees=None)
    admitted = admit(opened)
    assert (admitted.trusted_by, admitted.tree()) == ("alice", parse(raw))
    with pytest.raises(MalformedAssertion, match="there is no assertion here"):
        admit(syntax.Assertion(syntax.Literal("POLICY")), policy=True)


def test_a_changed_tree_teaches_no_wrong_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes(monkeypatch)
    policy = b'Authorizer: "POLICY"\nLicensees: "K"\nConditions: a == "1";\n'
    changed = parse(policy.replace(b"==", b"!="))
    admit(replace(changed, raw=policy), policy=True)
    proof = Assertions(policies=[admit(policy, policy=True)]).query(authorizers=["K"], action={"a": "1"}, values=VALUES)
    assert proof.value == "allow"


# -- the id ----------------------------------------------------------------------------------------


def test_the_id_does_not_depend_on_how_the_signature_is_written() -> None:
    """Otherwise a re-spaced copy of a revoked credential would be new."""
    raw = credential()
    head, _, bits = raw.partition(SIGNATURE)
    bits = bits.rstrip(b'"\n')
    kind, _, digits = bits.partition(b":")
    copies = [
        raw.rstrip(b"\n"),
        raw + b"\n\n",
        raw + b"# seen\n",
        raw + b"Comment: whatever follows is not part of it\n",
        raw + b"nonsense\n",
        head + b"SIGNATURE:" + b'"' + bits + b'"\n',
        head + b'Signature: "' + bits[:40] + b"\\\n   " + bits[40:] + b'"\n',
        head + b'Signature: "' + bits[:40] + b'"\n . "' + bits[40:] + b'" # joined\n',
        head + b'Signature: "' + kind + b":" + digits.upper() + b'"\n',
    ]
    assert {admit(copy).id for copy in copies} == {admit(raw).id}
    assert len({*copies, raw}) == len(copies) + 1


def test_the_id_does_not_depend_on_blank_lines_before_the_assertion() -> None:
    assert admit(b"\n \n" + credential()).id == admit(credential()).id


def test_the_id_does_not_depend_on_the_kind_of_signature() -> None:
    text = f'Authorizer: "{HUB.principal}"\nLicensees: "a"\n'.encode()
    one, two = sign(text, HUB, kind="sig-ed25519-hex"), sign(text, HUB, kind="sig-ed25519-base64")
    assert one != two
    assert admit(one).id == admit(two).id


def test_other_signed_bytes_have_another_id() -> None:
    texts = [credential(), credential('topic == "warnings"'), credential('topic  == "incidents"'), credential(licensees='"bob"')]
    assert len({admit(text).id for text in texts}) == len(texts)


def test_another_authorizer_has_another_id_also_for_the_same_bytes() -> None:
    """The authorizer's normal form and the signed bytes are kept apart by their length."""
    policies = [
        admit(text, policy=True).id for text in (b'Authorizer: "a"\n', b'Authorizer: "b"\n', b'Authorizer: "a" \n', b"Authorizer: a\n")
    ]
    assert len(set(policies)) == 4


def test_channels_do_not_change_the_id() -> None:
    assert admit(credential(), policy=True).id == admit(credential()).id


# -- what is remembered ----------------------------------------------------------------------------


def test_the_same_bytes_are_admitted_once() -> None:
    admissions = Admissions()
    raw = credential()
    assert admissions.admit(raw) is admissions.admit(raw)
    assert admissions.admit(raw + b"\n") is not admissions.admit(raw)


def test_channel_and_signature_settings_are_part_of_the_key() -> None:
    key = generate("rsa", rsa_bits=2_048)
    text = f'Authorizer: "{key.principal}"\nLicensees: "a"\n'.encode()
    raw = sign(text, key, kind="sig-rsa-sha1-hex", allow_legacy=True)
    strict = Admissions()
    assert strict.admit(raw, policy=True).policy
    with pytest.raises(WeakKey):
        strict.admit(raw)
    assert not Admissions(allow_legacy=True).admit(raw).policy


def test_refusals_are_not_remembered() -> None:
    admissions = Admissions()
    for _ in range(2):
        with pytest.raises(MalformedAssertion):
            admissions.admit(b"nonsense")
    assert len(admissions) == 0


def test_the_least_recently_used_are_forgotten() -> None:
    admissions = Admissions(size=3)
    texts = [f'Authorizer: "POLICY"\nLicensees: "{name}"\n'.encode() for name in "abcd"]
    first, *_ = [admissions.admit(text, policy=True) for text in texts[:3]]
    assert admissions.admit(texts[0], policy=True) is first
    admissions.admit(texts[3], policy=True)
    assert len(admissions) == 3
    assert admissions.admit(texts[0], policy=True) is first


def test_large_trees_of_strangers_fill_the_memory_sooner() -> None:
    admissions = Admissions(size=100)
    for number in range(10):
        admissions.admit(credential(" && ".join([f'a == "{number}"'] * 80)), learn=False)
    assert 0 < len(admissions) < 10


def test_a_stranger_never_enters_the_memory_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = shapes(monkeypatch)
    admissions = Admissions()
    stranger = admissions.admit(credential(), learn=False)
    assert len(known) == 0
    assert stranger.function is interpret
    Admissions().admit(credential())
    assert len(known) == 1
    again = Admissions().admit(credential('topic == "other"'), learn=False)
    assert again.function is not interpret
    assert len(known) == 1


def test_strangers_and_files_have_other_limits() -> None:
    large = b'Authorizer: "POLICY"\nComment: '.ljust(100_000, b"x")
    assert admit(large, policy=True).policy
    with pytest.raises(TooLarge):
        admit(large, policy=True, limits=Limits())


def test_both_ways_of_evaluating_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes(monkeypatch)
    raw = b'Authorizer: "POLICY"\nLicensees: "K"\nConditions: a == "1" -> "allow";\n'
    learnt: list[Admitted] = [admit(raw, policy=True, learn=learn) for learn in (False, True)]
    assert [each.function is interpret for each in learnt] == [True, False]
    for action in ({}, {"a": "1"}):
        answers = {Assertions(policies=[each]).query(authorizers=["K"], action=action, values=VALUES).value for each in learnt}
        assert len(answers) == 1

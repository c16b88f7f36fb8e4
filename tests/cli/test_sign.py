"""``sign``: texts, and credentials composed from options."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse import keynote
from clearinghouse.clearing.vocabulary import OPERATIONS, Origin
from clearinghouse.cli import reading
from clearinghouse.cli.drafts import AUDIT
from clearinghouse.keynote.keys import from_seed, write_key_file
from tests.cli.conftest import ANN, EVE, HUB, Command

COMPOSE = ("sign", "--key", "hub.key", "--licensee", "ann.pub", "--operation", "subscribe", "--until", "2099-01-01")


def signed(out: str) -> str:
    assert keynote.admit(out.encode()).authorizer == HUB.principal
    return out


@pytest.mark.parametrize("given", ["draft.kn", "-", 'Authorizer: "{HUB}"\nLicensees: "ann"'], ids=["file", "stdin", "text"])
def test_a_text_is_signed_wherever_it_comes_from(run: Command, desk: Path, given: str) -> None:
    made = run("sign", "--key", "hub.key", given.replace("{HUB}", HUB.principal), given=(desk / "draft.kn").read_bytes())
    assert made.status == 0
    assert "Comment: serial: " in signed(made.out)


def test_each_signature_has_a_serial_of_its_own_unless_the_text_stays_as_it_is(run: Command) -> None:
    first, second = (signed(run("sign", "--key", "hub.key", "draft.kn").out) for _ in range(2))
    assert keynote.admit(first.encode()).id != keynote.admit(second.encode()).id
    assert "serial" not in signed(run("sign", "--key", "hub.key", "--as-is", "draft.kn").out)


def test_composed_credentials_are_pinned(run: Command) -> None:
    made = signed(run(*COMPOSE, "--value", "ask", "--condition", 'topic == "incidents"', "--comment", "for Ann").out)
    tree = keynote.parse(made.encode())
    body = keynote.print_assertion(tree)
    assert (tree.comment or "").startswith("for Ann\n  serial: ")
    for part in (
        'operation == "subscribe"',
        f'_ACTION_AUTHORIZERS == "{ANN.principal}"',
        'date < "20990101"',
        'topic == "incidents"',
        '-> "ask"',
    ):
        assert part in body


def test_several_conditions_and_licensees(run: Command) -> None:
    made = signed(run(*COMPOSE, "--licensee", "eve.pub", "--condition", 'a == "1" || b == "2"', "--condition", 'c == "3"').out)
    assert f'Licensees: "{ANN.principal}" || "{EVE.principal}"' in made
    assert '(a == "1" || b == "2")' in made
    together = signed(run(*COMPOSE, "--licensee", "eve.pub", "--threshold", "2").out)
    assert "Licensees: 2-of(" in together


def test_delegation_is_a_decision(run: Command) -> None:
    made = signed(run("sign", "--key", "hub.key", "--licensee", "ann.pub", "--may-delegate", "--forever").out)
    assert "Conditions" not in made


def test_names_that_are_no_keys_are_licensed_as_they_are(run: Command) -> None:
    made = signed(run(*COMPOSE[:3], "--licensee", "xmpp:ann@b.example", *COMPOSE[5:]).out)
    assert 'Licensees: "xmpp:ann@b.example"' in made
    assert "_ACTION_AUTHORIZERS" not in made


def test_an_audit_pins_every_audit_attribute(run: Command) -> None:
    audit = ("--template", "audit", "--attribute", "XMPP_TLS_for_s2s=required", "--may-delegate")
    made = signed(run(*COMPOSE, *audit, "--condition", 'domain == "partner.example"').out)
    assert 'XMPP_TLS_for_s2s == "required"' in made
    assert 'Firewall_Packet_Filtering == ""' in made
    assert all(f"{name} == " in made for name in AUDIT)
    assert "is no audit attribute" in run(*COMPOSE, "--template", "audit", "--attribute", "color=red").err


def test_the_audit_attributes_are_those_of_the_vocabulary() -> None:
    statements = {each.name for each in OPERATIONS["whitelist"].attributes.values() if each.origin is Origin.STATEMENT}
    assert set(AUDIT) == statements - {"role"}


@pytest.mark.parametrize(
    "words,said",
    [
        (("sign", "--key", "hub.key"), "there is nothing to sign"),
        ((*COMPOSE, "draft.kn"), "give either the text or `--licensee`"),
        (("sign", "--key", "eve.key", "draft.kn"), "this key signs for"),
        (("sign", "--key", "hub.key", "ann.kn"), "signed already"),
        (("sign", "--key", "hub.key", "broken.kn"), "did you mean `Licensees:`?"),
        (("sign", "--key", "hub.key", "absent.kn"), "`absent.kn` cannot be read"),
        (("sign", "--key", "absent.key", "draft.kn"), "there is no key file"),
        (("sign", "--key", "hub.key", "draft.kn", "--kind", "sig-rsa-sha256-hex"), "does not fit"),
        (COMPOSE[:7], "a credential has a last day"),
        ((*COMPOSE[:5], "--forever"), "a credential is for one operation"),
        ((*COMPOSE[:7], "--until", "soon"), "`soon` is no date"),
        ((*COMPOSE[:7], "--until", "2020-01-01"), "until `2020-01-01` has ended"),
        ((*COMPOSE[:7], "--until", f"{reading.instant(None):%Y-%m-%d}"), "has ended already"),
        ((*COMPOSE[:5], "--operation", "subscrbe", *COMPOSE[7:]), "did you mean `subscribe`?"),
        ((*COMPOSE[:5], "--operation", "zzz", *COMPOSE[7:]), "they are federate, "),
        ((*COMPOSE, "--licensee", "POLICY"), "`POLICY` can never ask"),
        ((*COMPOSE, "--licensee", ""), "`` can never ask"),
        ((*COMPOSE, "--licensee", "a,b"), "`a,b` can never ask"),
        ((*COMPOSE, "--threshold", "2"), "can never ask together"),
        ((*COMPOSE, "--attribute", "a=b"), "is for `--template audit`"),
        ((*COMPOSE, "--condition", "a == 'b'"), "KeyNote quotes with"),
        ((*COMPOSE, "--condition", 'a == "b"', "--condition", 'c = "d"'), "--condition 2: line 1, column 3"),
        (("sign", "--key", "hub.key", "--licensee", "absent.pub", *COMPOSE[5:]), "`absent.pub` cannot be read"),
        (("sign", "--key", "hub.key", "--licensee", "topic.pem", *COMPOSE[5:]), "`topic.pem` holds no principal"),
        (("sign", "--key", "hub.key", "--licensee", "ed25519-hex:00", *COMPOSE[5:]), "cannot be decoded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_signed_says_what_to_do(run: Command, desk: Path, words: tuple[str, ...], said: str) -> None:
    (desk / "topic.pem").write_text("two words\n")
    made = run(*words)
    assert (made.status, made.out) == (2, "")
    assert said in made.err


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["words", "json"])
def test_what_is_most_likely_a_mistake_is_told(run: Command, more: tuple[str, ...]) -> None:
    made = run("sign", "--key", "hub.key", f'Authorizer: "{HUB.principal}"\nConditions: operation == "subscribe";\n', *more)
    assert made.status == 0
    assert "warning K005 anybody" in made.err
    assert "note" not in made.err
    assert "K005" not in made.out
    assert run(*COMPOSE, *more).err == ""


def test_json_has_id_and_text(run: Command) -> None:
    answer = run(*COMPOSE, "--json").json
    assert answer["id"] == keynote.admit(answer["text"].encode()).name


def test_a_demonstration_key_signs_only_if_that_is_wanted(run: Command, desk: Path) -> None:
    write_key_file(desk / "demo.key", from_seed(bytes(32), demo=True))
    (desk / "demo.kn").write_text(f'Authorizer: "{from_seed(bytes(32)).principal}"\nLicensees: "x"\n')
    assert "that everybody has" in run("sign", "--key", "demo.key", "demo.kn").err
    assert run("sign", "--key", "demo.key", "--allow-demo", "demo.kn").status == 0

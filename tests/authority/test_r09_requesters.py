"""R9: who asks is fixed by the door and the operation, and nobody wields a name that is not theirs."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.request import PRINCIPAL_CHARACTERS, REQUESTERS, sender_of, server, signers, user_of_server
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import ClearinghouseError, MalformedRequest, TooLarge
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.signing import sign
from tests.world import Community, assertion, key, plain, request, who

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'


def test_r09_a_user_is_itself_and_a_member_of_its_domain() -> None:
    assert user_of_server("ann@a.example", "a.example") == ("xmpp:ann@a.example", "xmpp-member:a.example")


@pytest.mark.parametrize(
    "jid, domain",
    [("ann@a.example", "b.example"), ("b.example", "a.example"), ("ann@a.example", "example"), ("a@b@a.example", "b@a.example")],
)
def test_r09_a_server_vouches_for_its_own_users_only(jid: str, domain: str) -> None:
    with pytest.raises(MalformedRequest, match="is no user of"):
        user_of_server(jid, domain)


def test_r09_a_user_never_wields_its_servers_name() -> None:
    for name in ("ann", "a.example", "xmpp", "xmpp-member"):
        assert "xmpp:a.example" not in user_of_server(f"{name}@a.example", "a.example")


def test_r09_a_server_that_subscribes_is_the_server_and_none_of_its_members() -> None:
    assert user_of_server("a.example", "a.example") == server("a.example") == ("xmpp:a.example",)


def test_r09_a_server_is_its_domain_and_the_key_of_its_certificate() -> None:
    assert server("a.example", who("key")) == ("xmpp:a.example", who("key"))


@pytest.mark.parametrize("name", ["xmpp:ann@a.example", "xmpp:a.example", "hub", "", "binary-hex:00", "POLICY"])
def test_r09_only_keys_have_signed(name: str) -> None:
    with pytest.raises(MalformedRequest):
        signers((who("ann"), name))
    assert signers((who("ann"), who("bob"))) == (who("ann"), who("bob"))


@pytest.mark.parametrize("name", ["POLICY", "", ",", "xmpp:a,xmpp:b", "ann,", "\ud800", "a\0b"], ids=ascii)
def test_r09_names_that_mean_something_else_are_refused(sim: Community, name: str) -> None:
    sim.policy("ann", HOST, operation="whitelist")
    decision = sim.asks("ann", "whitelist", requesters=(who("ann"), name))
    assert (decision.outcome, decision.reason.code) == (Outcome.REFUSED, "malformed-request")
    assert decision.reason.text.isprintable()


def test_r09_nobody_is_no_requester(sim: Community) -> None:
    sim.load(b'Authorizer: "POLICY"\nConditions: ' + f"{HOST};\n".encode(), "whitelist")
    assert sim.asks("eve", "whitelist").value == "allow", "anybody may"
    assert sim.ask(replace(request("eve", "whitelist"), requesters=())).reason.code == "malformed-request"


def test_r09_too_many_or_too_long_requesters_are_refused(sim: Community) -> None:
    for names in (tuple(f"ed25519-hex:{n:064x}" for n in range(REQUESTERS + 1)), ("x" * (PRINCIPAL_CHARACTERS + 1),)):
        assert sim.asks("ann", "whitelist", requesters=names).reason.code == "too-large"


# -- the set of requesters inside KeyNote -----------------------------------------------------------------


def test_r09_the_requesters_are_sorted_by_bytes_in_normal_form() -> None:
    first, second = sorted((who("ann"), who("bob")))
    in_base64 = base64.b64encode(bytes.fromhex(first.partition(":")[2])).decode()
    proof = plain([], (second, "xmpp:ä", "xmpp:z", f"ED25519-BASE64:{in_base64}", first), {})
    assert proof.context.special("_ACTION_AUTHORIZERS") == f"{first},{second},xmpp:z,{to_octets('xmpp:ä')}"


@pytest.mark.parametrize("asking, held", [("ann+bob", True), ("bob+ann", True), ("ann", False), ("ann+bob+eve", False)])
def test_r09_a_threshold_of_people_is_exact(sim: Community, asking: str, held: bool) -> None:  # noqa: FBT001 - a table
    both = ",".join(sorted((who("ann"), who("bob"))))
    sim.policy("{ann} && {bob}", f'{HOST} && _ACTION_AUTHORIZERS == "{both}"', operation="whitelist")
    assert (sim.asks(asking, "whitelist").value == "allow") is held


def test_r09_two_people_who_ask_are_not_one_who_asks_twice(sim: Community) -> None:
    sim.policy("2-of({ann}, {bob}, {eve})", HOST, operation="whitelist")
    assert (
        sim.asks("ann", "whitelist", requesters=(who("ann"), who("ann"), who("ann").upper().replace("ED25519-HEX", "ed25519-hex"))).value
        == "deny"
    )
    assert sim.asks("ann+bob", "whitelist").value == "allow"


# -- the proof rests on requesters for whom the door can vouch --------------------------------------------

TOPIC = 'topic == "incidents" && jid ~= "@a\\\\.example$"'


@pytest.mark.parametrize("name", ["xmpp:a.example", "xmpp:eve@a.example", "xmpp-member:b.example", "xmpp:b.example", who("ann"), "hub"])
def test_r09_the_broker_cannot_vouch_for_anybody_but_the_subscriber(sim: Community, name: str) -> None:
    sim.load(f'Authorizer: "POLICY"\nLicensees: "{name}"\nConditions: operation == "subscribe" && {TOPIC};\n'.encode())
    mine = request("ann@a.example").requesters
    decision = sim.asks("ann@a.example", requesters=(*mine, name))
    assert (decision.value, decision.reason.code) == ("deny", "foreign-requester")


def test_r09_somebody_elses_name_beside_ones_own_takes_nothing_away(sim: Community) -> None:
    sim.policy("{xmpp:a.example} || {xmpp:ann@a.example}", TOPIC)
    mine = request("ann@a.example").requesters
    assert sim.asks("ann@a.example", requesters=("xmpp:a.example", *mine)).value == "allow"


@pytest.mark.parametrize("door", [Door.STREAM, Door.TABLE])
@pytest.mark.parametrize("name", ["xmpp:b.example", "xmpp:ann@a.example", "xmpp-member:a.example"])
def test_r09_a_stream_and_a_table_speak_for_one_server(sim: Community, door: Door, name: str) -> None:
    sim.policy(f"{{{name}}}", 'from_domain == "a.example"', operation="federate")
    decision = sim.asks("a.example", "federate", door=door, requesters=("xmpp:a.example", name))
    assert decision.reason.code == "foreign-requester"


def test_r09_a_servers_certificate_key_counts_for_the_server(sim: Community) -> None:
    sim.policy("ann", 'from_domain == "a.example"', operation="federate")
    assert sim.asks("a.example", "federate", requesters=server("a.example", who("ann"))).value == "allow"


@pytest.mark.parametrize("name", ["xmpp:ann@a.example", "xmpp:a.example", "xmpp-member:a.example", "hub"])
def test_r09_a_signed_request_has_its_signers_and_nobody_else(sim: Community, name: str) -> None:
    sim.load(f'Authorizer: "POLICY"\nLicensees: "{name}"\nConditions: {HOST};\n'.encode(), "whitelist")
    decision = sim.asks("ann", "whitelist", requesters=(who("ann"), name))
    assert decision.reason.code == "foreign-requester"


PEOPLE = {
    Door.OPERATOR: ("unix:root",),
    Door.CHAT: ("xmpp:ann@a.example", "xmpp-member:a.example"),
    Door.ENVELOPE: (who("ann"),),
}


@pytest.mark.parametrize("door", PEOPLE)
@pytest.mark.parametrize("name", ["xmpp:ann@a.example", "xmpp-member:a.example", "xmpp:a.example", "unix:root", who("ann"), "console:root"])
def test_r09_each_door_for_people_vouches_for_its_own_kind_of_names(sim: Community, door: Door, name: str) -> None:
    """The kernel knows users, a chat's host knows JIDs, a signature knows keys; a server neither chats nor types."""
    sim.policy(f"{{{name}}}", 'subject ~= "^ann" && topic ~= "^inc"', operation="explain")
    decision = sim.asks("ann", "explain", door=door, requesters=(name,))
    assert decision.reason.code == ("granted" if name in PEOPLE[door] else "foreign-requester")


def test_r09_who_has_approved_together_was_vouched_for_one_by_one(sim: Community) -> None:
    everybody = [name for names in PEOPLE.values() for name in names]
    sim.policy(
        f"{len(everybody)}-of({', '.join(f'{{{name}}}' for name in everybody)})",
        'subject ~= "^ann" && topic ~= "^inc"',
        operation="approve",
    )
    assert sim.asks("ann", "approve", door=Door.DESK, requesters=tuple(everybody)).value == "allow"
    sim.policy("{xmpp:a.example}", 'subject ~= "^ann" && topic ~= "^inc"', operation="approve")
    assert sim.asks("ann", "approve", door=Door.DESK, requesters=("xmpp:a.example",)).reason.code == "foreign-requester"


def test_r09_names_cannot_sign_so_they_cannot_delegate() -> None:
    text = assertion("xmpp:ann@a.example", "eve")
    with pytest.raises(ClearinghouseError):
        sign(text, key("ann"))


def test_r09_one_key_has_one_account_however_it_is_written() -> None:
    asked = request("ann", "whitelist")
    upper = replace(asked, requesters=(who("ann").replace("ed25519-hex", "Ed25519-HEX"),))
    assert sender_of(asked) == sender_of(upper) == who("ann")
    assert sender_of(replace(asked, requesters=("ed25519-hex:zz",))) == "ed25519-hex:zz"
    assert sender_of(replace(asked, sender="xmpp:gate.example")) == "xmpp:gate.example"
    with pytest.raises(TooLarge):
        signers(("ed25519-hex:" + "0" * PRINCIPAL_CHARACTERS,))

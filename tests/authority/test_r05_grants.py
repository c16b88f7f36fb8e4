"""R5: a signed request opens a server exactly as far as its proof goes, in every dimension, or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from clearinghouse.demo.keys import demonstration_key
from clearinghouse.errors import MalformedRequest, PeerError
from clearinghouse.federation.enforced.image import Image
from clearinghouse.federation.enforced.packet_rules import DIRECTIONS, KINDS, CannotEnforce, PacketRule, rule_of
from tests.targets import HOST, Records, Target, member
from tests.world import NOON

DOMAIN = 'App_domain == "XMPP" && domain == "partner.example"'
BOUND = f'{DOMAIN} && Server_IP_Address == "192.168.40.55"'


def licensed(where: str) -> str:
    name = demonstration_key("Alice").principal
    return f'Authorizer: "POLICY"\nLicensees: "{name}"\nConditions: operation == "whitelist" && {where} -> "allow";\n'


async def target(place: Path, where: str, records: Records | None = None) -> Target:
    made = await Target(place, NOON).policy(licensed(where)).open(alone=records is None)
    return made if records is None else await made.believe(records)


@pytest.mark.parametrize("left_out", ["App_domain", "domain", "Server_IP_Address"])
async def test_r05_a_dimension_that_policy_does_not_bind_opens_nothing(tmp_path: Path, left_out: str) -> None:
    where = " && ".join(test for test in BOUND.split(" && ") if not test.startswith(left_out))
    made = await target(tmp_path, where)
    assert (await made.ask(HOST, "Alice")).outcome == "refused"
    [decision] = await made.store.decisions(9)
    assert decision.decision.reason.code == "unbound-effect"
    assert made.live() == ()


@pytest.mark.parametrize("rule", [{"Username": "bob"}, {"PacketType": "message"}, {"direction": "in"}], ids=str)
async def test_r05_a_packet_rule_that_policy_does_not_bind_opens_nothing(tmp_path: Path, rule: dict[str, str]) -> None:
    made = await target(tmp_path, BOUND)
    assert (await made.ask({**HOST, **rule}, "Alice")).outcome == "refused"
    assert made.live() == ()


async def test_r05_what_is_granted_is_what_was_asked_for_and_not_what_policy_would_allow(tmp_path: Path) -> None:
    """Policy lets all of the domain's users have everything; Alice asked for one user's presence, coming in."""
    made = await target(tmp_path, f'{BOUND} && Username ~= "^[a-z*]+$" && PacketType ~= "^[a-z*]+$" && direction ~= "^(in|out|[*])$"')
    await made.ask({**HOST, "Username": "bob", "PacketType": "presence", "direction": "in"}, "Alice", seconds=60)
    [grant] = made.live()
    assert (grant.user, grant.mask, grant.address, grant.remote) == ("bob@partner.example", 2, "192.168.40.55", "partner.example")


async def test_r05_an_address_on_record_is_bound_with_its_domain(tmp_path: Path) -> None:
    """The registrar's record ties it; another address, or a member without that address, is not tied."""
    recorded = Records({"partner.example": member("partner.example", address="192.168.40.55")})
    made = await target(tmp_path, DOMAIN, recorded)
    assert (await made.ask(HOST, "Alice", seconds=60)).outcome == "granted"
    assert (await made.ask({**HOST, "Server_IP_Address": "192.168.40.56"}, "Alice")).outcome == "refused"
    assert (await made.ask({**HOST, "Server_IP_Address": "*"}, "Alice")).outcome == "refused"
    await made.believe(Records({"partner.example": member("partner.example", address="192.168.40.99")}))
    assert made.live() == (), "the record changed, and with it what is tied"


async def test_r05_a_record_of_somebody_who_is_no_member_any_more_ties_nothing(tmp_path: Path) -> None:
    gone = Records({"partner.example": member("partner.example", address="192.168.40.55", removed=True)})
    made = await target(tmp_path, DOMAIN, gone)
    assert (await made.ask(HOST, "Alice")).outcome == "refused"


async def test_r05_only_members_where_policy_says_so(tmp_path: Path) -> None:
    made = await target(tmp_path, f'{BOUND} && member == "yes"', Records())
    assert (await made.ask(HOST, "Alice")).outcome == "refused"
    await made.believe(Records({"partner.example": member("partner.example")}))
    assert (await made.ask(HOST, "Alice", seconds=60)).outcome == "granted"
    await made.believe(Records())
    assert made.live() == (), "who leaves loses it at once"


async def test_r05_who_asks_does_not_say_that_it_is_a_member(tmp_path: Path) -> None:
    made = await target(tmp_path, f'{BOUND} && member == "yes"')
    await made.ask({**HOST, "member": "yes"}, "Alice")
    [decision] = await made.store.decisions(9)
    assert decision.decision.reason.code == "malformed-request"
    assert made.live() == ()


# -- what no server can be told is not even asked ----------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"App_domain": "ERP"},
        {"App_domain": "*"},
        {"domain": "*"},
        {"domain": "Partner.example"},
        {"domain": "partner.example."},
    ],
    ids=str,
)
def test_r05_what_cannot_be_enforced_is_refused(claims: dict[str, str]) -> None:
    with pytest.raises(CannotEnforce):
        rule_of({**HOST, **claims})


@pytest.mark.parametrize(
    "claims",
    [
        {"Server_IP_Address": "192.168.040.55"},
        {"Server_IP_Address": "192.168.40.55 "},
        {"Server_IP_Address": "192.168.40.0/24"},
        {"Server_IP_Address": "2001:DB8::7"},
        {"Server_IP_Address": "partner.example"},
        {"PacketType": "Message"},
        {"PacketType": "message,iq"},
        {"direction": "both"},
        {"Username": "bob@other.example"},
        {"Username": "bob@partner.example/phone"},
        {"Username": "b b"},
        {"Username": "@partner.example"},
        {"Username": "partner.example@"},
        {"Username": "x" * 2_048},
    ],
    ids=lambda claims: next(iter(claims.items()))[1][:20],
)
def test_r05_what_is_written_in_another_way_than_the_server_compares_is_refused(claims: dict[str, str]) -> None:
    with pytest.raises(MalformedRequest):
        rule_of({**HOST, **claims})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_r05_each_kind_and_direction_opens_its_bits_alone(kind: str, direction: str) -> None:
    rule = rule_of({**HOST, "PacketType": kind, "direction": direction})
    assert rule == PacketRule("partner.example", "192.168.40.55", "*", KINDS[kind] * DIRECTIONS[direction])
    assert bool(rule.mask & 0x0F) == (direction in {"in", "*"})
    assert bool(rule.mask & 0xF0) == (direction in {"out", "*"})


def test_r05_a_name_stands_for_the_user_of_that_domain_in_normal_form() -> None:
    assert [rule_of({**HOST, "Username": name}).user for name in ("Bob", "bob", "bob@partner.example", "ﬁn")] == [
        *["bob@partner.example"] * 3,
        "fin@partner.example",
    ]


async def test_r05_another_user_kind_address_or_domain_does_not_pass(tmp_path: Path) -> None:
    made = await target(tmp_path, f'{BOUND} && Username == "bob" && PacketType == "message"')
    await made.ask({**HOST, "Username": "bob", "PacketType": "message"}, "Alice", seconds=60)
    image, now = Image("target.example", 1, ("target.example",), {}, {}, made.live()), int(NOON.timestamp())
    good = {"user": "bob@partner.example", "address": "192.168.40.55"}
    assert image.mask("partner.example", now=now, **good) == 0x11
    for other in ({"user": "carol@partner.example"}, {"address": "192.168.40.56"}):
        assert image.mask("partner.example", now=now, **{**good, **other}) == 0
    assert image.mask("other.example", now=now, user="bob@other.example", address="192.168.40.55") == 0
    assert image.mask("partner.example", now=now + 60, **good) == 0


async def test_r05_two_requests_do_not_add_up_to_more(tmp_path: Path) -> None:
    """One for Bob from here, one for Carol from there: not Bob from there."""
    made = await target(tmp_path, f'{DOMAIN} && Server_IP_Address ~= "^192[.]" && Username ~= "^[a-z]+$" && PacketType == "message"')
    for user, address in (("bob", "192.168.40.55"), ("carol", "192.168.40.56")):
        await made.ask({**HOST, "Server_IP_Address": address, "Username": user, "PacketType": "message"}, "Alice", seconds=60)
    image, now = Image("target.example", 1, ("target.example",), {}, {}, made.live()), int(NOON.timestamp())
    assert image.mask("partner.example", now=now, user="bob@partner.example", address="192.168.40.56") == 0


async def test_r05_nothing_but_a_grant_opens_anything(tmp_path: Path) -> None:
    made = await target(tmp_path, BOUND.replace("192.168.40.55", "192.168.40.1"))
    for claims in (HOST, {**HOST, "role": "b2b"}, {"App_domain": "XMPP", "domain": "partner.example"}):
        with suppress(PeerError):
            assert not (await made.ask(claims, "Alice")).granted
    assert (made.live(), made.told) == ((), 0)

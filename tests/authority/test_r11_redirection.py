"""R11 and R5 at the door for servers: whoever has proven nothing is nobody, and what it claims counts where a policy says so."""

from __future__ import annotations

import re

import pytest

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.vocabulary import NOBODY, Door
from clearinghouse.errors import MalformedAssertion
from clearinghouse.federation.redirection.answers import Refused
from clearinghouse.federation.redirection.seen import Proof, Require
from clearinghouse.keynote import admit
from tests.porters import CERTIFICATE, LEVELS, Lodge, said, sent
from tests.world import Community, assertion, key, plain, who

CLAIMED = 'claimed_from_domain == "a.example"'


def nobody(where: str = CLAIMED, value: str = "level-1") -> bytes:
    """Return a policy that licenses whoever has proven nothing."""
    return f'Authorizer: "POLICY"\nLicensees: "{NOBODY}"\nConditions: operation == "federate" && ({where}) -> "{value}";\n'.encode()


@pytest.fixture
def community() -> Community:
    return Community(levels=LEVELS)


def asks(sim: Community) -> Decision:
    return sim.asks("a.example", "federate", door=Door.UNPROVEN)


def test_the_hole() -> None:
    """KeyNote would let whoever claims a name have what its owner may."""
    held = [assertion("POLICY", "a.example", "true", "level-2")]
    assert plain(held, "a.example", {"from_domain": "a.example"}, LEVELS).value == "level-2"


def test_r11_a_name_that_is_only_claimed_is_no_requester(community: Community) -> None:
    community.policy("a.example", "true", "level-2", operation="federate")
    community.policy("{xmpp:a.example} || {xmpp:b.example}", 'to_domain == "b.example"', "level-2", operation="federate")
    assert (asks(community).value, asks(community).reason.code) == ("deny", "no-licence")
    decision = community.asks("a.example", "federate", door=Door.UNPROVEN, requesters=("xmpp:a.example",))
    assert (decision.value, decision.reason.code) == ("deny", "foreign-requester")


def test_r11_a_policy_admits_the_unproven_by_naming_them(community: Community) -> None:
    community.load(nobody(), "federate")
    assert asks(community).value == "level-1"
    assert community.asks("c.example", "federate", door=Door.UNPROVEN).value == "deny"
    assert community.asks("a.example", "federate").value == "deny", "a proven peer is somebody else"


def test_r11_what_anybody_may_nobody_meant_for_the_unproven(community: Community) -> None:
    for where in (CLAIMED, 'from_domain == "a.example"'):
        community.policy(None, where, "level-1", operation="federate")
    assert community.asks("a.example", "federate").value == "level-1"
    assert asks(community).reason.code == "foreign-requester"


def test_r05_what_the_unproven_claim_is_bound_by_the_proof_or_grants_nothing(community: Community) -> None:
    """Their requester says nothing about the name, as that of a proven peer does."""
    community.load(nobody('to_domain == "b.example"'), "federate")
    assert (asks(community).value, asks(community).reason.code) == ("deny", "unbound-effect")
    assert "for which `claimed_from_domain`" in asks(community).reason.text
    community.load(nobody(f'{CLAIMED} || address == "192.0.2.7"'), "federate")
    assert asks(community).reason.code == "unbound-effect", "it grants this to whatever name, too"


def test_r05_a_credential_below_may_bind_it(community: Community) -> None:
    community.load(assertion("POLICY", "hub", 'operation == "federate" && to_domain == "b.example"', "level-1"), "federate")
    text = f'Authorizer: "{who("hub")}"\nLicensees: "{NOBODY}"\nConditions: {CLAIMED} -> "level-1";\n'
    community.load(text.encode(), "federate")
    assert asks(community).value == "level-1"


@pytest.mark.parametrize("name", ["from_domain", "from_level", "certificate_issuer"])
def test_r11_what_is_known_of_the_proven_is_not_known_of_a_claim(community: Community, name: str) -> None:
    for where in (f'{CLAIMED} && {name} != "x"', f'!({name} == "x")', f'{name} ~= "." && to_domain == "b.example"'):
        with pytest.raises(MalformedAssertion, match=f"`{name}` is not supplied where the rest is known|`from_domain`") as refused:
            community.load(nobody(where), "federate")
        assert refused.value.code == "unknown-attribute"
    decision = community.asks("a.example", "federate", door=Door.UNPROVEN, **{"known" if name == "from_level" else "observed": {name: "x"}})  # type: ignore[arg-type]
    assert decision.reason.code == "malformed-request"


@pytest.mark.parametrize(
    "conditions, loads",
    [
        ('from_domain == "a.example" && claimed_from_domain == "a.example";', False),
        ('claimed_from_domain == "a.example" -> { from_level == "level-2" -> "level-1"; };', False),
        ('claimed_from_domain == "a.example" && !(from_level == "deny");', False),
        ('claimed_from_domain == "a.example" && (from_level == "level-2" || to_level == "level-2");', True),
        ('from_domain == "a.example" -> "level-1"; claimed_from_domain == "a.example" -> "level-1";', True),
        ('from_domain == "a.example" && from_level == "level-2" && tls_version == "1.3";', True),
    ],
)
def test_r11_a_clause_that_no_door_can_supply_is_refused_when_it_is_loaded(conditions: str, loads: bool) -> None:  # noqa: FBT001 - a row of the table
    policy = admit(f'Authorizer: "POLICY"\nLicensees: "hub"\nConditions: {conditions}\n'.encode(), policy=True)
    if loads:
        check_policy(policy, "federate")
        return
    with pytest.raises(MalformedAssertion, match="is not supplied where the rest is known") as refused:
        check_policy(policy, "federate")
    assert refused.value.mend == "write a clause, or a policy, for each door"
    assert refused.value.line == 3


# -- at the door -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("require", [Require.CERTIFICATE, Require.DIALBACK])
async def test_r11_the_engine_is_not_asked_for_whoever_has_not_proven_enough(require: Require) -> None:
    lodge = Lodge(require)
    lodge.sim.load(nobody(), "federate")
    assert await lodge.answer(proof=Proof.NOTHING) == Refused()
    assert await lodge.reasons() == ["not-proven"]
    [recorded] = await lodge.recorded()
    assert (recorded.proof, recorded.decision.request.requesters) == (None, (NOBODY,))
    assert "from_domain" not in recorded.attributes


async def test_r11_where_nothing_is_demanded_the_unproven_are_asked_about_under_their_own_name() -> None:
    lodge = Lodge(Require.NOTHING)
    lodge.permits()
    assert said(await lodge.answer(proof=Proof.NOTHING)) == "not permitted: not-granted"
    lodge.sim.load(nobody(), "federate")
    assert sent(await lodge.answer(proof=Proof.NOTHING)) == "192.0.2.2"
    assert sent(await lodge.answer()) == "192.0.2.2", "a proven peer is asked about as ever"
    doors = [each.decision.request.door for each in await lodge.recorded()]
    assert doors == [Door.UNPROVEN, Door.UNPROVEN, Door.STREAM]


async def test_r11_a_key_that_proves_nothing_is_no_requester() -> None:
    lodge = Lodge(Require.NOTHING)
    for where in (CLAIMED, 'from_domain == "a.example"'):
        lodge.sim.policy("certificate of a", where, "level-1", operation="federate")
    assert said(await lodge.answer(proof=Proof.NOTHING, key=CERTIFICATE, issuer="CN=Net CA")) == "not permitted: not-granted"
    assert sent(await lodge.answer()) == "192.0.2.2"
    [first, _] = await lodge.recorded()
    assert CERTIFICATE not in first.decision.request.requesters
    assert not re.search("Net CA", str(first.attributes))
    assert key("certificate of a").principal == CERTIFICATE

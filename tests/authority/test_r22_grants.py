"""R22: whoever may not know the policy learns a code and an id, the same for whatever reason; who may, is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.agent.granting.answers import answer_in
from clearinghouse.demo.keys import demonstration_key
from tests.targets import HOST, Records, Target, member, of_folder, paper
from tests.world import NOON

EXPLAINING = f"""
Authorizer: "POLICY"
Licensees: "{demonstration_key("Alice").principal}"
Conditions: operation == "explain" && subject == "partner.example" && topic == "*" && asked == "whitelist" -> "allow";
"""


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    made = await paper(tmp_path, 3, NOON).policy(EXPLAINING, "people").open(alone=False)
    return await made.believe(Records({"partner.example": member("partner.example", "Bob")}))


async def test_r22_refusals_are_alike_for_whatever_reason(target: Target) -> None:
    """No member, no licence, a condition that fails, a claim that nobody binds: one answer."""
    told = [
        (await target.ask(HOST, "Mallory")).as_json(),
        (await target.ask(HOST, "Bob")).as_json(),
        (await target.ask({**HOST, "domain": "nobody.example"}, "Mallory")).as_json(),
        (await target.ask({**HOST, "Server_IP_Address": "192.168.40.99"}, "TargetAdmin")).as_json(),
        (await target.ask({**HOST, "Username": "bob", "PacketType": "iq"}, "TargetAdmin")).as_json(),
    ]
    assert {tuple(sorted({**each, "id": ""}.items())) for each in told} == {
        (
            ("code", "refused"),
            ("id", ""),
            ("outcome", "refused"),
            ("reason", "target.example does not grant this"),
            ("until", ""),
            ("value", "deny"),
        )
    }
    reasons = {each.decision.reason.code for each in await target.store.decisions(9)}
    assert len(reasons) > 1, "the store knows why"


async def test_r22_who_may_explain_is_told_why(target: Target) -> None:
    answer = await target.ask(HOST, "Alice")
    assert answer.code == "no-licence"
    assert "a licence for" in answer.reason
    elsewhere = await target.ask({**HOST, "domain": "other.example"}, "Alice")
    assert (elsewhere.code, elsewhere.reason) == ("refused", "target.example does not grant this")


async def test_r22_what_is_granted_tells_nothing_of_the_policy_either(target: Target) -> None:
    answer = await target.ask(HOST, "Alice", credentials=of_folder("paper-section-3", "alice"), seconds=60)
    assert answer.reason == "target.example grants this"
    assert answer_in(answer.as_json()) == answer

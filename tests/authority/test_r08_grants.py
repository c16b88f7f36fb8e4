"""R8: what only the requester says about itself opens no server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.targets import HOST, Target
from tests.world import NOON, signed, who

BOUND = 'App_domain == "XMPP" && domain == "partner.example" && Server_IP_Address == "192.168.40.55"'
RELIES = 'XMPP_TLS_for_s2s == "required" && XMPP_SRTP_for_video == "required"'
AUDIT = {"XMPP_TLS_for_s2s": "required", "XMPP_SRTP_for_video": "required"}


@pytest.fixture
async def relying(tmp_path: Path) -> Target:
    """The target relies on two facts about servers, and trusts an auditor and a requester."""
    policy = "\n".join(
        f'Authorizer: "POLICY"\nLicensees: "{who(name)}"\nConditions: operation == "whitelist" && {where} -> "allow";\n'
        for name, where in (("auditor", RELIES), ("ann", f"{BOUND} && {RELIES}"), ("director", 'role == "b2b"'))
    )
    return await Target(tmp_path, NOON).policy(policy).open()


async def code(target: Target, *credentials: bytes, claims: dict[str, str] = AUDIT, name: str = "ann") -> str:
    answer = await target.requests.answer(
        target.sealed_by(name, {**HOST, **claims}, credentials=[each.decode() for each in credentials], seconds=60), via="ip:192.0.2.9"
    )
    found = await target.store.decision(answer.id)
    assert found is not None
    assert bool(target.live()) == answer.granted
    return found.decision.reason.code


async def test_r08_what_the_requester_alone_says_opens_nothing(relying: Target) -> None:
    assert await code(relying) == "unbound-claim"


async def test_r08_an_audit_by_somebody_else_does(relying: Target) -> None:
    assert await code(relying, signed("auditor", "bob", f"{BOUND} && {RELIES}"), name="bob") == "granted"


async def test_r08_nobody_audits_themselves(relying: Target) -> None:
    assert await code(relying, signed("ann", "ann", f"{BOUND} && {RELIES}")) == "unbound-claim"


async def test_r08_an_audit_of_another_server_says_nothing_about_this_one(relying: Target) -> None:
    other = BOUND.replace("192.168.40.55", "192.168.40.56")
    assert await code(relying, signed("auditor", "bob", f"{other} && {RELIES}"), name="bob") == "condition-failed"


async def test_r08_a_role_is_given_by_a_credential(relying: Target) -> None:
    given = signed("director", "bob", f'{BOUND} && role == "b2b"')
    assert await code(relying, signed("director", "bob", BOUND), claims={"role": "b2b"}, name="bob") == "unbound-claim"
    assert await code(relying, given, claims={"role": "b2b"}, name="bob") == "granted"

"""R13: a credential that our own signing makes lets one asker in, and nobody whom that one would like to send."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from clearinghouse.keynote.signing import Draft, compose, sign
from tests.targets import HOST, Target
from tests.world import NOON, key, signed, who

BOUND = 'App_domain == "XMPP" && domain == "partner.example" && Server_IP_Address == "192.168.40.55"'


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    policy = f'Authorizer: "POLICY"\nLicensees: "{who("hub")}"\nConditions: operation == "whitelist" -> "allow";\n'
    return await Target(tmp_path, NOON).policy(policy).open()


def pinned(*, may_delegate: bool = False) -> str:
    draft = Draft(
        authorizer=who("hub"),
        licensees=f'"{who("bob")}"',
        operation="whitelist",
        conditions=BOUND,
        until=date(2027, 1, 1),
        serial="1",
        may_delegate=may_delegate,
    )
    return sign(compose(draft), key("hub")).decode()


async def granted(target: Target, names: str, *credentials: str) -> bool:
    raw = target.sealed_by(names, HOST, credentials=credentials, seconds=60)
    return (await target.requests.answer(raw, via="ip:192.0.2.9")).granted


async def test_r13_who_was_licensed_asks_in_person(target: Target) -> None:
    passed_on = signed("bob", "eve", BOUND).decode()
    assert await granted(target, "bob", pinned())
    assert not await granted(target, "eve", pinned(), passed_on)
    assert not await granted(target, "bob+eve", pinned(), passed_on), "nor together with somebody else"


async def test_r13_delegation_is_said(target: Target) -> None:
    passed_on = signed("bob", "eve", BOUND).decode()
    assert await granted(target, "eve", pinned(may_delegate=True), passed_on)


async def test_r13_a_grant_is_the_askers_and_does_not_pass_to_whom_it_named(target: Target) -> None:
    """Bob's request has Carol's messages in it, which his credential does not say."""
    raw = target.sealed_by("bob", {**HOST, "Username": "carol", "PacketType": "message"}, credentials=[pinned()], seconds=60)
    assert not (await target.requests.answer(raw, via="ip:192.0.2.9")).granted

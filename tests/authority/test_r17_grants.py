"""R17: a grant ends at the first of its period, the cap, and the instant at which the clock can change the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.agent.granting.grants import TooManyGrants
from clearinghouse.demo.keys import demonstration_key
from tests.targets import HOST, Target, paper
from tests.world import NOON

BOUND = 'operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example" && Server_IP_Address == "192.168.40.55"'


def policy(where: str) -> str:
    return f'Authorizer: "POLICY"\nLicensees: "{demonstration_key("Alice").principal}"\nConditions: {BOUND} && {where} -> "allow";\n'


@pytest.mark.parametrize(
    "asked, where, cap, ends",
    [
        (60, 'date < "20270101"', timedelta(days=1), NOON + timedelta(seconds=60)),
        (None, 'date < "20270101"', timedelta(days=1), NOON + timedelta(days=1)),
        (10**7, 'time < "20261120120130"', timedelta(days=1), NOON + timedelta(seconds=90)),
        (10**7, 'date <= "20261120"', timedelta(days=9), datetime(2026, 11, 21, tzinfo=UTC)),
        (10**7, "@ValidityPeriod <= 10000000", timedelta(days=9), NOON + timedelta(days=9)),
    ],
)
async def test_r17_the_first_end_counts(tmp_path: Path, asked: int | None, where: str, cap: timedelta, ends: datetime) -> None:
    target = await Target(tmp_path, NOON).policy(policy(where)).open(cap=cap)
    answer = await target.ask(HOST, "Alice", seconds=asked)
    assert answer.until == ends
    [grant] = target.live()
    assert grant.until == int(ends.timestamp())
    target.now = ends
    assert target.live() == ()


async def test_r17_a_policy_may_say_for_how_long(tmp_path: Path) -> None:
    target = await Target(tmp_path, NOON).policy(policy("@ValidityPeriod <= 3600")).open()
    assert (await target.ask(HOST, "Alice", seconds=3601)).outcome == "refused"
    assert (await target.ask(HOST, "Alice")).outcome == "refused", "as long as may be is longer"
    assert (await target.ask(HOST, "Alice", seconds=3600)).outcome == "granted"


async def test_r17_a_clock_that_was_set_back_opens_nothing(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    await target.ask(HOST, "TargetAdmin", seconds=60)
    target.sleep(hours=1)
    await target.grants.review()
    target.sleep(hours=-1)
    assert target.live() == ()
    assert (await target.ask(HOST, "TargetAdmin")).outcome == "unanswered"


async def test_r17_what_could_not_be_judged_goes_on_to_its_end_and_not_longer(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    await target.ask(HOST, "TargetAdmin", seconds=600)
    target.authority.desk.limits = target.authority.desk.limits.with_(steps=1)
    await target.grants.review()
    assert len(target.live()) == 1
    target.sleep(seconds=600)
    assert target.live() == ()


async def test_r17_there_are_only_so_many_grants_for_one_domain(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    target.grants.most_each = 2
    for last in (50, 51):
        await target.ask({**HOST, "Server_IP_Address": f"192.168.40.{last}"}, "TargetAdmin", seconds=60)
    with pytest.raises(TooManyGrants):
        await target.ask({**HOST, "Server_IP_Address": "192.168.40.52"}, "TargetAdmin")

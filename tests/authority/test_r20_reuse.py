"""R20: an earlier answer counts for the same facts, the same snapshot, until the clock could change it; and what is handed in stays out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.worlds import BROKER
from clearinghouse.grid.topics import Subscriber, SubscriptionAsked
from clearinghouse.keynote import Admissions
from tests.runtime.house import ANN, TOPIC, House, example, hurry, until
from tests.world import Community, signed


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    hurry(monkeypatch)
    made = example(tmp_path)
    made.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", f'topic == "{TOPIC}"', until="20261121"))
    return made


def other_policy(house: House) -> None:
    house.write("credentials/b.kn", signed("hub", "xmpp-member:z.example", f'topic == "{TOPIC}"'))


def other_payload_type(house: House) -> None:
    house.settings_text = house.settings_text.replace("iodef-2.0", "iodef-3.0")


def other_voucher(house: House) -> None:
    house.settings_text = house.settings_text.replace("secret_file", 'vouched_by = "elsewhere.example"\nsecret_file')


def another_day(house: House) -> None:
    house.sleep(days=1)


def nothing(_: House) -> None:
    return


async def asks(house: House) -> None:
    """Let the broker ask the same question, by the same name."""
    async with house.open() as service:
        service.intake.ask(SubscriptionAsked(BROKER, TOPIC, Subscriber(ANN, ANN, ANN, "a.example"), "5F1"))
        await until(lambda: not service.intake._in_hand)


@pytest.mark.parametrize(
    "change,decisions",
    [(nothing, 1), (other_policy, 2), (other_payload_type, 2), (other_voucher, 2), (another_day, 2)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_r20_an_earlier_answer_counts_only_while_nothing_that_it_rests_on_has_changed(
    house: House, change: Callable[[House], None], decisions: int
) -> None:
    await asks(house)
    change(house)
    await asks(house)
    found = await house.recorded()
    assert len(found) == decisions
    assert found[0].decision.outcome is Outcome.GRANTED
    assert found[-1].decision.outcome is (Outcome.REFUSED if change is another_day else Outcome.GRANTED)


def test_r20_credentials_that_are_handed_in_enter_neither_the_snapshot_nor_the_next_request() -> None:
    sim = Community()
    where = 'jid == "sensor@a.example" && platform_group == "sensors"'
    sim.policy(licenses="hub", where=where, operation="register", value="allow")
    before = sim.ready().snapshot
    assert sim.asks("eve", "register", credentials=[signed("hub", "eve", where)]).value == "allow"
    assert sim.asks("eve", "register").value == "deny"
    assert sim.ready().snapshot is before


def test_r20_what_was_admitted_under_other_signature_settings_is_judged_again() -> None:
    lenient, strict = Admissions(allow_legacy=True), Admissions()
    assert lenient._allow_legacy is not strict._allow_legacy
    raw = signed("hub", "ann@a.example")
    assert lenient.admit(raw) is lenient.admit(raw)
    assert strict.admit(raw) is not lenient.admit(raw)

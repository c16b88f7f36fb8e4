"""R21 at the door for servers: a hundred hostile peers leave the honest one its answer, and soon."""

from __future__ import annotations

from datetime import datetime

from clearinghouse.clearing.senders import EACH, SHARE, TOGETHER
from clearinghouse.errors import BudgetExhausted
from clearinghouse.federation.redirection.answers import Refused
from clearinghouse.federation.redirection.seen import Proof, Require
from clearinghouse.runtime.redirection.porter import Unexplained
from tests.porters import ALLOWED, B, Lodge, member, said, sent

SECOND = 500_000
"""Steps of a second: one takes about 2 us."""

COSTLY = " && ".join(f'!(to_domain ~= "^({"|".join(f"x{number}y{each}" for each in range(40))})*$")' for number in range(20))
"""Conditions that take long; policies are the community's own, so a peer can do no more than have them asked again and again."""


class Meter(Unexplained):
    """Budgets that keep the bill."""

    def __init__(self) -> None:
        super().__init__()
        self.bill: dict[str, int] = {}

    def charge(self, sender: str, steps: int, now: datetime) -> None:
        super().charge(sender, steps, now)
        self.bill[sender] = self.bill.get(sender, 0) + steps


def attacked(proof: Proof, require: Require = Require.CERTIFICATE) -> tuple[Lodge, Meter]:
    """Return a lodge whose policies take long."""
    lodge, meter = Lodge(require), Meter()
    lodge.porter.senders = meter
    lodge.permits(ALLOWED)
    field = "from_domain" if proof is Proof.CERTIFICATE else "claimed_from_domain"
    for number in range(100):
        name = f"n{number}.example"
        lodge.roll.members[name] = member(name, "192.0.2.9")
        licensee = name if proof is Proof.CERTIFICATE else "unproven"
        if number < 1 or proof is Proof.CERTIFICATE:
            lodge.sim.load(_policy(licensee, f'{field} == "x.example" || ({COSTLY})'), "federate")
    return lodge, meter


def _policy(licensee: str, where: str) -> bytes:
    name = licensee if licensee == "unproven" else f"xmpp:{licensee}"
    return f'Authorizer: "POLICY"\nLicensees: "{name}"\nConditions: operation == "federate" && ({where}) -> "level-1";\n'.encode()


async def test_r21_a_hundred_hostile_members_leave_time_for_the_honest_one() -> None:
    lodge, meter = attacked(Proof.CERTIFICATE)
    for round_ in range(12):
        for number in range(100):
            await lodge.answer(f"n{number}.example", f"t{round_}-{number}.example")
    assert sent(await lodge.answer()) == "192.0.2.2"
    hostile = sum(steps for sender, steps in meter.bill.items() if sender != "xmpp:a.example")
    assert hostile > TOGETHER.burst, "the attack was one"
    assert hostile < SECOND
    assert "budget-exhausted" in await lodge.reasons()


async def test_r21_whoever_used_up_its_steps_hears_that_and_is_asked_about_again_later() -> None:
    lodge, meter = attacked(Proof.CERTIFICATE)
    lodge.sim.ready()
    meter.charge("xmpp:n1.example", EACH.burst, lodge.sim.now)
    answer = await lodge.answer("n1.example", B)
    assert said(answer) == f"not permitted: {BudgetExhausted.code}"
    assert isinstance(answer, Refused)
    assert "decision" in answer.text, "it is on the log"
    assert sent(await lodge.answer()) == "192.0.2.2", "and nobody else pays for it"


async def test_r21_the_unproven_pay_by_address_and_not_by_the_name_that_they_claim() -> None:
    lodge, meter = attacked(Proof.NOTHING, Require.NOTHING)
    for number in range(15):
        await lodge.answer("a.example", f"t{number}.example", Proof.NOTHING, address="192.0.2.99")
    assert set(meter.bill) == {"address 192.0.2.99"}
    assert sent(await lodge.answer()) == "192.0.2.2"
    assert meter.bill["xmpp:a.example"] < SHARE


async def test_r21_the_engine_spends_nothing_on_whoever_has_not_proven_enough() -> None:
    lodge, meter = attacked(Proof.NOTHING)
    for number in range(10):
        assert await lodge.answer(f"n{number}.example", B, Proof.NOTHING) == Refused()
    assert meter.bill == {}

"""The topic owner when the broker is away, unwilling, or of another make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import pytest
from structlog.testing import capture_logs

from clearinghouse.clearing.enforcement import ApproveSubscription, Enforcement, LeavePending, Nothing, RefuseSubscription
from clearinghouse.clearing.request import Place
from clearinghouse.enforcers.broker import UNSUPPORTED, NothingPending, TopicOwner
from clearinghouse.enforcers.hands import TRANSIENT
from clearinghouse.enforcers.topic_setup import ForeignTopic
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError
from clearinghouse.grid.forms import read_form
from clearinghouse.grid.stanzas import Question, StanzaRefused
from clearinghouse.grid.topics import Topic

US, BROKER = "ch.example.net", "broker.example.net"
TOPIC = Topic(BROKER, "incidents", "urn:ietf:params:xml:ns:iodef-2.0")


@dataclass(slots=True)
class Unwilling:
    """A link on which everything is refused in one way."""

    condition: str
    told: list[Element] = field(default_factory=list)

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        raise StanzaRefused(self.condition, text=f"{kind} {payload.tag} of {to}")

    async def tell(self, message: Element) -> None:
        self.told.append(message)
        if self.condition:
            raise StanzaRefused(self.condition)


ACTIONS: dict[str, Callable[[TopicOwner], Awaitable[object]]] = {
    "ensure": lambda owner: owner.ensure_topics([TOPIC]),
    "publishers": lambda owner: owner.set_publishers(TOPIC, ["a@b.example"]),
    "answer": lambda owner: owner.answer(BROKER, "incidents", "a@b.example", approve=True),
    "end": lambda owner: owner.end(BROKER, "incidents", ["a@b.example"], affiliation="none"),
    "outcast": lambda owner: owner.end(BROKER, "incidents", ["a@b.example"], affiliation="outcast"),
    "members": lambda owner: owner.set_members(TOPIC, {"a@b.example": "member"}),
    "affiliations": lambda owner: owner.set_affiliations(TOPIC, {"a@b.example": "outcast"}),
    "publisher": lambda owner: owner.add_publisher(BROKER, "incidents", "a@b.example"),
    "member": lambda owner: owner.add_member(BROKER, "incidents", "a@b.example"),
    "create": lambda owner: owner.create(TOPIC, "a@b.example"),
    "state": lambda owner: owner.state(TOPIC),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
@pytest.mark.parametrize("condition", sorted(TRANSIENT))
async def test_broker_that_is_away_is_unavailable(action: Callable[[TopicOwner], Awaitable[object]], condition: str) -> None:
    with pytest.raises(BrokerUnavailable, match=condition):
        await action(TopicOwner(Unwilling(condition), US))


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())
@pytest.mark.parametrize("condition", ["forbidden", "not-acceptable", "undefined-condition"])
async def test_any_other_refusal_is_an_error_of_ours_and_no_reason_to_wait(
    action: Callable[[TopicOwner], Awaitable[object]], condition: str
) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        await action(TopicOwner(Unwilling(condition), US))
    assert not isinstance(refused.value, BrokerUnavailable)


@pytest.mark.parametrize("condition", sorted(UNSUPPORTED))
async def test_broker_without_the_command_is_said_once_and_lived_with(condition: str) -> None:
    with capture_logs() as logs:
        await TopicOwner(Unwilling(condition), US).recover([TOPIC])
    assert [entry["event"] for entry in logs] == ["recovery_unsupported"]


async def test_recovery_at_a_broker_that_is_away_is_tried_again() -> None:
    with pytest.raises(BrokerUnavailable):
        await TopicOwner(Unwilling("remote-server-timeout"), US).recover([TOPIC])


@pytest.mark.parametrize(
    "condition, error",
    [("unexpected-request", NothingPending), ("forbidden", ForeignTopic), ("item-not-found", ForeignTopic), ("bad-request", StanzaRefused)],
)
async def test_answer_that_is_refused(condition: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await TopicOwner(Unwilling(condition), US).answer(BROKER, "incidents", "a@b.example", approve=True)


async def test_answer_repeats_what_the_broker_wrote() -> None:
    link = Unwilling("")
    await TopicOwner(link, US).answer(BROKER, "incidents", "Alice@B.example/X", approve=False, subid="5C2")
    form = read_form(link.told[0][0])
    assert (link.told[0].get("to"), form.kind) == (BROKER, "submit")
    assert form.fields == {
        "pubsub#subid": ("5C2",),
        "pubsub#node": ("incidents",),
        "pubsub#subscriber_jid": ("Alice@B.example/X",),
        "pubsub#allow": ("0",),
    }


PLACE = Place(BROKER, "incidents", "a@b.example/x", "5C2")


@pytest.mark.parametrize(
    "what, allowed",
    [
        (ApproveSubscription(PLACE, "d1"), ["1"]),
        (RefuseSubscription(PLACE, "d1"), ["0"]),
        (LeavePending(PLACE, "d1"), []),
        (Nothing(), []),
    ],
    ids=["approve", "refuse", "leave", "nothing"],
)
async def test_decision_is_carried_out(what: Enforcement, allowed: list[str]) -> None:
    link = Unwilling("")
    await TopicOwner(link, US).carry_out(what)
    forms = [read_form(message[0]) for message in link.told]
    assert [form.one("pubsub#allow") for form in forms] == allowed
    assert all((form.one("pubsub#subscriber_jid"), form.one("pubsub#subid")) == ("a@b.example/x", "5C2") for form in forms)

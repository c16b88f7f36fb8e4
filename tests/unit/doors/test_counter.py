"""What platforms and people ask the clearinghouse's own address: requests, envelopes and discovery."""

from __future__ import annotations

import asyncio
import base64
from xml.etree.ElementTree import Element, canonicalize, fromstring, tostring

import pytest
from structlog.testing import capture_logs

from clearinghouse.clearing.senders import RateLimited
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.doors.xmpp.counter import REFUSAL_SECONDS
from clearinghouse.doors.xmpp.crowd import MAX_DOMAIN, MAX_EACH, MAX_TOGETHER, Crowd, TooManyQuestions
from clearinghouse.errors import BrokerUnavailable, StoreUnavailable, Unavailable
from clearinghouse.grid.namespaces import CLEARINGHOUSE, DISCO_ITEMS, IODEF
from clearinghouse.grid.reception import PlatformAsked, TopicPage
from clearinghouse.grid.requests import ENVELOPE, MAX_ENVELOPE_BYTES, write_envelope, write_request
from clearinghouse.grid.stanzas import CONDITIONS
from clearinghouse.grid.topics import Subscriber, Topic
from tests.unit.doors.client import ANN, Counter, disco, wrapped
from tests.unit.doors.paper import BROKER, PaperOffice, PaperReception, case_of

SENSOR = "sensor@soc.example/1"
STRANGER = "x@evil.example/1"


def house(*topics: Topic) -> Counter:
    found = topics or (Topic(BROKER, "incidents", IODEF, "Incidents"),)
    return Counter(PaperReception(PaperOffice(), {ANN: "ann"}, found))


def reception_of(counter: Counter) -> PaperReception:
    assert isinstance(counter.exchange.reception, PaperReception)
    return counter.exchange.reception


def asked(topic: str = "incidents", operation: str = "publish", *, receipt: bool = False, seconds: int | None = None) -> Element:
    subscriber = read_subscriber(SENSOR)
    return write_request(PlatformAsked(operation, BROKER, topic, subscriber, receipt=receipt, seconds=seconds))


def raw(text: str) -> Element:
    return fromstring(text.replace("NS", f"xmlns='{CLEARINGHOUSE}'"))  # noqa: S314 - written in this file


# -- requests of platforms ----------------------------------------------------------------------------


async def test_platform_asks_and_hears_the_decision() -> None:
    counter = house()
    decision = await counter.ask(SENSOR, "set", asked(receipt=True, seconds=3600))
    assert decision.tag == f"{{{CLEARINGHOUSE}}}decision"
    assert {name: decision.get(name) for name in ("outcome", "value", "reason", "ends")} == {
        "outcome": "granted",
        "value": "allow",
        "reason": "granted",
        "ends": "2026-11-20T12:00:00Z",
    }
    assert base64.b64decode(decision[0].text or "") == b"receipt"
    assert reception_of(counter).asked == [
        PlatformAsked("publish", BROKER, "incidents", read_subscriber(SENSOR), seconds=3600, receipt=True),
    ]


async def test_platform_asks_for_a_topic_to_be_made() -> None:
    counter = house()
    created = PlatformAsked("create", BROKER, "new", read_subscriber(SENSOR), payload_type=IODEF, title="New ones")
    await counter.ask(SENSOR, "set", write_request(created))
    assert reception_of(counter).asked == [created]


async def test_denied_and_unknown_look_the_same() -> None:
    counter = house()
    answers = [await counter.ask(who, "set", asked(topic)) for who in (SENSOR, STRANGER) for topic in ("unknown", "<b>&amp;")]
    for answer in answers:
        del answer.attrib["id"]
    assert len({canonicalize(tostring(answer)) for answer in answers}) == 1


async def test_refusals_take_the_same_time_however_soon_they_are_known() -> None:
    counter, started = house(), asyncio.get_running_loop().time()
    await counter.ask(STRANGER, "set", asked("unknown"))
    assert asyncio.get_running_loop().time() - started >= REFUSAL_SECONDS


BAD = {
    "nothing": "<request NS/>",
    "operation": f"<request NS operation='administer' broker='{BROKER}' topic='t'/>",
    "broker": "<request NS operation='publish' broker='Broker.Example/x' topic='t'/>",
    "no topic": f"<request NS operation='publish' broker='{BROKER}'/>",
    "unprintable topic": f"<request NS operation='publish' broker='{BROKER}' topic='a&#x202e;b'/>",
    "unknown attribute": f"<request NS operation='publish' broker='{BROKER}' topic='t' days='1'/>",
    "child": f"<request NS operation='publish' broker='{BROKER}' topic='t'><a/></request>",
    "text": f"<request NS operation='publish' broker='{BROKER}' topic='t'>please</request>",
    "seconds": f"<request NS operation='publish' broker='{BROKER}' topic='t' seconds='-1'/>",
    "no seconds": f"<request NS operation='publish' broker='{BROKER}' topic='t' seconds='0'/>",
    "endless": f"<request NS operation='publish' broker='{BROKER}' topic='t' seconds='2147483648'/>",
    "arabic seconds": f"<request NS operation='publish' broker='{BROKER}' topic='t' seconds='\u0661'/>",
    "receipt": f"<request NS operation='publish' broker='{BROKER}' topic='t' receipt='yes'/>",
    "title where nothing is made": f"<request NS operation='publish' broker='{BROKER}' topic='t' title='x'/>",
    "create without a type": f"<request NS operation='create' broker='{BROKER}' topic='t'/>",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
async def test_malformed_request_is_refused_before_anybody_rules_on_it(text: str) -> None:
    counter = house()
    assert await counter.refused(SENSOR, "set", raw(text)) == ("bad-request", "malformed-request", "")
    assert reception_of(counter).asked == []


async def test_long_names_are_refused_and_never_repeated() -> None:
    counter = house()
    assert await counter.refused(SENSOR, "set", asked("x" * 257)) == ("policy-violation", "too-large", "")
    assert "xxx" not in str([tostring(each) for each in counter.written])


async def test_only_people_of_ours_are_told_in_words() -> None:
    counter = house()
    condition, code, text = await counter.refused(f"{ANN}/x", "set", raw(BAD["operation"]))
    assert (condition, code) == ("bad-request", "malformed-request")
    assert text.startswith("a request for no such operation: use create")


@pytest.mark.parametrize("failure", [StoreUnavailable("full", mend="x"), Unavailable("later"), BrokerUnavailable("away")])
async def test_what_cannot_be_decided_now_is_no_denial(failure: Unavailable) -> None:
    counter = house()
    reception_of(counter).failing = failure
    assert await counter.refused(SENSOR, "set", asked()) == ("resource-constraint", failure.code, "")
    assert CONDITIONS["resource-constraint"] == "wait"


async def test_mistake_of_ours_is_answered_and_logged() -> None:
    counter = house()
    reception_of(counter).failing = ZeroDivisionError("secret")
    with capture_logs() as logs:
        assert await counter.refused(SENSOR, "set", asked()) == ("internal-server-error", "", "")
    assert [entry["event"] for entry in logs] == ["question_failed"]
    reception_of(counter).failing = None
    await counter.ask(SENSOR, "set", asked())


# -- floods -------------------------------------------------------------------------------------------


class Waiting(PaperReception):
    """Answers nobody before it is told to."""

    __slots__ = ("gate", "most", "now")

    def __init__(self) -> None:
        super().__init__(PaperOffice(), {ANN: "ann"})
        self.gate = asyncio.Event()
        self.now = self.most = 0

    async def topics_for(self, asker: Subscriber, *, after: str = "", before: str | None = None, limit: int = 100) -> TopicPage:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.gate.wait()
        self.now -= 1
        return await PaperReception.topics_for(self, asker, after=after, before=before, limit=limit)


async def test_flood_of_one_platform_leaves_room_for_others() -> None:
    reception = Waiting()
    counter = Counter(reception)
    numbers = [counter.send(SENSOR, "get", disco(DISCO_ITEMS)) for _ in range(1000)]
    other = counter.send("honest@soc.example/1", "get", disco(DISCO_ITEMS))
    person = counter.send(f"{ANN}/x", "get", disco(DISCO_ITEMS))
    await asyncio.sleep(0)
    reception.gate.set()
    results = await asyncio.gather(*map(counter.reply, numbers), return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in results) == MAX_EACH
    assert str(results[-1]) == "refused with resource-constraint (too-many-questions)"
    await counter.reply(other)
    await counter.reply(person)
    assert reception.most == MAX_EACH + 2


async def test_flood_of_many_domains_does_not_keep_people_out() -> None:
    reception = Waiting()
    counter = Counter(reception)
    for domain in range(100):
        for user in range(10):
            counter.send(f"u{user}@d{domain}.example/x", "get", disco(DISCO_ITEMS))
    person = counter.send(f"{ANN}/x", "get", disco(DISCO_ITEMS))
    await asyncio.sleep(0)
    assert reception.most == MAX_TOGETHER + 1
    reception.gate.set()
    await counter.reply(person)


def test_one_domain_has_a_limit_of_its_own() -> None:
    crowd = Crowd()
    for number in range(MAX_DOMAIN):
        crowd.enter(read_subscriber(f"u{number}@evil.example"))
    with pytest.raises(TooManyQuestions):
        crowd.enter(read_subscriber("another@evil.example"))
    crowd.enter(read_subscriber("u@good.example"))


def test_crowd_remembers_nobody_who_has_left() -> None:
    crowd = Crowd()
    for number in range(1000):
        crowd.enter(asker := read_subscriber(f"u{number}@d{number}.example"))
        crowd.leave(asker)
    assert (crowd._count, len(crowd._each), len(crowd._domains)) == (0, 0, 0)


async def test_closing_lets_what_was_begun_come_to_its_end() -> None:
    reception = Waiting()
    counter = Counter(reception)
    number = counter.send(SENSOR, "get", disco(DISCO_ITEMS))
    closing = asyncio.create_task(counter.exchange.close())
    await asyncio.sleep(0)
    reception.gate.set()
    await closing
    await counter.reply(number)


# -- envelopes ----------------------------------------------------------------------------------------


async def test_anybody_may_hand_in_an_envelope_because_its_signature_speaks() -> None:
    counter = house()
    reception_of(counter).office.open(case := case_of("a@b.example"))
    ruling = await counter.ask(STRANGER, "set", write_envelope(b"signed"))
    assert (ruling.tag, ruling.get("case"), ruling.get("outcome")) == (f"{{{CLEARINGHOUSE}}}ruling", case.id, "granted")


async def test_who_brings_too_many_envelopes_has_none_of_their_signatures_checked() -> None:
    counter = house()
    assert await counter.refused(STRANGER, "set", write_envelope(b"forged")) == ("bad-request", "malformed-request", "")
    assert [each.full for each in reception_of(counter).brought] == [STRANGER]
    reception_of(counter).failing = RateLimited("too often", mend="wait")
    assert await counter.refused(STRANGER, "set", write_envelope(b"forged")) == ("policy-violation", "rate-limited", "")


async def test_refused_envelope_is_never_repeated() -> None:
    assert await house().refused(STRANGER, "set", write_envelope(b"forged")) == ("bad-request", "malformed-request", "")


WRONG_ENVELOPES = {"empty": "", "no base64": "a*b=", "no padding": "YWI", "urlsafe": "-_-_", "unicode": "\u0661" * 4}


@pytest.mark.parametrize("text", WRONG_ENVELOPES.values(), ids=WRONG_ENVELOPES.keys())
async def test_unreadable_envelope(text: str) -> None:
    assert await house().refused(STRANGER, "set", wrapped(ENVELOPE, text)) == ("bad-request", "malformed-request", "")


async def test_huge_envelope() -> None:
    envelope = write_envelope(b"x" * (MAX_ENVELOPE_BYTES + 3))
    assert await house().refused(STRANGER, "set", envelope) == ("policy-violation", "too-large", "")

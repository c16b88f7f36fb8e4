"""What stands behind the XMPP door: platforms that ask us themselves, and the people whom the settings name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import structlog

from clearinghouse.clearing.decision import Decision, Outcome, refuse
from clearinghouse.clearing.enforcement import WHITELIST
from clearinghouse.clearing.people import Office, Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import LOWEST, Door
from clearinghouse.errors import ClearinghouseError, PeerError, Unavailable
from clearinghouse.grid.reception import MAX_PAGE, PlatformAnswered, PlatformAsked, TopicPage, place_of
from clearinghouse.grid.topics import Subscriber, Topic
from clearinghouse.runtime.asking.effects import Effects
from clearinghouse.runtime.asking.questions import Asking, platform_request
from clearinghouse.runtime.asking.rates import Rates
from clearinghouse.runtime.asking.ruled import is_owed
from clearinghouse.runtime.asking.ruling import Bench
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.records.logkeeper import LogKeeper
from clearinghouse.runtime.standing.books import Books
from clearinghouse.runtime.topics.brokers import Register
from clearinghouse.runtime.topics.roles import READERS, SUBSCRIBE
from clearinghouse.settings import Settings
from clearinghouse.storage.changes import Noted
from clearinghouse.storage.store import Event

log = structlog.get_logger(__name__)

NOT_GRANTED: Final = "not-granted"
"""The one reason that strangers hear for whatever is not granted (rule R22)."""

TOLD: Final = frozenset({"granted", "pending"})
"""Reason codes that are told as they are: the outcome says as much."""

DISCOVERY_SECONDS: Final = 60.0
"""Between two events that say how often somebody has looked what there is."""

MAX_LOOKERS: Final = 1_000
"""Askers whose looks are counted at one time; the longest known is written down first."""

DISCOVER: Final = "discover"
CREATE: Final = "create"
RETRIEVE: Final = "retrieve"


class NoSuchTopic(PeerError):
    """The topic is not ours, or not to be had by asking us; only the log says so (rule R22)."""

    code: ClassVar[str] = "no-such-topic"


class BroaderEffect(PeerError):
    """A broker could not do what is granted without doing more than that (rule R5)."""

    code: ClassVar[str] = "broader-effect"


@dataclass(slots=True)
class _Looks:
    """How often somebody has looked, and saw how many topics, since *since* (seconds that never go back)."""

    since: float
    asked: int = 0
    shown: int = 0


@dataclass(slots=True)
class FrontDesk:
    """Implements `clearinghouse.grid.reception.Reception` for one component; ``voucher`` is the server that hosts it.

    ``adopt`` makes a topic ours to rule over; ``brokers`` are those that this component reaches.
    """

    office: Office
    bench: Bench
    books: Books
    effects: Effects
    register: Register
    logkeeper: LogKeeper
    rates: Rates
    settings: Settings
    chance: Chance
    voucher: str
    brokers: frozenset[str]
    adopt: Callable[[Asking], None]
    _looks: OrderedDict[str, _Looks] = field(default_factory=OrderedDict)

    def person(self, jid: str) -> Speaker | None:
        """See `Reception.person`."""
        found = self.settings.person_of(f"xmpp:{jid}")
        return None if found is None else Speaker(found.name, (f"xmpp:{jid}",), Door.CHAT, self.voucher)

    def paced(self, asker: Subscriber) -> None:
        """See `Reception.paced`."""
        self.rates.take(asker.bare, asker.domain)

    async def platform_asked(self, asked: PlatformAsked) -> PlatformAnswered:
        """See `Reception.platform_asked`."""
        self.rates.take(asked.asker.bare, asked.asker.domain)
        asking = self._asking(asked)
        if asking is None:
            decision = await self._unknown(asked)
        else:
            decision = await self._decided(replace(asked, vouched_by=self.voucher), asking)
        granted = decision.outcome is Outcome.GRANTED  # the record says why not, and what policy saw of the topic
        receipt = await self.logkeeper.receipt(decision.id, opened=granted) if asked.receipt else b""
        return _told(decision, receipt)

    async def topics_for(self, asker: Subscriber, *, after: str = "", before: str | None = None, limit: int = MAX_PAGE) -> TopicPage:
        """See `Reception.topics_for`."""
        self.rates.take(asker.bare, asker.domain)
        every = sorted(self.register.at(self.brokers), key=lambda each: place_of(each.topic))
        if before is None:
            candidates = [each for each in every if place_of(each.topic) > after]
        else:
            candidates = [each for each in reversed(every) if not before or place_of(each.topic) < before]
        found, complete = self._visible(asker, candidates, limit)
        await self._looked(asker, len(found))
        return TopicPage(tuple(found if before is None else reversed(found)), complete)

    def _visible(self, asker: Subscriber, candidates: list[Asking], limit: int) -> tuple[list[Topic], bool]:
        """Return at most *limit* topics that *asker* may discover, and whether no more come after them."""
        found: list[Topic] = []
        for asking in candidates:
            if self._discovers(asker, asking):
                if len(found) == limit:
                    return found, False
                found.append(asking.topic)
        return found, True

    def _discovers(self, asker: Subscriber, asking: Asking) -> bool:
        """Ask policy; raises `Unavailable` where there is no answer, since a shorter list would be a wrong one."""
        asked = PlatformAsked(DISCOVER, asking.topic.broker, asking.topic.node, asker)
        decision = self.bench.ruled(platform_request(asked, asking, self.chance.new_id()))
        if decision.outcome is Outcome.UNANSWERED:
            raise Unavailable("the topics cannot be listed now", mend="ask again later")
        return decision.outcome is Outcome.GRANTED

    def _asking(self, asked: PlatformAsked) -> Asking | None:
        """Return the topic that is asked for, or that would be made; ``None`` where it cannot be had (rule R22).

        Where subscriptions are approved one by one, whoever wants one asks the broker.
        """
        known = self.register.askings.get((asked.broker, asked.topic))
        if asked.broker not in self.brokers or (known is None) != (asked.operation == CREATE):
            return None
        if known is None and self.register.has(asked.topic):
            return None
        if known is not None:
            return known if asked.operation not in READERS or known.topic.access_model == WHITELIST else None
        return Asking(Topic(asked.broker, asked.topic, asked.payload_type, asked.title), self.voucher)

    async def _unknown(self, asked: PlatformAsked) -> Decision:
        """Refuse on the record as somebody who may not: nobody learns here, or from a receipt, what there is."""
        asking = Asking(Topic(asked.broker, asked.topic, asked.payload_type, asked.title), self.voucher)
        return await self._refused(asked, asking, NoSuchTopic("no topic of ours that could be asked for in this way", mend="ask about one"))

    async def _refused(self, asked: PlatformAsked, asking: Asking, error: PeerError) -> Decision:
        request = replace(platform_request(asked, asking, self.chance.new_id()), place=None)
        version, now = self.bench.desk.snapshot.version, self.chance.now()
        decision = refuse(self.chance.new_id(), request, error, value=LOWEST, version=version, now=now)
        await self.bench.desk.ledger.record(decision)
        return decision

    def _only_retrieves(self, asked: PlatformAsked, asking: Asking) -> bool:
        """Whether policy might let *asked* retrieve items, and does not let the platform subscribe (rule R5)."""
        if asked.operation != RETRIEVE:
            return False
        other = platform_request(replace(asked, operation=SUBSCRIBE), asking, self.chance.new_id())
        return self.bench.ruled(other).outcome is not Outcome.GRANTED

    async def _decided(self, asked: PlatformAsked, asking: Asking) -> Decision:
        if self._only_retrieves(asked, asking):
            mend = "let policy grant `subscribe` as well, or keep what may be retrieved in a topic of its own"
            return await self._refused(asked, asking, BroaderEffect("who may retrieve here could subscribe as well", mend=mend))
        request = platform_request(asked, asking, self.chance.new_id())
        try:
            decision = await self.bench.cleared(request)
        except Unavailable:
            raise
        except ClearinghouseError:  # such as a name that was taken meanwhile: what was granted cannot be had
            await self._give_up(request)
            raise
        if decision.outcome is Outcome.GRANTED and asked.operation == CREATE:
            self.adopt(asking)
        if is_owed(decision):
            await self.effects.settle(decision, None)
        return decision

    async def _give_up(self, request: Request) -> None:
        ruled = None if request.place is None else self.effects.memory.at(request.place)
        if ruled is not None and ruled.decision.request.id == request.id:
            await self.effects.drop(ruled.decision)

    async def _looked(self, asker: Subscriber, shown: int) -> None:
        """Count a look; one event for each asker and minute says how many there were."""
        now = self.chance.elapsed()
        looks = self._looks.setdefault(asker.bare, _Looks(now))
        looks.asked, looks.shown = looks.asked + 1, max(looks.shown, shown)
        over = [jid for jid, each in self._looks.items() if now - each.since >= DISCOVERY_SECONDS]
        while len(self._looks) - len(over) > MAX_LOOKERS:
            over.append(next(jid for jid in self._looks if jid not in over))
        for jid in over:
            await self._write_down(jid, self._looks.pop(jid))

    async def flush(self) -> None:
        """Write down every look that was counted."""
        while self._looks:
            jid, looks = self._looks.popitem(last=False)
            await self._write_down(jid, looks)

    async def _write_down(self, jid: str, looks: _Looks) -> None:
        detail: Mapping[str, object] = {"jid": jid, "asked": looks.asked, "shown": looks.shown}
        try:
            await self.books.write(Noted(Event(self.chance.now(), "topics-listed", detail)))
        except ClearinghouseError as error:
            log.warning("looks_not_recorded", reason=error.message, mend=error.mend)


def _told(decision: Decision, receipt: bytes) -> PlatformAnswered:
    """Return what a platform hears: of a refusal nothing but that it is one (rule R22)."""
    if decision.outcome is Outcome.UNANSWERED:
        raise Unavailable("this cannot be decided now", mend="ask again later")
    code = decision.reason.code if decision.reason.code in TOLD else NOT_GRANTED
    return PlatformAnswered(decision.id, decision.outcome.value, decision.value, code, decision.until, receipt)

"""What the site itself says about a domain for a time, whatever the table says; it needs no network.

A *deny* needs no key: whoever may use the state directory may shut a domain out.  An *allow* is signed by keys of the
site, and counts while the site's own policy (group `override`) lets those who signed it.  Both end by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

import structlog

from clearinghouse.agent.applying.shorthand import OVERRIDE
from clearinghouse.agent.home.keeping import StateDirectory, StateUnavailable
from clearinghouse.clearing.dsse import REQUEST, Envelope, opened
from clearinghouse.clearing.envelope import Asked, Replayed, read_asked
from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request, signers
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import OPERATIONS, Door, shown
from clearinghouse.clearing.wire import read_stamp, stamp
from clearinghouse.errors import ClearinghouseError, MalformedRequest, PeerError, TooLarge
from clearinghouse.federation.enforced.image import Grant
from clearinghouse.federation.names import normal
from clearinghouse.keynote import Admissions, Budget, Limits, encoding
from clearinghouse.keynote.encoding import Encoding

log = structlog.get_logger(__name__)

FILE: Final = "overrides.json"

MAX_OVERRIDES: Final = 1_000
"""Overrides that hold together: more is a policy, and belongs into the folder."""

LONGEST: Final = timedelta(days=31)
"""Of one override: what lasts longer is no emergency."""

MAX_REASON: Final = 120
"""Characters of a reason, which stands in errors that users see."""

REMEMBERED: Final = timedelta(days=30)
"""How long an override is listed that has ended."""

_VALUES: Final = OPERATIONS[OVERRIDE].values or ()


class Action(StrEnum):
    """What an override does."""

    ALLOW = "allow"
    DENY = "deny"


class OverrideRefused(PeerError):
    """The site's own policy does not let those who signed override it so."""

    code: ClassVar[str] = "override-refused"
    http_status: ClassVar[int] = 403
    stanza_condition: ClassVar[str] = "forbidden"


class NoSuchOverride(PeerError):
    """No override that holds has an id that begins so, or several have."""

    code: ClassVar[str] = "no-such-override"
    http_status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class Override:
    """One override; ``envelope`` is what was signed, empty for a deny.  ``by`` are keys, or a user of this machine."""

    id: str
    action: Action
    domain: str
    since: datetime
    until: datetime
    reason: str
    by: tuple[str, ...]
    envelope: bytes = field(default=b"", repr=False)
    ended: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Say whether its time is now."""
        return self.ended is None and self.since <= now + _SLEW and now < self.until

    def as_json(self) -> dict[str, Any]:
        """Return it as the members of JSON."""
        return {
            "id": self.id,
            "action": self.action.value,
            "domain": self.domain,
            "since": stamp(self.since),
            "until": stamp(self.until),
            "reason": self.reason,
            "by": list(self.by),
            "ended": None if self.ended is None else stamp(self.ended),
        }


@dataclass(slots=True)
class Overrides:
    """The overrides of the server of *domain*; *snapshot* gives what the site believes.

    Whoever is in ``heard`` is told of each change, with what happened and the override.
    """

    domain: str
    community: str
    state: StateDirectory
    now: Callable[[], datetime]
    snapshot: Callable[[], Snapshot]
    heard: list[Callable[[str, Override], None]] = field(default_factory=list)
    _all: dict[str, Override] = field(default_factory=dict)

    def restore(self) -> None:
        """Take back what the state directory has; one that is not right takes no other along, above all no denial."""
        found = (self.state.read_json(FILE) or {}).get("overrides", ())
        for each in found if isinstance(found, list) else ():
            try:
                made = _read(each, self.domain)
            except (ValueError, KeyError, TypeError, ClearinghouseError) as error:
                log.error("override_not_read", reason=str(error)[:MAX_REASON], mend="give it again: it does not count")  # noqa: TRY400 - see above
            else:
                self._all[made.id] = made

    # -- what holds

    def every(self) -> tuple[Override, ...]:
        """Return all that are remembered, oldest first."""
        return tuple(self._all.values())

    def listed(self) -> list[dict[str, Any]]:
        """Return all that are remembered as JSON, with whether each holds now."""
        now = self.now()
        return [each.as_json() | {"holds": each.holds(now)} for each in self._all.values()]

    def denied(self, domain: str, now: datetime | None = None) -> bool:
        """Say whether *domain* is shut out now."""
        return domain in self.denials(now or self.now())

    def denials(self, now: datetime) -> Mapping[str, Override]:
        """Return the denials that hold, by domain."""
        return {each.domain: each for each in self._all.values() if each.action is Action.DENY and each.holds(now)}

    def grants(self, now: datetime) -> Iterator[Grant]:
        """Yield what the server is told of the permissions that hold; a denial of the same domain is stronger."""
        denied = self.denials(now)
        for each in self._all.values():
            if each.action is Action.ALLOW and each.holds(now) and each.domain not in denied and self._is_licensed(each):
                yield Grant(f"override-{each.id}", each.domain, int(each.until.timestamp()), decision=f"override {each.id}")

    def next_end(self, now: datetime) -> datetime | None:
        """Return when the next of them ends by itself."""
        return min((each.until for each in self._all.values() if each.holds(now)), default=None)

    # -- what changes

    def deny(self, domain: str, period: timedelta, reason: str, by: str) -> Override:
        """Shut *domain* out for *period*; raises `MalformedRequest`, `StateUnavailable`."""
        now = self.now()
        identity = hashlib.sha256(f"{domain} {stamp(now)} {by}".encode()).hexdigest()[:_ID]
        return self._add(Override(identity, Action.DENY, normal(domain), now, _until(now, period), _reason(reason), (by,)))

    def allow(self, raw: bytes) -> Override:
        """Let in what the envelope *raw* says, in these steps: its signatures and form, its age, whether it came before, policy.

        Raises what `opened` and `read_asked` raise, `Replayed`, `MalformedRequest`, `OverrideRefused`, `StateUnavailable`.
        """
        now, envelope = self.now(), opened(raw, payload_type=REQUEST)
        asked = read_asked(envelope, audience=self.domain, now=now)
        identity = _id_of(envelope)
        if identity in self._all:
            raise Replayed("the override was taken already", mend="sign a new one")
        made = self._signed(asked, envelope, identity)
        if not self._is_licensed(made):
            mend = "sign it with the site's key, `override_keys` in the agent's settings, or ask for less"
            raise OverrideRefused(f"policy does not let these keys admit `{made.domain}`", mend=mend)
        return self._add(replace(made, envelope=raw))

    def withdraw(self, prefix: str, by: str) -> Override:
        """End one before its time; raises `NoSuchOverride`, `StateUnavailable`."""
        now = self.now()
        found = [each for each in self._all.values() if prefix and each.id.startswith(prefix) and each.holds(now)]
        if len(found) != 1:
            mend = "`clearinghouse agent override list` has their ids"
            raise NoSuchOverride(f"{len(found) or 'no'} overrides that hold begin so", mend=mend)
        ended = replace(found[0], ended=now)
        self._put("override-withdrawn", ended, by, closes=ended.action is Action.ALLOW)
        return ended

    def _add(self, made: Override) -> Override:
        now = self.now()
        if sum(each.holds(now) for each in self._all.values()) >= MAX_OVERRIDES:
            raise TooLarge("there are too many overrides", mend="withdraw some, or change the policy")
        self._put("override", made, ", ".join(made.by), closes=made.action is Action.DENY)
        return made

    def _put(self, what: str, changed: Override, by: str, *, closes: bool) -> None:
        """What opens counts once it is durable; what *closes* counts at once, though a full disk would have a restart forget it."""
        now = self.now()
        kept = {name: each for name, each in self._all.items() if (each.ended or each.until) > now - REMEMBERED} | {changed.id: changed}
        try:
            self.state.write_json(FILE, {"overrides": [_written(each) for each in kept.values()]})
        except StateUnavailable as error:
            if not closes:
                raise
            self._all = kept
            self._tell(what, changed, by)
            raise StateUnavailable(f"this counts, and a restart would forget it: {error.message}", mend=error.mend) from None
        self._all = kept
        self._tell(what, changed, by)

    def _tell(self, what: str, override: Override, by: str) -> None:
        told = {"id": override.id, "action": override.action.value, "domain": override.domain, "until": stamp(override.until)}
        log.warning(what.replace("-", "_"), **told, by=by, reason=override.reason)
        for each in self.heard:
            each(what, override)

    # -- what is signed

    def _signed(self, asked: Asked, envelope: Envelope, identity: str) -> Override:
        body = dict(asked.body)
        wrong = asked.kind != OVERRIDE or body.keys() != {"action", "domain", "seconds", "reason"} or body["action"] != Action.ALLOW
        if wrong or not body["seconds"].isascii() or not body["seconds"].isdecimal() or len(body["seconds"]) > _DIGITS:
            raise MalformedRequest("the envelope is no override", mend="make it with `clearinghouse agent override allow`")
        period = timedelta(seconds=int(body["seconds"]))
        domain, until, reason = normal(body["domain"]), _until(asked.issued, period), _reason(body["reason"])
        return Override(identity, Action.ALLOW, domain, asked.issued, until, reason, envelope.signers)

    def _is_licensed(self, override: Override) -> bool:
        """Ask the site's policy, now as at any time: a key that is revoked meanwhile takes its overrides along."""
        claims = {"domain": override.domain, "to_domain": self.domain}
        seconds = int((override.until - override.since).total_seconds())
        try:
            request = Request(override.id, OVERRIDE, Door.ENVELOPE, signers(override.by), claims=claims, validity=seconds)
            facts = gather(request, community=self.community, now=self.now())
            limits = Limits.local()
            proven = prove(facts, self.snapshot(), _VALUES, credentials=(), admissions=_NONE, budget=Budget(limits.steps), limits=limits)
        except ClearinghouseError as error:
            log.warning("override_not_judged", id=override.id, reason=error.message)
            return False
        return proven.flaw is None and proven.proof.value == _VALUES[-1]


_SLEW: Final = timedelta(seconds=2)
_ID: Final = 16
_DIGITS: Final = 9
_NONE: Final = Admissions(1)


def body_of(domain: str, period: timedelta, reason: str) -> dict[str, str]:
    """Return the body of the request that asks to admit *domain*; its kind is `OVERRIDE`, its audience our own domain."""
    return {"action": Action.ALLOW, "domain": normal(domain), "seconds": f"{period.total_seconds():.0f}", "reason": _reason(reason)}


def _until(since: datetime, period: timedelta) -> datetime:
    if not timedelta(seconds=1) <= period <= LONGEST:
        raise MalformedRequest(f"an override for {period} is asked for", mend=f"take 1 second to {LONGEST.days} days")
    return since + period


def _reason(text: str) -> str:
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise MalformedRequest("the override has no usable reason", mend=f"say why in 1 to {MAX_REASON} printable characters")
    return text


def _id_of(envelope: Envelope) -> str:
    """Return the same id for the same payload, whoever signs it once more."""
    return hashlib.sha256(envelope.payload).hexdigest()[:_ID]


def _written(override: Override) -> dict[str, Any]:
    return {**override.as_json(), "envelope": encoding.encode(override.envelope, Encoding.BASE64)}


def _read(found: Mapping[str, Any], audience: str) -> Override:
    """Read what `_written` wrote; of a permission all that counts is read from the envelope again."""
    ended = None if found["ended"] is None else read_stamp(found["ended"])
    made = Override(
        id=str(found["id"]),
        action=Action(found["action"]),
        domain=normal(found["domain"]),
        since=read_stamp(found["since"]),
        until=read_stamp(found["until"]),
        reason=str(found["reason"]),
        by=tuple(map(str, found["by"])),
        envelope=encoding.decode(found["envelope"], Encoding.BASE64),
        ended=ended,
    )
    if made.action is Action.ALLOW and not _is_as_signed(made, audience):
        raise ValueError(f"override {shown(made.id)} is not what was signed")
    return made


def _is_as_signed(made: Override, audience: str) -> bool:
    """Say whether the signatures hold, and say what the record says: the file alone admits nobody."""
    try:
        envelope = opened(made.envelope, payload_type=REQUEST)
        asked = read_asked(envelope, audience=audience, now=made.since)
    except ClearinghouseError:
        return False
    until = asked.issued + timedelta(seconds=int(asked.body.get("seconds", "0")))
    told = (asked.body.get("domain"), asked.issued, until, envelope.signers, _id_of(envelope))
    return told == (made.domain, made.since, made.until, made.by, made.id)

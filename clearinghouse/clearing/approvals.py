"""Approvals: whose count, what is asked about them, and what the desk signs then (rules R2 to R4 and R10; pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, islice
from typing import Final

from clearinghouse.clearing.cases import Approval, Case
from clearinghouse.clearing.desk_texts import DeskText, NoDeskText, check, pins_of, requesters_of
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.request import LOCAL_USER, Request
from clearinghouse.clearing.vocabulary import EVERYTHING, Door
from clearinghouse.keynote import Admitted, Proof
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.licensees import Quorum, principals
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import is_key, normalise

__all__ = ["NoDeskText", "about", "approve_request", "asked_by", "check_desk_text", "contributes", "counted", "desk_text", "reaches"]


MAX_CROWDS: Final = 256
"""Sets of approvers tried for one assertion; 2-of-60, the largest consortium policy known to us, has 59 for each of them."""


def counted(case: Case, approvals: Iterable[Approval], requester_people: Collection[str]) -> tuple[Approval, ...]:
    """Return the approvals that count for *case*, each with the principals that count (rules R3 and R10).

    One person counts once, the first time, and with one key however many they signed with.  Nobody counts
    who asked: *requester_people* are the persons behind the request.  A JID counts where the same host
    vouches for it that vouches for the requester: its word suffices for effects at that host alone.
    """
    found: dict[str, Approval] = {}
    for approval in approvals:
        brought = tuple(_counting(case, approval))
        if brought and approval.person not in requester_people and not _is_requester(case, approval):
            found.setdefault(approval.person, replace(approval, principals=brought))
    return tuple(found.values())


def _counting(case: Case, approval: Approval) -> Iterator[str]:
    """Yield the principals that the door of *approval* can vouch for, as far as that host's word goes."""
    match approval.door:
        case Door.ENVELOPE:
            yield from [name for name in approval.principals if is_key(normalise(to_octets(name)))][:1]
        case Door.OPERATOR:
            yield from (name for name in approval.principals if name.startswith(LOCAL_USER))
        case Door.CHAT if approval.vouched_by and approval.vouched_by == case.request.observed.get("vouched_by"):
            yield from [name for name in approval.principals if name.startswith("xmpp:")][:1]  # not its domain, which is no second asker
        case _:
            return


def _is_requester(case: Case, approval: Approval) -> bool:
    """Say whether an approver is the requester by name; to be of the same domain is no matter."""
    asking = {normalise(to_octets(name)) for name in case.request.requesters if not name.startswith("xmpp-member:")}
    return not asking.isdisjoint(normalise(to_octets(name)) for name in approval.principals)


# -- questions ----------------------------------------------------------------------------------------


def about(request: Request, identity: str) -> dict[str, str]:
    """Return what a question about the case or grant *identity*, which is of *request*, says: parameters of group `people`."""
    said = {**request.claims, **request.observed}
    values = {"subject": said.get("jid", ""), "topic": said.get("topic", ""), "broker": said.get("broker", "")}
    return {name: value for name, value in {**values, "case": identity, "asked": request.operation}.items() if value}


def approve_request(case: Case, approvals: Iterable[Approval], identity: str) -> Request:
    """Return the question whether all who have approved *case* may do so together (rule R3); *approvals* are `counted`."""
    names = tuple(dict.fromkeys(name for approval in approvals for name in approval.principals))
    return Request(identity, "approve", Door.DESK, names, claims=about(case.request, case.id))


def asked_by(who: Speaker, operation: str, identity: str, *, of: Request | None = None, thing: str = EVERYTHING) -> Request:
    """Return the question whether *who* may `revoke`, `administer` or `explain`; *identity* names the question.

    *of* is the request of the case or grant that it is about, whose id is *thing*; for `administer`, *thing* is
    the id of a credential or a key.  Where the speaker's name rests on a host's word that does not reach so far
    (`reaches`), nobody asks, and the answer is no.
    """
    claims = about(of, thing) if of is not None else {"case": thing}
    seen = {"vouched_by": who.vouched_by} if who.door is Door.CHAT else {}
    names = who.principals if reaches(who, of) else ()
    return Request(identity, operation, who.door, names, observed=seen, claims=claims)


def reaches(who: Speaker, of: Request | None) -> bool:
    """Say whether it is known well enough *who* speaks: a chat's host vouches for what is enforced at that host (rule R10).

    *of* is the request of a case or grant; ``None`` is what no single host enforces, such as a credential.
    """
    return who.door is not Door.CHAT or (of is not None and bool(who.vouched_by) and of.observed.get("vouched_by") == who.vouched_by)


def contributes(proof: Proof, names: Iterable[str]) -> bool:
    """Say whether some assertion would count *names*, though others may have to approve as well.

    *proof* is of the `approve` query with their approval; whoever does not contribute has no right to approve.
    """
    ours = frozenset(normalise(to_octets(name)) for name in names)
    reached = (each for each in proof.reached if not ours.isdisjoint(_licensees(each.assertion)))
    return any(each.level > 0 or _holds_for_more(proof.context, each.assertion, ours) for each in reached)


def _licensees(assertion: Admitted) -> Iterator[str]:
    return iter(()) if assertion.trusted_by is None else principals(assertion.trusted_by)


def _holds_for_more(context: Context, assertion: Admitted, ours: frozenset[str]) -> bool:
    """Say whether *assertion* holds once enough others ask as well: it may test that several do so in person (rule R13)."""
    for crowd in islice(_crowds(assertion, ours), MAX_CROWDS):
        more = Context(tuple(sorted(crowd)), context.action, context.scale, context.limits, context.budget)
        context.budget.spend(assertion.cost)
        if assertion.function is None or assertion.function(more, assertion.constants) > 0:
            return True
    return False


def _crowds(assertion: Admitted, ours: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield who might ask together: everybody who is licensed, and for K-of each smallest number of them."""
    named = frozenset(_licensees(assertion))
    yield named
    if isinstance(assertion.trusted_by, Quorum):
        others = sorted(named - ours)
        yield from (ours & named | {*some} for some in combinations(others, min(len(others), assertion.trusted_by.k - 1)))


# -- what the desk signs ------------------------------------------------------------------------------


def desk_text(case: Case, *, desk: str, until: datetime, serial: str, community: str = "") -> bytes:
    """Return the unsigned approval of *case* by the key *desk*, good until *until* (rule R4).

    It pins the requesters and every attribute of the request, and *community* where it is given; it names
    the case and the digest of what the approvers were shown.  Long names make it longer than what strangers
    may hand in, so sign it with ``limits=Limits.local()``.  Raises `NoDeskText` and `FactMissing`.
    """
    end = until.astimezone(UTC).replace(microsecond=0)
    asking, pins = requesters_of(case.request), pins_of(case.request, community)
    return DeskText(desk, asking, pins, end, case.id, case.digest(), serial).written()


def check_desk_text(text: bytes, desk: str, *, now: datetime, longest: timedelta) -> None:
    """Raise `NoDeskText` unless *text* is exactly what `desk_text` writes for *desk*, and ends within *longest* of *now*.

    This is all that the desk's own process knows of approvals: it signs nothing else.
    """
    check(text, desk, now=now, longest=longest)

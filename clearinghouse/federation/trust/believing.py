"""From bytes to the next state, or to the refusal that an attack deserves: one function for each document (pure).

Each goes through the same numbered steps, the cheap ones first, and nothing is parsed that was not bounded:
1. size; 2. envelope and payload; 3. whose it is: community, audience, epoch; 4. who signed, by KeyNote query;
5. when: not from the future, not over; 6. which: no older one, and the one that the timestamp names; 7. content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.clearing.dsse import REVOCATIONS, ROOT, TABLE, TIMESTAMP, Envelope, opened
from clearinghouse.clearing.envelope import LivesTooLong
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import stamp
from clearinghouse.federation.published import deltas, members, revocations, roots, tables, timestamps
from clearinghouse.federation.published.documents import (
    MAX_CONTENT_BYTES,
    MAX_DELTA_BYTES,
    MAX_HEAD_BYTES,
    MAX_REVOCATIONS_BYTES,
    MAX_ROOT_BYTES,
    check_size,
    digest,
    parted,
)
from clearinghouse.federation.published.refusals import (
    ContentMismatch,
    DeltaOutOfPlace,
    DocumentNotYet,
    Equivocation,
    ForeignSigner,
    MalformedDocument,
    MemberRollback,
    MixedDocuments,
    NotApprovedByNewRoots,
    NotApprovedByOldRoots,
    NothingNamed,
    NotThePinnedRoot,
    RevocationsExpired,
    RevocationsRollback,
    RootBehind,
    RootExpired,
    RootGap,
    RootRollback,
    TableExpired,
    TableRollback,
    TimestampExpired,
    TimestampRollback,
    TooFewSigners,
    WrongCommunity,
    WrongEpoch,
    WrongView,
)
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.published.rows import Rows
from clearinghouse.federation.published.tables import Head, Table
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.federation.trust.state import (
    Recorded,
    Revoked,
    Stamped,
    State,
    Tabled,
    enrolled_of,
    without_what_is_gone,
)
from clearinghouse.keynote.principals import is_key

SKEW: Final = timedelta(seconds=30)
"""What a publisher's clock may be ahead of ours; documents live for minutes at least, and hosts with NTP are within 0.1 s."""

LONGEST_TIMESTAMP: Final = timedelta(days=7)
"""From issue to expiry of a timestamp: minutes where there is a network, a courier's week where there is none."""


# -- root metadata ------------------------------------------------------------------------------------------


def pinned(raw: bytes, pin: str, audience: str, community: str, now: datetime) -> State:
    """Return the first state: root metadata whose payload has the digest *pin*, and which its own policy allows."""
    root, envelope = _root(raw)
    if digest(envelope.payload) != pin:
        raise NotThePinnedRoot("this is other root metadata than was pinned", mend="compare the digest with what the roots told you")
    if community and root.community != community:
        raise _other_community(root.community, community)
    rights = Entitlement.of(root)
    _check_roots(rights, envelope, now, NotApprovedByNewRoots)
    return State(audience, (raw,), rights, root.issued)  # our own clock, which may be years ahead, proves nothing yet


def next_root(state: State, raw: bytes, now: datetime) -> State:
    """Return the state under the next generation; one that has expired is passed through on the way to the newest.

    Where the epoch goes up a key was stolen: timestamp, table, revocations and members of before are forgotten,
    so that no version that a thief chose stands in the way (TUF: fast-forward recovery).
    """
    root, envelope = _root(raw)
    old = state.rights.root
    if root.community != old.community:
        raise _other_community(root.community, old.community)
    if root.generation <= old.generation or root.epoch < old.epoch:
        raise RootRollback(f"generation {root.generation} of epoch {root.epoch} is not above ours", mend=_again("root metadata"))
    if root.generation != old.generation + 1:
        raise RootGap(f"this is generation {root.generation}, and ours is {old.generation}", mend="fetch each generation in turn")
    rights = Entitlement.of(root)
    _check_roots(state.rights, envelope, now, NotApprovedByOldRoots)
    _check_roots(rights, envelope, now, NotApprovedByNewRoots)
    _check_issued(root.issued, now)
    chain = (*state.roots, raw)
    if root.epoch > old.epoch:
        return State(state.audience, chain, rights, state.seen)
    revoked = state.revoked
    if revoked is not None:
        if rights.allows("publish-revocations", revoked.signers, now=now):
            rights = rights.less(revoked.revocations)
        else:
            revoked = None
    return without_what_is_gone(replace(state, roots=chain, rights=rights, revoked=revoked), now=now)


def _root(raw: bytes) -> tuple[Root, Envelope]:
    check_size(raw, MAX_ROOT_BYTES, "the root metadata")
    envelope = opened(raw, payload_type=ROOT, most=MAX_ROOT_BYTES)
    return roots.read_payload(envelope.payload), envelope


def _check_roots(
    rights: Entitlement, envelope: Envelope, now: datetime, refusal: type[NotApprovedByOldRoots | NotApprovedByNewRoots]
) -> None:
    """Ask the policy of one generation whether those who signed may publish root metadata."""
    if not rights.allows("publish-root", envelope.signers, now=now):
        text = f"{len(envelope.signers)} signed, and generation {rights.root.generation} does not license them for that"
        raise refusal(text, mend="have the roots sign it that the policy of both generations wants")


# -- timestamp ----------------------------------------------------------------------------------------------


def next_timestamp(state: State, raw: bytes, now: datetime) -> State:
    """Return the state in which *raw* says what is the newest; raises `RootBehind` where root metadata comes first."""
    check_size(raw, MAX_HEAD_BYTES, "the timestamp")
    envelope = opened(raw, payload_type=TIMESTAMP, most=MAX_HEAD_BYTES)
    found = timestamps.read_payload(envelope.payload)
    root = state.rights.root
    _check_place(state, found.community, found.audience)
    if found.root > root.generation:
        raise RootBehind(
            f"the timestamp is of root generation {found.root}, and ours is {root.generation}", mend="fetch the next one first"
        )
    _check_epoch(state, found.epoch)
    if root.expires <= now:
        raise RootExpired(f"the root metadata expired at {stamp(root.expires)}", mend="have the roots sign the next generation")
    state.rights.check("publish-timestamp", envelope.signers, now=now, audience=state.audience)
    _check_issued(found.issued, now)
    if found.expires - found.issued > LONGEST_TIMESTAMP:
        raise LivesTooLong(
            f"the timestamp lives for {found.expires - found.issued}", mend=f"at most {LONGEST_TIMESTAMP.days} days are allowed"
        )
    if found.expires <= now:
        raise TimestampExpired(f"the timestamp expired at {stamp(found.expires)}", mend=_again("timestamp"))
    _check_not_older(state, found)
    return replace(state, stamped=Stamped(found, raw, envelope.signers), seen=max(state.seen, now))


def _check_not_older(state: State, found: Timestamp) -> None:
    """Refuse what is behind what was believed before, in any of its numbers, and other things of the same number."""
    before = state.named
    if found.root < state.rights.root.generation:
        raise TimestampRollback(f"the timestamp is of root generation {found.root}, which is over", mend=_again("timestamp"))
    if before is not None and found.issued < before.issued:
        raise TimestampRollback(f"the timestamp was issued before the one of {stamp(before.issued)}", mend=_again("timestamp"))
    tabled = state.tabled.table if state.tabled is not None else None
    _check_number(found.version, found.head, [(each.version, each.head) for each in (before,) if each], "table")
    _check_number(found.version, found.head, [(each.head.version, each.digest) for each in (tabled,) if each], "table")
    named = (found.revocations, found.revocations_digest)
    _check_number(*named, [(each.revocations, each.revocations_digest) for each in (before,) if each], "revocation set")
    _check_number(*named, [(each.revocations.version, each.digest) for each in (state.revoked,) if each], "revocation set")


def _check_number(number: int, named: str, known: list[tuple[int, str]], what: str) -> None:
    for before, digest_before in known:
        if number < before:
            raise TimestampRollback(
                f"the timestamp names version {number} of the {what}, and {before} was the newest", mend=_again("timestamp")
            )
        if number == before and named != digest_before:
            raise Equivocation(f"there are two versions {number} of the {what}", mend=_FORK)


# -- revocations --------------------------------------------------------------------------------------------


def next_revocations(state: State, raw: bytes, now: datetime) -> State:
    """Return the state less everything that the named revocation set takes away; what rested on it goes with it."""
    named = _named(state, now)
    check_size(raw, MAX_REVOCATIONS_BYTES, "the revocation set")
    envelope = opened(raw, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES)
    found = revocations.read_payload(envelope.payload)
    _check_place(state, found.community, state.audience)
    _check_epoch(state, found.epoch)
    state.rights.check("publish-revocations", envelope.signers, now=now)
    _check_issued(found.issued, now)
    _check_named(found.version, digest(envelope.payload), (named.revocations, named.revocations_digest), RevocationsRollback)
    if found.expires <= now:
        raise RevocationsExpired(f"the revocation set expired at {stamp(found.expires)}", mend=_again("revocation set"))
    if state.revoked is not None and (undone := _for_good(state.revoked.revocations) - _for_good(found)):
        raise RevocationsRollback(f"the revocation set leaves out {len(undone)} that were revoked for good", mend=_again("revocation set"))
    return _revoked(state, found, envelope, raw, now)


def _for_good(revocations: RevocationSet) -> set[tuple[str, str]]:
    """Return what stays revoked as long as the epoch lasts: credentials and keys; names of users may be lifted (rule R15)."""
    lists = {"credentials": revocations.credentials, "principals": revocations.principals, "below": revocations.below}
    return {(kind, each) for kind, names in lists.items() for each in names if kind == "credentials" or is_key(each)}


def _revoked(state: State, found: RevocationSet, envelope: Envelope, raw: bytes, now: datetime) -> State:
    revoked = Revoked(found, digest(envelope.payload), raw, envelope.signers)
    rights = state.rights.less(found)
    return without_what_is_gone(replace(state, rights=rights, revoked=revoked), now=now)


# -- members ------------------------------------------------------------------------------------------------


def next_members(state: State, raw: bytes, now: datetime) -> State:
    """Return the state with the members in the named list, each of whose records the registrar signed."""
    named = _named(state, now)
    check_size(raw, named.members_size, "the list of members")
    if digest(raw) != named.members_digest:
        raise MixedDocuments("this is another list of members than the timestamp names", mend=_again("list of members"))
    known, found = state.enrolled.records, {}
    for record in members.unlisted(raw, named.members_size):
        found[record] = known.get(record) or _recorded(state, record, now)
    if len({each.member.domain for each in found.values()}) != len(found):
        raise MalformedDocument("the list of members has a domain twice", mend=_again("list of members"))
    return replace(state, enrolled=enrolled_of(named.members_digest, found, _serials(state, found)))


def _recorded(state: State, record: bytes, now: datetime) -> Recorded:
    envelope = members.envelope_of(record)
    member = members.read_payload(envelope.payload)
    _check_place(state, member.community, state.audience)
    state.rights.check("publish-member", envelope.signers, now=now, member=member.domain)
    _check_issued(member.issued, now)
    return Recorded(member, digest(envelope.payload), envelope.signers)


def _serials(state: State, found: Mapping[bytes, Recorded]) -> dict[str, tuple[int, str]]:
    """Return the highest serial of each domain; raises `MemberRollback` and `Equivocation`."""
    serials = dict(state.enrolled.serials)
    for each in found.values():
        serial, before = serials.get(each.member.domain, (0, ""))
        if each.member.serial < serial:
            raise MemberRollback(
                f"the record of `{each.member.domain}` has serial {each.member.serial}, and {serial} was known", mend=_MEMBER
            )
        if each.member.serial == serial and each.digest != before:
            raise Equivocation(f"there are two records of `{each.member.domain}` with serial {serial}", mend=_FORK)
        serials[each.member.domain] = (each.member.serial, each.digest)
    return serials


# -- tables -------------------------------------------------------------------------------------------------


def next_table(state: State, raw: bytes, now: datetime) -> State:
    """Return the state with the whole table that the timestamp names."""
    named = _named(state, now)
    sealed, content = parted(raw, named.size)
    head, envelope, payload_digest = _head(state, sealed, now)
    _check_named(head.version, payload_digest, (named.version, named.head), TableRollback)
    _check_running(head, now)
    return replace(state, tabled=Tabled(Table(head, payload_digest, _rows(head, content)), sealed, envelope.signers), underway=None)


def _rows(head: Head, content: bytes) -> Rows:
    """Return the rows in *content*, if it is the one that *head* names."""
    if len(content) != head.size or digest(content) != head.content:
        raise ContentMismatch("the content is not the one that the head names", mend=_again("table"))
    rows = tables.read_content(content, head.levels)
    if len(rows) != head.count:
        raise ContentMismatch(f"the content has {len(rows)} rows, and the head says {head.count}", mend=_again("table"))
    return rows


def check_alone(state: State, raw: bytes, now: datetime) -> None:
    """Raise why a whole table would not be believed whatever timestamp named it."""
    sealed, content = parted(raw, MAX_CONTENT_BYTES)
    head, _, _ = _head(state, sealed, now)
    _check_running(head, now)
    _rows(head, content)


def next_delta(state: State, raw: bytes, now: datetime) -> State:
    """Return the state with the table's next version, which is believed when it is the one that the timestamp names."""
    named = _named(state, now)
    sealed, content = parted(raw, MAX_DELTA_BYTES)
    head, envelope, payload_digest = _head(state, sealed, now)
    if state.latest is None:
        raise DeltaOutOfPlace("there is no table that the delta could change", mend="fetch the whole table")
    before = state.latest.table
    if head.version >= named.version:
        _check_named(head.version, payload_digest, (named.version, named.head), TableRollback)
        _check_running(head, now)
    if head.version <= before.head.version:
        raise TableRollback(f"version {head.version} of the table is not above ours", mend=_again("table"))
    if (head.version, head.previous, head.levels) != (before.head.version + 1, before.digest, before.head.levels):
        raise DeltaOutOfPlace("the delta does not begin at the table that we have", mend="fetch the whole table")
    if not head.delta or digest(content) != head.delta:
        raise ContentMismatch("the delta is not the one that the head names", mend="fetch the whole table")
    try:
        rows = deltas.apply_delta(before.rows, deltas.read_delta(content, head.levels))
    except ValueError as error:
        raise DeltaOutOfPlace(f"the delta {error}", mend="fetch the whole table") from None
    if len(rows) != head.count:
        raise ContentMismatch(f"there are {len(rows)} rows after the delta, and the head says {head.count}", mend="fetch the whole table")
    made = Tabled(Table(head, payload_digest, rows), sealed, envelope.signers)
    return replace(state, tabled=made, underway=None) if payload_digest == named.head else replace(state, underway=made)


def _head(state: State, sealed: bytes, now: datetime) -> tuple[Head, Envelope, str]:
    """Return the head in *sealed*, once it is ours, its signers may sign it, and it is not from the future."""
    check_size(sealed, MAX_HEAD_BYTES, "the table's head")
    envelope = opened(sealed, payload_type=TABLE, most=MAX_HEAD_BYTES)
    head = tables.read_payload(envelope.payload)
    _check_place(state, head.community, head.audience)
    _check_epoch(state, head.epoch)
    state.rights.check("publish-table", envelope.signers, now=now, audience=state.audience)
    _check_issued(head.issued, now)
    return head, envelope, digest(envelope.payload)


def _check_running(head: Head, now: datetime) -> None:
    if head.expires <= now:
        raise TableExpired(f"version {head.version} of the table expired at {stamp(head.expires)}", mend=_again("table"))


# -- what they share ----------------------------------------------------------------------------------------


def _named(state: State, now: datetime) -> Timestamp:
    """Return the timestamp that names what may be believed now: it comes first, and it must hold (TUF, sections 5.4 to 5.6)."""
    if state.named is None:
        raise NothingNamed("no timestamp names the document", mend="fetch the timestamp first")
    if state.named.expires <= now:
        raise TimestampExpired(f"the timestamp expired at {stamp(state.named.expires)}", mend=_again("timestamp"))
    return state.named


def _check_place(state: State, community: str, audience: str) -> None:
    if community != state.rights.root.community:
        raise _other_community(community, state.rights.root.community)
    if audience != state.audience:
        raise WrongView(f"the document is for `{audience}`", mend=f"fetch the one for `{state.audience}`")


def _check_epoch(state: State, epoch: int) -> None:
    if epoch != state.rights.root.epoch:
        raise WrongEpoch(f"the document is of epoch {epoch}, and the root metadata of {state.rights.root.epoch}", mend=_again("document"))


def _check_issued(issued: datetime, now: datetime) -> None:
    if issued > now + SKEW:
        raise DocumentNotYet(f"the document was issued at {stamp(issued)}, which is to come", mend="set both clocks right")


def _check_named(version: int, found: str, named: tuple[int, str], older: type[TableRollback | RevocationsRollback]) -> None:
    """Refuse any other document than the named one, by what it is: an older one, a second of one version, or a part of another state."""
    if (version, found) == named:
        return
    if version < named[0]:
        raise older(f"this is version {version}, and the timestamp names {named[0]}", mend=_again("document"))
    if version == named[0]:
        raise Equivocation(f"there are two documents of version {version}", mend=_FORK)
    raise MixedDocuments(f"this is version {version}, and the timestamp names {named[0]}", mend=_again("timestamp"))


def _other_community(found: str, wanted: str) -> WrongCommunity:
    return WrongCommunity(f"the document is of the community `{shown(found)}`", mend=f"fetch the one of `{wanted}`")


def _again(what: str) -> str:
    return f"fetch the {what} again, or from another source"


_FORK: Final = "keep both, and ask who publishes: two servers were told different things"
_MEMBER: Final = "have the registrar sign the newest record again"
MENDED_BY_ROOT: Final = (ForeignSigner, TooFewSigners, WrongEpoch, RootBehind, RootExpired)
"""Why a timestamp may be refused that the next generation of root metadata allows."""

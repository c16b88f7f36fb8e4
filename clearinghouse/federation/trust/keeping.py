"""What a receiver keeps on disk, and how it is believed again after a restart: verified, but for the time (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from clearinghouse.clearing.dsse import REVOCATIONS, TABLE, TIMESTAMP, opened
from clearinghouse.clearing.wire import canonical, check_members, read_canonical, read_object, read_stamp, stamp
from clearinghouse.federation.published import members, revocations, tables, timestamps
from clearinghouse.federation.published.documents import MAX_HEAD_BYTES, MAX_REVOCATIONS_BYTES, digest
from clearinghouse.federation.published.payloads import is_digest, reading
from clearinghouse.federation.published.refusals import ContentMismatch, MalformedDocument
from clearinghouse.federation.published.tables import Table
from clearinghouse.federation.trust import believing
from clearinghouse.federation.trust.state import Recorded, Revoked, Stamped, State, Tabled, enrolled_of

ROOTS: Final = "roots.jsonl"
"""Every generation of root metadata, from the pinned one on, one a line."""
TIMESTAMP_FILE: Final = "timestamp.json"
REVOCATIONS_FILE: Final = "revocations.json"
MEMBERS_FILE: Final = "members.json"
HEAD_FILE: Final = "head.json"
CONTENT_FILE: Final = "content.json"
MEMORY_FILE: Final = "memory.json"
"""The highest time and the highest serials that were ever seen."""


def kept(state: State) -> dict[str, bytes]:
    """Return *state* as files by name; those of what there is not are left out."""
    enrolled, tabled = state.enrolled, state.tabled
    lines = (canonical(read_object(each)) for each in state.roots)  # an envelope may come in any layout, also on several lines
    files = {ROOTS: b"\n".join(lines), MEMORY_FILE: _memory(state), MEMBERS_FILE: members.listed(enrolled.records)}
    if state.stamped is not None:
        files[TIMESTAMP_FILE] = state.stamped.raw
    if state.revoked is not None:
        files[REVOCATIONS_FILE] = state.revoked.raw
    if tabled is not None:
        files[HEAD_FILE] = tabled.head
        files[CONTENT_FILE] = tables.content_of(tabled.table.rows, tabled.table.head.levels)
    return files


def restored(kept: Mapping[str, bytes], pin: str, audience: str, community: str) -> State:
    """Return the state that was kept, once every signature and digest in it holds as it did at the highest time seen."""
    seen, enrolled_digest, serials = _read_memory(kept.get(MEMORY_FILE, b""))
    first, *later = kept.get(ROOTS, b"").split(b"\n")
    state = believing.pinned(first, pin, audience, community, seen)
    for raw in later:
        state = believing.next_root(state, raw, seen)
    state = _with_revocations(replace(state, seen=seen), kept.get(REVOCATIONS_FILE))
    state = _with_timestamp(state, kept.get(TIMESTAMP_FILE))
    state = _with_members(state, kept.get(MEMBERS_FILE), enrolled_digest, serials)
    return _with_table(state, kept.get(HEAD_FILE), kept.get(CONTENT_FILE))


def _with_revocations(state: State, raw: bytes | None) -> State:
    if raw is None:
        return state
    envelope = opened(raw, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES)
    found = revocations.read_payload(envelope.payload)
    _check_ours(state, found.community, state.audience, found.epoch)
    state.rights.check("publish-revocations", envelope.signers, now=state.seen)
    return replace(state, rights=state.rights.less(found), revoked=Revoked(found, digest(envelope.payload), raw, envelope.signers))


def _with_timestamp(state: State, raw: bytes | None) -> State:
    if raw is None:
        return state
    envelope = opened(raw, payload_type=TIMESTAMP, most=MAX_HEAD_BYTES)
    found = timestamps.read_payload(envelope.payload)
    _check_ours(state, found.community, found.audience, found.epoch)
    state.rights.check("publish-timestamp", envelope.signers, now=state.seen, audience=state.audience)
    return replace(state, stamped=Stamped(found, raw, envelope.signers))


def _with_members(state: State, raw: bytes | None, enrolled_digest: str, serials: Mapping[str, tuple[int, str]]) -> State:
    if raw is None:
        return state
    records: dict[bytes, Recorded] = {}
    for record in members.unlisted(raw):
        envelope = members.envelope_of(record)
        member = members.read_payload(envelope.payload)
        _check_ours(state, member.community, state.audience, state.rights.root.epoch)
        state.rights.check("publish-member", envelope.signers, now=state.seen, member=member.domain)
        records[record] = Recorded(member, digest(envelope.payload), envelope.signers)
    whole = enrolled_digest if enrolled_digest == digest(raw) else ""
    return replace(state, enrolled=enrolled_of(whole, records, serials))


def _with_table(state: State, sealed: bytes | None, content: bytes | None) -> State:
    if sealed is None or content is None:
        return state
    envelope = opened(sealed, payload_type=TABLE, most=MAX_HEAD_BYTES)
    head = tables.read_payload(envelope.payload)
    _check_ours(state, head.community, head.audience, head.epoch)
    state.rights.check("publish-table", envelope.signers, now=state.seen, audience=state.audience)
    if digest(content) != head.content:
        raise ContentMismatch("the content that was kept is not the one that its head names", mend=_MEND)
    table = Table(head, digest(envelope.payload), tables.read_content(content, head.levels))
    return replace(state, tabled=Tabled(table, sealed, envelope.signers))


def _check_ours(state: State, community: str, audience: str, epoch: int) -> None:
    root = state.rights.root
    if (community, audience, epoch) != (root.community, state.audience, root.epoch):
        raise MalformedDocument("what was kept is of another community, audience or epoch", mend=_MEND)


def _memory(state: State) -> bytes:
    serials = {domain: [serial, known] for domain, (serial, known) in state.enrolled.serials.items()}
    return canonical({"members": state.enrolled.digest, "seen": stamp(state.seen), "serials": serials})


def _read_memory(raw: bytes) -> tuple[datetime, str, dict[str, tuple[int, str]]]:
    with reading("what was kept", mend=_MEND):
        found = read_canonical(raw)
        check_members(found, {"members": str, "seen": str, "serials": dict})
        serials = {domain: _serial(each) for domain, each in found["serials"].items()}
        return read_stamp(found["seen"]), found["members"], serials


def _serial(found: object) -> tuple[int, str]:
    match found:
        case [int(serial), str(known)] if is_digest(known):
            return serial, known
        case _:
            raise ValueError("has a serial that is none")


_MEND: Final = "remove it, and begin again with the pinned root metadata"

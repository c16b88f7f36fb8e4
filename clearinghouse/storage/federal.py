"""Between what is kept of a federation and its rows (pure): members, drafts, documents, agents."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import RowMapping

from clearinghouse.federation.membership.registry import AgentStatus, Draft, KeptMember, Source
from clearinghouse.storage import statements
from clearinghouse.storage.changes import DraftClosed, Drafted, Federal, MemberSet, Published, Reported
from clearinghouse.storage.schema import agents, drafts, members
from clearinghouse.storage.statements import Row, Statement, row
from clearinghouse.storage.texts import compact, instant


def rows_of(change: Federal) -> Iterator[tuple[Statement, Row]]:
    """Yield what *change* writes."""
    match change:
        case MemberSet(member):
            yield statements.PUT_MEMBER, _row_of_member(member)
        case Drafted(draft):
            yield statements.PUT_DRAFT, _row_of_draft(draft)
        case DraftClosed(identity):
            yield statements.DROP_DRAFT, (identity,)
        case Published(_, documents, dropped):
            yield from ((statements.DROP_DOCUMENT, (name,)) for name in dropped)
            yield from ((statements.PUT_DOCUMENT, item) for item in documents.items())
        case Reported(status):
            values = {"domain": status.domain, "at": instant(status.at), "report": compact(dict(status.report))}
            yield statements.PUT_AGENT, row(agents, values)


def _row_of_member(member: KeptMember) -> Row:
    values = {
        "domain": member.domain,
        "serial": member.serial,
        "sealed": member.sealed,
        "at": instant(member.at),
        "by": member.by,
        "removed": int(member.removed),
    }
    return row(members, values)


def member_in(found: RowMapping) -> KeptMember:
    """Return the member of a row."""
    return KeptMember(found["domain"], found["serial"], found["sealed"], found["at"], found["by"], bool(found["removed"]))


def _row_of_draft(draft: Draft) -> Row:
    values = {
        "domain": draft.domain,
        "id": draft.id,
        "payload": draft.payload,
        "source": draft.source.value,
        "by": draft.by,
        "at": instant(draft.at),
        "expires": instant(draft.expires),
        "why": draft.why,
    }
    return row(drafts, values)


def draft_in(found: RowMapping) -> Draft:
    """Return the draft of a row."""
    source = Source(found["source"])
    return Draft(found["id"], found["domain"], found["payload"], source, found["by"], found["at"], found["expires"], found["why"])


def agent_in(found: RowMapping) -> AgentStatus:
    """Return what an agent said, of a row."""
    return AgentStatus(found["domain"], found["at"], found["report"])

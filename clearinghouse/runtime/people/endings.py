"""How grants end, as changes: the grant, and the approvals that would give it again (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from clearinghouse.clearing.cases import CaseChange, Grant
from clearinghouse.runtime.people.judging import Lost
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import CaseMoved, Change, GrantEnded

POLICY: Final = "policy"
CLOCK: Final = "clock"
"""Who closed a case, where nobody did."""


def endings(books: Books, lost: Iterable[tuple[Grant, Lost]], *, at: datetime, by: str = POLICY) -> Iterator[Change]:
    """Yield the end of each grant, and once for each case what becomes of the approvals on which it rested."""
    done: set[str] = set()
    for grant, over in lost:
        yield GrantEnded(replace(grant, ended=at, why=over.why, affiliation=over.affiliation))
        for case in books.approved(grant.request):
            if case.id not in done:
                done.add(case.id)
                expired = at >= case.expires
                change = CaseChange.EXPIRE if expired else CaseChange.WITHDRAW
                yield CaseMoved(case.moved(change, at=at, by=CLOCK if expired else by, why=over.why.text), change, at)

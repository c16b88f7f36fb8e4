"""A press, a receiver, and somebody between them who changes what is fetched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from clearinghouse.clearing.dsse import TABLE, TIMESTAMP, opened
from clearinghouse.federation.published import tables, timestamps
from clearinghouse.federation.published.documents import digest, joined
from clearinghouse.federation.published.tables import Head
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.federation.roles.ceremonies import Keyholders
from clearinghouse.federation.trust.trusted import follow
from tests.presses import Press, key, made, member, plan, who

OTHERS = {f"m{number}.example": "level-3" for number in range(9)}
OLD = {"a.example": "level-1", "b.example": "level-1"} | OTHERS
NEW = {"a.example": "level-2", "b.example": "level-1"} | OTHERS
NAMES = {"timestamp": "community/timestamp", "table": "community/table/2", "delta": "community/delta/2", "revocations": "revocations/2"}


class Net:
    """A press that has published twice, a receiver that has the first state, and the attacker's hands on what it fetches next."""

    def __init__(self, **signers: tuple[str, ...]) -> None:
        holders = {role: Keyholders(who(*names), 2) for role, names in signers.items()}
        self.press = Press(root=made(plan(1, 1, **holders)))
        self.press.signers |= {role: names[:2] for role, names in signers.items()}
        self.press.enrols(member("a.example"))
        self.press.prints(OLD)
        self.before = dict(self.press.documents)
        self.trusted = self.press.followed()
        self.press.enrols(member("a.example", 2, note="moved"))
        self.press.revokes(who("old-key")[0])
        self.press.prints(NEW)

    @property
    def documents(self) -> dict[str, bytes]:
        return self.press.documents

    @property
    def members_name(self) -> str:
        return next(name for name in reversed(self.documents) if "/members/" in name)

    def timestamp(self) -> Timestamp:
        return timestamps.read_payload(opened(self.documents["community/timestamp"], payload_type=TIMESTAMP).payload)

    def head(self, document: str = "table") -> Head:
        return tables.read_payload(opened(self.documents[NAMES[document]].partition(b"\n")[0], payload_type=TABLE).payload)

    def stamps(self, by: str = "timestamp", **changed: object) -> None:
        """Put another timestamp there."""
        stamp = replace(self.timestamp(), **changed)  # type: ignore[arg-type]  # any field
        self.documents["community/timestamp"] = timestamps.seal_timestamp(stamp, [key(by)])

    def heads(self, *by: str, document: str = "table", **changed: object) -> None:
        """Put another head before the content, and name it in a timestamp, as somebody with the timestamp key could."""
        head = replace(self.head(document), **changed)  # type: ignore[arg-type]  # any field
        payload = tables.written(head)
        content = self.documents[NAMES[document]].partition(b"\n")[2]
        self.documents[NAMES[document]] = joined(tables.seal_head(payload, [key(name) for name in by or ("table",)]), content)
        self.stamps(head=digest(payload), version=head.version)

    def update(self, now: timedelta = timedelta()) -> tuple[str, ...]:
        """Return the codes of what was refused in one update."""
        return tuple(each.code for each in follow(self.trusted, self.press.fetch, self.press.now + now))

    def only_whole(self) -> None:
        """Take the delta away, so that the whole table is fetched."""
        del self.documents["community/delta/2"]


def rows(net: Net) -> dict[str, str]:
    return dict(net.trusted.rows)

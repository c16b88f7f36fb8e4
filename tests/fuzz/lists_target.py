"""What must hold of today's lists, whatever bytes they are and whatever format they are taken for:

1. they give entries, or an error of our own tree of errors; nothing else is ever raised;
2. every entry whose domain is a name becomes a member or a refusal, and every other one is reported with its text;
3. every draft is a record that can be signed and read again, of a name in its normal form;
4. whom a server admits today is kept as it is, and read again;
5. the doctor has an opinion of any configuration.

`check` raises whatever does not hold.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from clearinghouse.doctor.catalogue import findings
from clearinghouse.doctor.checks import ALL
from clearinghouse.doctor.gathering import Asked
from clearinghouse.doctor.gathering import gathered as facts_of
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.shadow import today_as_json, today_of
from clearinghouse.federation.names import BadName, normal
from clearinghouse.federation.published.members import read_payload
from clearinghouse.importing.entries import Found
from clearinghouse.importing.gather import gathered
from clearinghouse.importing.merged import Imported, merged
from tests.docs.pages import PAGES, blocks

ENDINGS = ("lua", "pfw", "yml", "csv", "txt")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
MORE = (
    b"%LIST l: file:list.txt\n::deliver_remote\nNOT CHECK LIST: l contains $<@to|host>\nBOUNCE=policy-violation (no)\n",
    b"FROM: <*>@b.example\nDROP.\n",
    b'domain,address,port,contact,note\nb.example,192.0.2.7,5269,mailto:a@b.example,"one, two"\n',
    b"#domain,#severity,#public_comment\nb.example,suspend,spam\n",
    b"b.example # note\n*.c.example\n",
    b"define_macro: {X: [b.example]}\nacl: {p: [{server: X}, {acl: p}]}\naccess_rules: {s: [{allow: p}]}\ns2s_access: s\n",
    b'Include "\\0"\nInclude "~nobody/x"\nVirtualHost "a.example" { ssl = { certificate = "\\0" } }\n',
)


class Broken(AssertionError):
    """One of the statements does not hold."""


def corpus() -> list[bytes]:
    """Return configurations that our pages show, and lists."""
    return [block.text.encode() for page in PAGES for block in blocks(page, "lua", "yaml")] + list(MORE)


def check(data: bytes) -> None:
    """Hold the readers to their invariant, as every format."""
    for ending in ENDINGS:
        check_as(data, ending)


def check_as(data: bytes, ending: str) -> None:
    """Hold the reader of one format to the invariant."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"list.{ending}"
        path.write_bytes(data)
        found, _ = gathered([path])
        _inspect(path, ending)
    imported = merged(found, community="net", now=NOW)
    _nothing_lost(found, imported)
    for draft in imported.drafts:
        if read_payload(draft).domain != normal(read_payload(draft).domain):
            raise Broken("a draft has a name that is not normal")
    for today in imported.today:
        if today_of(today_as_json(today)) != today:
            raise Broken("whom a server admits is not read as it was kept")


def _inspect(path: Path, ending: str) -> None:
    kind = {"lua": "prosody", "yml": "ejabberd"}.get(ending)
    if kind:
        try:
            known = facts_of(Asked(**{kind: path}), NOW)  # type: ignore[arg-type]
        except ClearinghouseError:
            return
        for finding in findings(known, ALL.values()):
            finding.as_json()


def _nothing_lost(found: Found, imported: Imported) -> None:
    named = {member.domain for member in imported.members} | {refusal.domain for refusal in imported.refusals}
    said = {row.text for row in imported.unread}
    for entry in found.entries:
        try:
            kept = normal(entry.domain) in named
        except BadName:
            kept = False
        if not kept and entry.domain not in said:
            raise Broken(f"{entry} became nothing, and nothing was said of it")

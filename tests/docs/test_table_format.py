"""The page about the tables' format is enough: a reader written after it, and not after our code, checks its example."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from clearinghouse.clearing.dsse import MEMBER, PAYLOAD_TYPES, REVOCATIONS, ROOT, TABLE, TIMESTAMP
from clearinghouse.federation.published import members, revocations, roots, timestamps
from clearinghouse.federation.published.documents import digest, members_name
from clearinghouse.federation.published.members import Endpoint, Member
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.trust.trusted import Standing, Trusted, follow
from clearinghouse.keynote.keys import PrivateKey, from_seed
from tests.docs.pages import ROOT as REPOSITORY
from tests.docs.pages import blocks, table_rows
from tests.world import NOON

PAGE = REPOSITORY / "docs/reference/table-format.md"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def key(name: str) -> PrivateKey:
    return from_seed(hashlib.sha256(name.encode()).digest(), demo=True)


def policy(name: str, operation: str, bound: str) -> str:
    where = f'operation == "{operation}" && table_community == "csirt-net"{bound}'
    return f'Authorizer: "POLICY"\nLicensees: "{key(name).principal}"\nConditions: {where} -> "allow";\n'


EPOCH = ' && epoch == "1"'
METADATA = Root(
    "csirt-net",
    1,
    1,
    NOON,
    NOON + 365 * DAY,
    (
        policy("root", "publish-root", ""),
        policy("table", "publish-table", f'{EPOCH} && audience == "*"'),
        policy("stamp", "publish-timestamp", f'{EPOCH} && audience == "*"'),
        policy("revoker", "publish-revocations", EPOCH),
        policy("registrar", "publish-member", f'{EPOCH} && member ~= "\\\\.example$"'),
    ),
)
REVOKED = RevocationSet("csirt-net", 1, 1, NOON, NOON + 7 * DAY, principals=(key("lost").principal,))
RECORD = Member("a.example", "csirt-net", (Endpoint("xmpp.a.example"),), (key("a.example").principal,), issued=NOON, source="join")
SAME = {f"{letter}.example": "level-1" for letter in "defgh"} | {"a.example": "level-2"}
STATES = (SAME | {"b.example": "level-1"}, SAME | {"c.example": "level-1"})


def documents() -> dict[str, bytes]:
    """Everything that the example publishes, by name."""
    listed = members.listed([members.seal_member(RECORD, [key("registrar")])])
    found = {
        "root/1": roots.seal_root(METADATA, [key("root")]),
        "revocations/1": revocations.seal_revocations(REVOKED, [key("revoker")]),
        members_name("*", digest(listed)): listed,
    }
    publisher = Publisher("csirt-net", "*", 1, ("deny", "level-1", "level-2"))
    for number, rows in enumerate(STATES):
        edition = publisher.edition(rows, now=NOON + number * MINUTE, expires=NOON + 7 * DAY)
        assert edition is not None
        found |= edition.sealed([key("table")])
        publisher = publisher.after(edition)
    stamp = publisher.timestamp(
        now=NOON + MINUTE, expires=NOON + 11 * MINUTE, root=1, revocations=(1, digest(revocations.written(REVOKED))), members=listed
    )
    found["community/timestamp"] = timestamps.seal_timestamp(stamp, [key("stamp")])
    return dict(sorted(found.items()))


def example() -> str:
    """The example as the page shows it: name and bytes, one document after the other."""
    return "".join(f"{name}\n{raw.decode()}\n\n" for name, raw in documents().items())


def on_the_page() -> dict[str, bytes]:
    (block,) = [each for each in blocks(PAGE, "text") if "community/timestamp\n" in each.text]
    parts = block.text.rstrip("\n").split("\n\n")
    return {part.partition("\n")[0]: part.partition("\n")[2].encode() for part in parts}


# -- the page is what the code does ------------------------------------------------------------------------


def test_the_example_is_what_the_code_writes() -> None:
    assert on_the_page() == documents()


def test_the_example_is_believed() -> None:
    found = on_the_page()
    trusted = Trusted.pinned(found["root/1"], pin(), NOON, audience="*", community="csirt-net")
    assert follow(trusted, lambda name, _: found.get(name), NOON + 2 * MINUTE) == ()
    assert trusted.rows == STATES[1]
    assert trusted.standing(NOON + 2 * MINUTE) is Standing.FRESH


def test_the_types_of_payloads_are_those_of_the_code() -> None:
    told = {row[1].strip("`") for row in table_rows(PAGE, "document", "payload type", "operation")}
    assert told == {MEMBER, REVOCATIONS, ROOT, TABLE, TIMESTAMP} <= PAYLOAD_TYPES


def pin() -> str:
    found = re.search(r"pinned by\s+`([0-9a-f]{64})`", PAGE.read_text())
    assert found is not None
    return found[1]


# -- a reader after the page alone -------------------------------------------------------------------------


def opened(raw: bytes, kind: str) -> tuple[bytes, list[str]]:
    """The payload of an envelope and its signers, as the page about the log says."""
    envelope = json.loads(raw)
    assert envelope["payloadType"] == kind
    payload = base64.b64decode(envelope["payload"], validate=True)
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    for each in envelope["signatures"]:
        _, _, bits = each["keyid"].partition(":")
        algorithm, _, signature = each["sig"].partition(":")
        VerifyKey(bytes.fromhex(bits)).verify(encoded + algorithm.encode() + b":", bytes.fromhex(signature))
    return payload, [each["keyid"] for each in envelope["signatures"]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(found: dict[str, bytes]) -> dict[str, str]:
    """The rows that the example comes to: the first table, and the delta after it."""
    payload, _ = opened(found["root/1"], "application/vnd.clearinghouse.root+json")
    assert sha256(payload) == pin()
    licensed = dict(re.findall(r'Licensees: "([^"]+)"\nConditions: operation == "([a-z-]+)"', "\n".join(json.loads(payload)["policy"])))
    stamp, signers = opened(found["community/timestamp"], "application/vnd.clearinghouse.timestamp+json")
    assert licensed[signers[0]] == "publish-timestamp"
    named = json.loads(stamp)
    revoked, signers = opened(found[f"revocations/{named['revocations']['version']}"], "application/vnd.clearinghouse.revocations+json")
    assert (licensed[signers[0]], sha256(revoked)) == ("publish-revocations", named["revocations"]["digest"])
    listed = found[f"community/members/{named['members']['digest']}"]
    assert (sha256(listed), len(listed)) == (named["members"]["digest"], named["members"]["size"])
    for record in json.loads(listed):
        member, signers = opened(json.dumps(record).encode(), "application/vnd.clearinghouse.member+json")
        assert licensed[signers[0]] == "publish-member"
        assert json.loads(member)["community"] == named["community"]
    head, content = table(found["community/table/1"], licensed)
    rows = {domain: level for level, domains in json.loads(content).items() for domain in domains}
    before = sha256(opened(found["community/table/1"].partition(b"\n")[0], "application/vnd.clearinghouse.table+json")[0])
    assert sha256(content) == head["content"]
    head, delta = table(found["community/delta/2"], licensed)
    assert (head["previous"], head["delta"], head["version"]) == (before, sha256(delta), named["version"])
    changes = json.loads(delta)
    rows = {domain: level for domain, level in rows.items() if domain not in changes["unset"]}
    rows |= {domain: level for level, domains in changes["set"].items() for domain in domains}
    assert len(rows) == head["count"]
    return rows


def table(document: bytes, licensed: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    sealed, _, content = document.partition(b"\n")
    payload, signers = opened(sealed, "application/vnd.clearinghouse.table+json")
    assert licensed[signers[0]] == "publish-table"
    return json.loads(payload), content


def test_a_reader_after_the_page_finds_the_rows() -> None:
    assert read(on_the_page()) == STATES[1]


@pytest.mark.parametrize("name", ["community/timestamp", "community/table/1", "community/delta/2", "revocations/1", "root/1"])
def test_a_reader_after_the_page_notices_a_changed_document(name: str) -> None:
    found = on_the_page()
    found[name] = re.sub(rb'("payload":".{40}).', rb"\1A", found[name])
    with pytest.raises((AssertionError, BadSignatureError, ValueError, KeyError)):
        read(found)
